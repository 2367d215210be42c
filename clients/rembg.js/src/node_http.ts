import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Form } from "./node_form.js";
import type { Answer, Request } from "./platform.js";
import { networkError } from "./problems.js";
import type { Listener } from "./progress.js";

const MAX_TEXT_BYTES = 1024 * 1024;

/** A response whose body is read as it arrives. */
export interface Reply extends Answer {
  /** The body. Rejects with `network_error` if it breaks off. */
  chunks(): AsyncGenerator<Buffer>;
}

/** Sends a request, and its form as fast as the connection takes it. Rejects with `network_error`. */
export function send({ method, url, headers, body, signal, onUpload, onDownload }: Request<Form>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const ofForm = body && { "content-type": body.contentType, "content-length": body.length };
    const start = url.startsWith("https:") ? requestHttps : requestHttp;
    const request = start(url, { method, headers: { ...headers, ...ofForm } });
    // Node's `signal` option throws where it cannot be caught, once the connection is back in its pool.
    const stop = () => request.destroy();
    signal.addEventListener("abort", stop);
    request.on("close", () => signal.removeEventListener("abort", stop));
    // The first error counts; after the response has begun, its body reports errors.
    let fault: unknown;
    request.on("error", (error) => reject(fault ?? networkError(error)));
    request.on("response", (message) => resolve(replyOf(message, request, onDownload)));
    if (!body) return request.end();
    return upload(request, body, onUpload).catch((error) => {
      fault = error;
      if (!request.destroyed) request.destroy(error);
    });
  });
}

async function upload(request: ClientRequest, form: Form, onUpload?: Listener): Promise<void> {
  let sent = 0;
  for await (const chunk of form.chunks()) {
    await write(request, chunk);
    sent += chunk.length;
    onUpload?.(sent, form.length);
  }
  request.end();
}

/** Resolves once the operating system has taken the bytes: progress is then real, and the chunk can be reused. */
function write(request: ClientRequest, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // A request that fails before it has a connection never calls back.
    const closed = () => reject(networkError());
    request.once("close", closed);
    request.write(chunk, (error) => {
      request.off("close", closed);
      if (error) reject(networkError(error));
      else resolve();
    });
  });
}

function replyOf(message: IncomingMessage, request: ClientRequest, onDownload?: Listener): Reply {
  const header = (name: string) => {
    const value = message.headers[name];
    return value === undefined ? null : String(value);
  };
  const chunks = (listener?: Listener) => read(message, request, listener);
  return {
    status: message.statusCode ?? 0,
    header,
    chunks: () => chunks(onDownload),
    text: () => readText(chunks()),
  };
}

async function* read(message: IncomingMessage, request: ClientRequest, listener?: Listener): AsyncGenerator<Buffer> {
  const total = message.headers["content-length"] === undefined ? undefined : Number(message.headers["content-length"]);
  let received = 0;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      received += chunk.length;
      listener?.(received, total);
      yield chunk;
    }
  } catch (error) {
    throw networkError(error);
  } finally {
    // A response that comes before the form is sent stops the upload; a finished connection goes back to its pool.
    if (!request.writableFinished || !message.complete) request.destroy();
  }
}

async function readText(chunks: AsyncIterable<Buffer>): Promise<string> {
  const kept: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    kept.push(chunk);
    length += chunk.length;
    if (length > MAX_TEXT_BYTES) break;
  }
  return Buffer.concat(kept).toString();
}
