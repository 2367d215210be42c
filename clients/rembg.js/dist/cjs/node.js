"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

// src/node.ts
var node_exports = {};
__export(node_exports, {
  RembgError: () => RembgError,
  batchResult: () => batchResult,
  createBatch: () => createBatch,
  default: () => node_default,
  membershipUsage: () => membershipUsage,
  readBatch: () => readBatch,
  rembg: () => rembg
});
module.exports = __toCommonJS(node_exports);
var import_node_crypto3 = require("node:crypto");

// src/error.ts
var RembgError = class extends Error {
  name = "RembgError";
  status;
  code;
  /** Every problem of the request's fields, if there are several; else empty. */
  details;
  /** Quote it when you ask the operator: the server logs it. */
  requestId;
  /** Seconds to wait before the next try, as the server asked. */
  retryAfter;
  constructor(message, facts) {
    super(message, facts.cause === void 0 ? void 0 : { cause: facts.cause });
    this.status = facts.status ?? 0;
    this.code = facts.code;
    this.details = facts.details ?? [];
    this.requestId = facts.requestId ?? null;
    this.retryAfter = facts.retryAfter ?? null;
  }
};

// src/limits.ts
var LONGEST_TIMER_MS = 2 ** 31 - 1;
function startLimits(timeout, signal) {
  const controller = new AbortController();
  const abort = (reason) => controller.abort(reason);
  const cancel = () => abort(new RembgError("The call was cancelled", { code: "aborted", cause: signal?.reason }));
  const expire = () => abort(new RembgError(`The call took longer than ${timeout} ms`, { code: "timeout" }));
  const limited = timeout > 0 && timeout <= LONGEST_TIMER_MS;
  const timer = limited ? setTimeout(expire, timeout) : void 0;
  const deadline = limited ? Date.now() + timeout : Infinity;
  signal?.addEventListener("abort", cancel);
  if (signal?.aborted) cancel();
  return {
    signal: controller.signal,
    abort,
    remaining: () => deadline - Date.now(),
    release: () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    }
  };
}
function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

