// Calls our own API from a page: the session's token, uploads with progress, one class for errors.

import { sentName } from "./names.js";

/** A failed call. `code` is the API's, or `network`; `retryAfter` is in seconds, 0 if the response gave none. */
export class ApiFailure extends Error {
  constructor({ code, status = 0, message = "", requestId = "", retryAfter = 0 }) {
    super(message || code);
    Object.assign(this, { code, status, requestId, retryAfter });
  }
}

const csrfToken = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

/** The signed-in customer's token, fetched once and kept in memory; call `renew()` after the API has refused it. */
export class Token {
  constructor(url) {
    this.url = url;
    this.pending = null;
  }

  get() {
    this.pending ??= mint(this.url).catch((failure) => {
      this.pending = null;
      throw failure;
    });
    return this.pending;
  }

  /** Replace `old`. A call that failed with it may get here after another call has renewed it. */
  async renew(old) {
    if ((await this.pending) === old) this.pending = null;
    return this.get();
  }
}

async function mint(url) {
  const response = await request(url, { method: "POST", headers: { "X-CSRFToken": csrfToken() } });
  return (await response.json()).token;
}

/** `fetch` of one of our own URLs. Throws ApiFailure for anything but success. */
export async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new ApiFailure({ code: "network" });
  }
  if (!response.ok) throw failure(response.status, await response.text(), (name) => response.headers.get(name));
  return response;
}

/**
 * POST a form, its fields as pairs of name and value. Returns the response: `blob` is its body (for `/rmbg`, the image), and
 * `header(name)` is a header's text, null if there is none.
 *
 * `token` is a Token or null for an anonymous call; `key` makes a retry cost nothing if the first try was delivered.
 * `onProgress` gets the fraction of the upload that is done, 0-1; at 1 the server is processing. Throws ApiFailure, and
 * the signal's AbortError.
 */
export async function upload(url, fields, { token = null, key = "", signal, onProgress = () => {} }) {
  const send = (bearer) => post(url, fields, headersFor(bearer, key), signal, onProgress);
  if (token === null) return send(null);
  const bearer = await token.get();
  try {
    return await send(bearer);
  } catch (error) {
    if (error.status !== 401) throw error;
    return send(await token.renew(bearer));
  }
}

function headersFor(bearer, key) {
  return { ...(bearer && { Authorization: `Bearer ${bearer}` }), ...(key && { "Idempotency-Key": key }) };
}

// Only XMLHttpRequest reports upload progress.
function post(url, fields, headers, signal, onProgress) {
  return new Promise((done, fail) => {
    if (signal?.aborted) return fail(signal.reason);
    const call = new XMLHttpRequest();
    call.open("POST", url);
    call.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    const abort = () => call.abort();
    signal?.addEventListener("abort", abort);
    call.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    call.upload.onload = () => onProgress(1);
    call.onerror = () => fail(new ApiFailure({ code: "network" }));
    call.onabort = () => fail(signal.reason);
    call.onload = () => settle(call, done, fail);
    call.onloadend = () => signal?.removeEventListener("abort", abort);
    call.send(form(fields));
  });
}

async function settle(call, done, fail) {
  const header = (name) => call.getResponseHeader(name);
  if (call.status >= 200 && call.status < 300) return done({ blob: call.response, header });
  fail(failure(call.status, await call.response.text(), header));
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of fields) {
    if (value instanceof File) data.append(name, value, sentName(value.name));
    else data.append(name, value);
  }
  return data;
}

function failure(status, text, header) {
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // Perhaps a proxy's error page: the status is enough.
  }
  return new ApiFailure({
    code: body.code ?? `http_${status}`,
    status,
    message: body.error,
    requestId: header("X-Request-Id") ?? "",
    retryAfter: Number(header("Retry-After")) || 0,
  });
}

/** A random name for one try and its retries. */
export function randomKey() {
  // Not randomUUID(): browsers have it only on secure origins.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
