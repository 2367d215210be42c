// Loaded before the unmodified client: its requests to api.remove.bg go to the server that PRODUCT names.
const http = require("node:http");
const https = require("node:https");

const product = new URL(process.env.PRODUCT);
const original = https.request;

https.request = (options, ...rest) => {
  const host = options.hostname || options.host || "";
  if (!host.startsWith("api.remove.bg")) return original(options, ...rest);
  return http.request(
    { ...options, protocol: "http:", host: product.hostname, hostname: product.hostname, port: product.port, agent: undefined },
    ...rest,
  );
};