// src/problems.ts
function invalidInput(message, cause) {
  return new RembgError(message, { code: "invalid_input", cause });
}
function networkError(cause) {
  const reason = cause instanceof Error && cause.message ? `: ${cause.message}` : "";
  return new RembgError(`The server could not be reached or the connection broke${reason}`, { code: "network_error", cause });
}
function invalidResponse(answer, message) {
  return new RembgError(message, { code: "invalid_response", ...origin(answer) });
}
async function errorFrom(answer) {
  const body = parseObject(await answer.text());
  return new RembgError(typeof body.error === "string" ? body.error : `The server answered with HTTP ${answer.status}`, {
    ...origin(answer),
    code: typeof body.code === "string" ? body.code : `http_${answer.status}`,
    details: Array.isArray(body.details) ? body.details : [],
    retryAfter: secondsToWait(answer.header("retry-after"))
  });
}
function origin(answer) {
  return { status: answer.status, requestId: answer.header("x-request-id") };
}
function parseObject(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
function secondsToWait(value) {
  const wait = value === null || value === "" ? NaN : Number(value);
  const seconds = Number.isNaN(wait) ? (Date.parse(value ?? "") - Date.now()) / 1e3 : wait;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

// src/parameters.ts
var VISIBLE_ASCII = /^[\x21-\x7e]+$/;
function formFields(options) {
  const { returnBase64: _, bg_image: __, returnMask, mask, ...others } = options;
  return texts({ ...others, mask: mask ?? returnMask });
}
function backgroundOf({ bg_image }) {
  return bg_image === void 0 || bg_image === null ? [] : [{ field: "bg_image", input: bg_image, label: "options.bg_image" }];
}
function batchFields(call) {
  const { options = {}, outputs, callbackUrl } = call;
  return texts({ ...formFields(options), outputs: outputs && JSON.stringify(outputs), callback_url: callbackUrl });
}
function batchPath(id) {
  if (!/^[0-9a-f-]{36}$/i.test(id)) throw invalidInput(`${id} is not the id of a batch`);
  return `/api/batches/${id}`;
}
function usagePath(call) {
  const { year, month, periodStartUnix, expand, includeBillingCycle, listBillingCycles } = call;
  const query = new URLSearchParams(texts({
    year,
    month,
    periodStartUnix,
    expand: expand && String(expand),
    includeBillingCycle: includeBillingCycle || void 0,
    listBillingCycles: listBillingCycles || void 0
  }));
  return `/api/membership-usage?${query}`;
}
function credentials(call) {
  const apiKey = headerValue("apiKey", call.apiKey || void 0);
  const userToken = headerValue("userToken", call.userToken || void 0);
  if (apiKey && userToken) throw invalidInput("apiKey and userToken cannot be used together");
  if (!apiKey && !userToken && "apiKey" in call) throw invalidInput("apiKey is empty; leave it out to call anonymously");
  return { ...apiKey && { "x-api-key": apiKey }, ...userToken && { authorization: `Bearer ${userToken}` } };
}
function idempotency(call, newKey) {
  return { "idempotency-key": headerValue("idempotencyKey", call.idempotencyKey) ?? newKey() };
}
function addressOf(baseUrl, path) {
  const address = `${baseUrl.replace(/\/+$/, "")}${path}`;
  if (!/^https?:\/\/./i.test(baseUrl) || !canParse(address)) throw invalidInput(`baseUrl is not an http(s) address: ${baseUrl}`);
  return address;
}
function headerValue(name, value) {
  const text = value?.trim();
  if (text !== void 0 && !VISIBLE_ASCII.test(text)) throw invalidInput(`${name} holds what a header cannot hold`);
  return text;
}
function texts(values) {
  const set = Object.entries(values).filter(([, value]) => value !== void 0 && value !== null);
  return Object.fromEntries(set.map(([name, value]) => [name, String(value)]));
}
function canParse(address) {
  try {
    return Boolean(new URL(address));
  } catch {
    return false;
  }
}

// src/progress.ts
var INTERVAL_MS = 50;
function meter(direction, report) {
  let reached = 0;
  let reported = -Infinity;
  return () => {
    const started = performance.now();
    return report && ((loaded, total) => {
      const now = performance.now();
      if (loaded <= reached || loaded !== total && now - reported < INTERVAL_MS) return;
      const bytes = loaded - reached;
      [reached, reported] = [loaded, now];
      report({ ...describe(loaded, total, (now - started) / 1e3), bytes, [direction]: true });
    });
  };
}
function describe(loaded, total, seconds) {
  const rate = seconds > 0 ? loaded / seconds : void 0;
  return {
    loaded,
    total,
    progress: total ? loaded / total : void 0,
    rate,
    estimated: rate && total ? (total - loaded) / rate : void 0,
    lengthComputable: total !== void 0
  };
}

// src/retry.ts
var FOR_THE_MOMENT = ["network_error", "rate_limited", "http_429"];
var STATUSES_FOR_THE_MOMENT = [502, 503, 504];
var STILL_AT_WORK = "idempotency_in_progress";
var FIRST_BACKOFF_MS = 500;
var LONGEST_BACKOFF_MS = 8e3;
async function withRetries(attempt, retries, limits) {
  for (let failures = 0; ; ) {
    try {
      limits.signal.throwIfAborted();
      return await attempt();
    } catch (error) {
      if (limits.signal.aborted) throw limits.signal.reason;
      if (!(error instanceof RembgError) || !mayPass(error)) throw error;
      if (error.code !== STILL_AT_WORK || !retries) failures += 1;
      const wait = waitAfter(error, failures);
      if (failures > retries || wait >= limits.remaining()) throw error;
      await sleep(wait, limits.signal);
    }
  }
}
function mayPass(error) {
  return [...FOR_THE_MOMENT, STILL_AT_WORK].includes(error.code) || STATUSES_FOR_THE_MOMENT.includes(error.status);
}
function waitAfter(error, failures) {
  if (error.retryAfter !== null) return error.retryAfter * 1e3;
  const longest = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1));
  return longest * (0.5 + Math.random() / 2);
}

