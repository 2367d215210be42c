// A server that does on demand what the product cannot be made to do.
import { once } from "node:events";
import { createServer } from "node:http";
import * as net from "node:net";

const PICTURE = Buffer.alloc(300_000, 7);

/**
 * Starts a server that gives the nth answer to the nth request, and the last one from then on. An answer is a function of
 * (request, response); a body is read before it runs unless it is marked `early`.
 */
export async function fakeServer(...answers) {
  const seen = [];
  const server = createServer(async (request, response) => {
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    const facts = { headers: request.headers, received: 0, at: Date.now() };
    seen.push(facts);
    request.on("error", () => {});
    response.on("error", () => {});
    try {
      if (!answer.early) for await (const chunk of request) facts.received += chunk.length;
      await answer(request, response, facts);
    } catch (error) {
      if (error.code !== "ECONNRESET") throw error; // The client disconnected.
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, seen, close };
}

/** A success. */
export function picture(request, response) {
  const facts = { "x-width": 3, "x-height": 2, "x-credits-charged": 1, "x-model": "fake", "x-request-id": "r-1" };
  response.writeHead(200, { "content-type": "image/png", "content-length": PICTURE.length, ...facts });
  response.end(PICTURE);
}

/** An error of the product's shape. */
export function refusal(status, code, headers = {}) {
  return (request, response) => {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": "r-1", ...headers });
    response.end(JSON.stringify({ error: `told: ${code}`, code, status }));
  };
}

/** A proxy's page. */
export function page(status) {
  return (request, response) => {
    response.writeHead(status, { "content-type": "text/html" });
    response.end("<h1>It is broken</h1>");
  };
}

/** Half of a success, then the connection ends. */
export function brokenOff(request, response) {
  response.writeHead(200, { "content-type": "image/png", "content-length": PICTURE.length });
  response.write(PICTURE.subarray(0, PICTURE.length / 2), () => setTimeout(() => request.socket.destroy(), 20));
}

/** A success that never ends. */
export function drip(request, response) {
  response.writeHead(200, { "content-type": "image/png", "content-length": PICTURE.length });
  const timer = setInterval(() => response.write("."), 10);
  response.on("close", () => clearInterval(timer));
}

/** The connection ends while the form is being sent. */
export const hangUp = Object.assign((request) => request.once("data", () => request.socket.destroy()), { early: true });

/** A response before the form is read; the rest is never read. */
export const refusedEarly = Object.assign(refusal(413, "payload_too_large"), { early: true });

/** Reads no faster than `bytesPerSecond`, then succeeds. */
export function slowReader(bytesPerSecond) {
  const read = async (request, response, facts) => {
    for await (const chunk of request) {
      facts.received += chunk.length;
      const due = facts.at + (facts.received / bytesPerSecond) * 1000;
      if (due - Date.now() > 5) await new Promise((resolve) => setTimeout(resolve, due - Date.now()));
    }
    picture(request, response);
  };
  return Object.assign(read, { early: true });
}

/** Passes everything on to `target`, except the first response: the client's connection has ended by then. */
export async function answerLosingProxy(target) {
  const { hostname, port } = new URL(target);
  let connections = 0;
  const server = net.createServer((client) => {
    const isFirst = ++connections === 1;
    const upstream = net.connect(Number(port), hostname);
    for (const [socket, other] of [[client, upstream], [upstream, client]]) {
      socket.on("error", () => other.destroy());
      socket.on("close", () => other.destroy());
    }
    client.pipe(upstream);
    if (isFirst) upstream.once("data", () => setTimeout(() => client.destroy(), 100));
    else upstream.pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, connections: () => connections, close: () => server.close() };
}
