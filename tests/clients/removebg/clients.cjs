// Calls npm's remove.bg, axios and fetch as public scripts do, and prints one JSON object per case.
// Usage: node --require ./preload.cjs clients.cjs KEY PHOTO ADDRESS
const fs = require("node:fs");
const axios = require("axios");
const { removeBackgroundFromImageBase64, removeBackgroundFromImageFile, removeBackgroundFromImageUrl } = require("remove.bg");

const [apiKey, path, url] = process.argv.slice(2);
const product = process.env.PRODUCT;
const bytes = fs.readFileSync(path);
const key = { "X-Api-Key": apiKey };

async function fetched(headers) {
  const form = new FormData();
  form.append("size", "auto");
  form.append("image_file", new Blob([bytes]));
  const response = await fetch(`${product}/v1.0/removebg`, { method: "POST", headers, body: form });
  if (!response.ok) throw new Error(`${response.status}: ${(await response.json()).errors[0].title}`);
  return { data: Buffer.from(await response.arrayBuffer()).toString("base64"), type: response.headers.get("content-type") };
}

async function byAxios(config, body) {
  const { data, headers } = await axios.post(`${product}/v1.0/removebg`, body, { headers: key, ...config });
  return { data, type: headers["content-type"], credits: headers["x-credits-charged"] };
}

const cases = {
  file: () => removeBackgroundFromImageFile({ path, apiKey, size: "regular", type: "auto" }),
  fileWithOptions: () =>
    removeBackgroundFromImageFile({ path, apiKey, size: "full", crop: true, crop_margin: "10px", bg_color: "81d4fa" }),
  url: () => removeBackgroundFromImageUrl({ url, apiKey, size: "preview", type: "person" }),
  base64: () => removeBackgroundFromImageBase64({ base64img: bytes.toString("base64"), apiKey, size: "regular", scale: "50%" }),
  wrongKey: () => removeBackgroundFromImageBase64({ base64img: bytes.toString("base64"), apiKey: "wrong" }),
  notAnImage: () => removeBackgroundFromImageBase64({ base64img: "bm90aGluZw==", apiKey }),
  fetch: () => fetched(key),
  fetchWithoutKey: () => fetched({}),
  axiosArrayBuffer: async () => {
    const form = new FormData();
    form.append("image_file", new Blob([bytes]), "photo.jpg");
    form.append("size", "auto");
    const { data, ...rest } = await byAxios({ responseType: "arraybuffer" }, form);
    return { ...rest, data: Buffer.from(data).toString("base64") };
  },
  axiosJson: async () => {
    const headers = { ...key, Accept: "application/json" };
    const { data, ...rest } = await byAxios({ headers }, { image_file_b64: bytes.toString("base64"), size: "preview" });
    return { ...rest, data: data.data.result_b64 };
  },
};

(async () => {
  for (const [name, call] of Object.entries(cases)) {
    const outcome = await call().catch((error) => ({ error: Array.isArray(error) ? error : String(error.message || error) }));
    console.log(JSON.stringify({ name, ...outcome }));
  }
})();