// src/client.ts
var DEFAULT_TIMEOUT_MS = 6e5;
var DEFAULT_RETRIES = 2;
function createClient(platform) {
  const urlOf = (call, path) => addressOf(call.baseUrl ?? platform.defaultBaseUrl(), path);
  async function rembg2(call) {
    const { inputImage, options = {} } = call;
    const url = urlOf(call, "/rmbg");
    const headers = { ...credentials(call), ...idempotency(call, platform.newKey) };
    return within(call, async (limits) => {
      const files = [{ field: "image", input: inputImage, label: "inputImage" }, ...backgroundOf(options)];
      const body = await platform.makeForm(files, formFields(options));
      const upload2 = meter("upload", guarded(call.onUploadProgress, limits));
      const download = meter("download", guarded(call.onDownloadProgress, limits));
      return () => picture({ method: "POST", url, headers, body, onUpload: upload2(), onDownload: download() }, options, limits);
    });
  }
  async function createBatch2(call) {
    const { inputImages, options = {} } = call;
    const url = urlOf(call, "/api/batches");
    const headers = { ...credentials(call), ...idempotency(call, platform.newKey) };
    return within(call, async (limits) => {
      const images = inputImages.map((input, index) => ({ field: "image", input, label: `inputImages[${index}]` }));
      const body = await platform.makeForm([...images, ...backgroundOf(options)], batchFields(call));
      const upload2 = meter("upload", guarded(call.onUploadProgress, limits));
      return () => json({ method: "POST", url, headers, body, onUpload: upload2() }, limits, 202);
    });
  }
  async function readBatch2(call) {
    return get(call, batchPath(call.id));
  }
  async function batchResult2(call) {
    const path = `${batchPath(call.id)}/items/${Number(call.index)}/results/${Number(call.result ?? 0)}`;
    const [url, headers] = [urlOf(call, path), credentials(call)];
    return within(call, async (limits) => () => picture({ method: "GET", url, headers }, call, limits));
  }
  async function membershipUsage2(call) {
    return get(call, usagePath(call));
  }
  async function get(call, path) {
    const [url, headers] = [urlOf(call, path), credentials(call)];
    return within(call, async (limits) => () => json({ method: "GET", url, headers }, limits));
  }
  async function picture(request, { returnBase64 }, { signal }) {
    const reply = await succeed(platform.send({ ...request, signal }));
    if (!reply.header("content-type")?.startsWith("image/")) throw await notPicture(reply);
    const delivered = returnBase64 ? { base64Image: await platform.toDataUrl(reply) } : await platform.deliver(reply);
    if (signal.aborted) await delivered.cleanup?.();
    signal.throwIfAborted();
    return { ...delivered, ...factsOf(reply) };
  }
  async function json(request, { signal }, status = 200) {
    const reply = await succeed(platform.send({ ...request, signal }), status);
    const text = await reply.text();
    try {
      return JSON.parse(text);
    } catch {
      throw invalidResponse(reply, "The response is not JSON");
    }
  }
  return {
    rembg: rembg2,
    membershipUsage: membershipUsage2,
    createBatch: createBatch2,
    readBatch: readBatch2,
    batchResult: batchResult2
  };
}
async function within(call, prepare) {
  const limits = startLimits(call.timeout ?? DEFAULT_TIMEOUT_MS, call.signal);
  try {
    limits.signal.throwIfAborted();
    return await withRetries(await prepare(limits), call.retries ?? DEFAULT_RETRIES, limits);
  } finally {
    limits.release();
  }
}
async function succeed(sent, status = 200) {
  const reply = await sent;
  if (reply.status !== status) throw await errorFrom(reply);
  return reply;
}
async function notPicture(reply) {
  await reply.text();
  return invalidResponse(reply, "The response is not a picture");
}
function guarded(listener, limits) {
  return listener && ((event) => {
    try {
      listener(event);
    } catch (error) {
      limits.abort(error);
    }
  });
}
function factsOf(answer) {
  const number = (name) => {
    const value = answer.header(name);
    return value === null ? null : Number(value);
  };
  const left = number("x-foreground-left");
  return {
    width: number("x-width"),
    height: number("x-height"),
    foreground: left === null ? null : {
      left,
      top: number("x-foreground-top") ?? 0,
      width: number("x-foreground-width") ?? 0,
      height: number("x-foreground-height") ?? 0
    },
    creditsCharged: number("x-credits-charged"),
    model: answer.header("x-model"),
    confidence: number("x-confidence"),
    requestId: answer.header("x-request-id")
  };
}

// src/node_output.ts
var import_node_crypto = require("node:crypto");
var import_promises = require("node:fs/promises");
var import_node_os = require("node:os");
var import_node_path = require("node:path");
async function receiveFile(reply) {
  const path = (0, import_node_path.join)((0, import_node_os.tmpdir)(), `rembg-${(0, import_node_crypto.randomUUID)()}.${extensionOf(mediaType(reply))}`);
  const cleanup = () => (0, import_promises.rm)(path, { force: true });
  const file = await (0, import_promises.open)(path, "wx", 384).catch(failed);
  try {
    for await (const chunk of reply.chunks()) await append(file, chunk).catch(failed);
    await file.close().catch(failed);
  } catch (error) {
    await file.close().catch(() => {
    });
    await cleanup();
    throw error;
  }
  return { outputImagePath: path, cleanup };
}
async function receiveDataUrl(reply) {
  const chunks = [];
  for await (const chunk of reply.chunks()) chunks.push(chunk);
  return `data:${mediaType(reply)};base64,${Buffer.concat(chunks).toString("base64")}`;
}
async function append(file, chunk) {
  for (let start = 0; start < chunk.length; ) start += (await file.write(chunk, start)).bytesWritten;
}
function failed(error) {
  throw new RembgError(`The result could not be stored: ${error.message}`, { code: "output_failed", cause: error });
}
function mediaType(reply) {
  return reply.header("content-type")?.split(";")[0]?.trim() ?? "";
}
function extensionOf(type) {
  const name = /^image\/(\w+)$/.exec(type)?.[1] ?? "bin";
  return name === "jpeg" ? "jpg" : name;
}

// src/node_http.ts
var import_node_http = require("node:http");
var import_node_https = require("node:https");
var MAX_TEXT_BYTES = 1024 * 1024;
function send({ method, url, headers, body, signal, onUpload, onDownload }) {
  return new Promise((resolve, reject) => {
    const ofForm = body && { "content-type": body.contentType, "content-length": body.length };
    const start = url.startsWith("https:") ? import_node_https.request : import_node_http.request;
    const request = start(url, { method, headers: { ...headers, ...ofForm } });
    const stop = () => request.destroy();
    signal.addEventListener("abort", stop);
    request.on("close", () => signal.removeEventListener("abort", stop));
    let fault;
    request.on("error", (error) => reject(fault ?? networkError(error)));
    request.on("response", (message) => resolve(replyOf(message, request, onDownload)));
    if (!body) return request.end();
    return upload(request, body, onUpload).catch((error) => {
      fault = error;
      if (!request.destroyed) request.destroy(error);
    });
  });
}
async function upload(request, form, onUpload) {
  let sent = 0;
  for await (const chunk of form.chunks()) {
    await write(request, chunk);
    sent += chunk.length;
    onUpload?.(sent, form.length);
  }
  request.end();
}
function write(request, chunk) {
  return new Promise((resolve, reject) => {
    const closed = () => reject(networkError());
    request.once("close", closed);
    request.write(chunk, (error) => {
      request.off("close", closed);
      if (error) reject(networkError(error));
      else resolve();
    });
  });
}
function replyOf(message, request, onDownload) {
  const header = (name) => {
    const value = message.headers[name];
    return value === void 0 ? null : String(value);
  };
  const chunks = (listener) => read(message, request, listener);
  return {
    status: message.statusCode ?? 0,
    header,
    chunks: () => chunks(onDownload),
    text: () => readText(chunks())
  };
}
async function* read(message, request, listener) {
  const total = message.headers["content-length"] === void 0 ? void 0 : Number(message.headers["content-length"]);
  let received = 0;
  try {
    for await (const chunk of message) {
      received += chunk.length;
      listener?.(received, total);
      yield chunk;
    }
  } catch (error) {
    throw networkError(error);
  } finally {
    if (!request.writableFinished || !message.complete) request.destroy();
  }
}
async function readText(chunks) {
  const kept = [];
  let length = 0;
  for await (const chunk of chunks) {
    kept.push(chunk);
    length += chunk.length;
    if (length > MAX_TEXT_BYTES) break;
  }
  return Buffer.concat(kept).toString();
}

// src/node_form.ts
var import_node_crypto2 = require("node:crypto");

// src/node_source.ts
var import_promises2 = require("node:fs/promises");
var import_node_path2 = require("node:path");

// src/data_url.ts
function parseBase64(text, label) {
  if (!text.startsWith("data:")) return { data: text, type: "" };
  const comma = text.indexOf(",");
  const [type = "", ...parameters] = text.slice("data:".length, comma).split(";");
  if (comma < 0 || !parameters.includes("base64")) throw invalidInput(`${label}.base64 is a data URL without base64`);
  return { data: text.slice(comma + 1), type };
}
function nameFor(type) {
  return `image.${/^image\/(jpeg|png|webp|bmp)$/.exec(type)?.[1] ?? "png"}`;
}

// src/node_source.ts
var CHUNK_BYTES = 64 * 1024;
async function findSource(input, label) {
  if (typeof input === "string") return fileSource(input, label);
  if (ArrayBuffer.isView(input)) return bytesSource(new Uint8Array(input.buffer, input.byteOffset, input.byteLength));
  if (input instanceof ArrayBuffer) return bytesSource(new Uint8Array(input));
  if (input instanceof Blob) return blobSource(input);
  if (isBase64(input)) {
    const { data, type } = parseBase64(input.base64, label);
    return bytesSource(Buffer.from(data, "base64"), type);
  }
  throw invalidInput(`${label} must be a path, a Buffer, a Uint8Array, an ArrayBuffer, a Blob, a File or { base64 }`);
}
function isBase64(input) {
  return typeof input?.base64 === "string";
}
async function fileSource(path, label) {
  const facts = await (0, import_promises2.stat)(path).catch((error) => {
    throw invalidInput(`${label} cannot be read: ${error.message}`, error);
  });
  if (!facts.isFile()) throw invalidInput(`${label} is not a file: ${path}`);
  return { name: (0, import_node_path2.basename)(path), type: "", size: facts.size, chunks: () => readFile(path, facts.size, label) };
}
async function* readFile(path, size, label) {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await (0, import_promises2.open)(path).catch((error) => {
    throw invalidInput(`${label} cannot be read: ${error.message}`, error);
  });
  try {
    for (let sent = 0; sent < size; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, size - sent), sent);
      if (!bytesRead) throw invalidInput(`${label} became shorter while it was sent: ${path}`);
      sent += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
function bytesSource(bytes, type = "") {
  return {
    name: nameFor(type),
    type,
    size: bytes.length,
    async *chunks() {
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.subarray(start, start + CHUNK_BYTES);
    }
  };
}
function blobSource(blob) {
  const { name } = blob;
  return {
    name: name ?? nameFor(blob.type),
    type: blob.type,
    size: blob.size,
    async *chunks() {
      for (let start = 0; start < blob.size; start += CHUNK_BYTES) {
        yield new Uint8Array(await blob.slice(start, start + CHUNK_BYTES).arrayBuffer());
      }
    }
  };
}

// src/node_form.ts
async function makeForm(files, fields) {
  const boundary = `rembg-${(0, import_node_crypto2.randomUUID)()}`;
  const texts2 = Object.entries(fields).map(([name, value]) => `--${boundary}\r
${disposition(name)}\r
\r
${value}\r
`);
  const head = Buffer.from(texts2.join(""));
  const parts = await Promise.all(files.map(async ({ field, input, label }) => {
    const source = await findSource(input, label);
    return { source, header: Buffer.from(`--${boundary}\r
${fileHeader(field, source)}\r
\r
`) };
  }));
  const end = Buffer.from("\r\n");
  const tail = Buffer.from(`--${boundary}--\r
`);
  const sizes = parts.map(({ source, header }) => header.length + source.size + end.length);
  return {
    length: sizes.reduce((sum, size) => sum + size, head.length + tail.length),
    contentType: `multipart/form-data; boundary=${boundary}`,
    async *chunks() {
      yield head;
      for (const { source, header } of parts) {
        yield header;
        yield* source.chunks();
        yield end;
      }
      yield tail;
    }
  };
}
function fileHeader(field, { name, type }) {
  return `${disposition(field)}; filename="${escapeName(name)}"\r
Content-Type: ${type || "application/octet-stream"}`;
}
function disposition(name) {
  return `Content-Disposition: form-data; name="${name}"`;
}
function escapeName(name) {
  return name.replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/"/g, "%22");
}

// src/node.ts
var DEFAULT_BASE_URL = "http://127.0.0.1:8000";
var client = createClient({
  defaultBaseUrl: () => process.env.REMBG_BASE_URL || DEFAULT_BASE_URL,
  newKey: import_node_crypto3.randomUUID,
  makeForm,
  send,
  deliver: receiveFile,
  toDataUrl: receiveDataUrl
});
var rembg = client.rembg;
var membershipUsage = client.membershipUsage;
var createBatch = client.createBatch;
var readBatch = client.readBatch;
var batchResult = client.batchResult;
var node_default = rembg;
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  RembgError,
  batchResult,
  createBatch,
  membershipUsage,
  readBatch,
  rembg
});
