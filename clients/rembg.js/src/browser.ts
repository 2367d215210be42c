import { createClient } from "./client.js";
import { nameFor, parseBase64 } from "./data_url.js";
import type { Answer, Fields, FilePart, Request } from "./platform.js";
import { invalidInput, networkError } from "./problems.js";
import type { BatchResult, BlobResult, CreateBatch, MembershipUsage, ReadBatch, Rembg } from "./types.js";

export { RembgError } from "./error.js";
export type { FieldProblem } from "./error.js";
export type * from "./types.js";

/** A File of an `<input>`, any Blob, the bytes of a picture, or a picture as base64 (bare or a data URL). */
export type InputImage = Blob | Uint8Array | ArrayBuffer | { base64: string };

interface Reply extends Answer {
  blob: Blob;
}

const KEY_BYTES = 16;

const client = createClient({
  defaultBaseUrl: () => location.origin,
  newKey,
  makeForm,
  send,
  deliver: async ({ blob }: Reply) => {
    const url = URL.createObjectURL(blob);
    return { blob, url, cleanup: async () => URL.revokeObjectURL(url) };
  },
  toDataUrl: ({ blob }) => readDataUrl(blob),
});

export const rembg: Rembg<InputImage, BlobResult> = client.rembg;
export const membershipUsage: MembershipUsage = client.membershipUsage;
export const createBatch: CreateBatch<InputImage> = client.createBatch;
export const readBatch: ReadBatch = client.readBatch;
export const batchResult: BatchResult<BlobResult> = client.batchResult;
export default rembg;

/** `crypto.randomUUID` is missing on pages without HTTPS. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function makeForm(files: FilePart<InputImage>[], fields: Fields): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const { field, input, label } of files) {
    const blob = toBlob(input, label);
    form.append(field, blob, (blob as Partial<File>).name ?? nameFor(blob.type));
  }
  return form;
}

function toBlob(input: InputImage, label: string): Blob {
  if (input instanceof Blob) return input;
  if (ArrayBuffer.isView(input) || input instanceof ArrayBuffer) return new Blob([input as BlobPart]);
  if (typeof input?.base64 !== "string") {
    throw invalidInput(`${label} must be a File, a Blob, a Uint8Array, an ArrayBuffer or { base64 }`);
  }
  const { data, type } = parseBase64(input.base64, label);
  return new Blob([decode(data, label)], { type });
}

function decode(base64: string, label: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch (error) {
    throw invalidInput(`${label}.base64 is not valid base64`, error);
  }
}

/** Uses XMLHttpRequest, because fetch does not report an upload's progress. */
function send({ method, url, headers, body, signal, onUpload, onDownload }: Request<FormData>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    xhr.open(method, url);
    xhr.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (onUpload) xhr.upload.onprogress = xhr.upload.onload = ({ loaded, total }) => onUpload(loaded, total);
    xhr.onprogress = ({ loaded, total, lengthComputable }) => {
      if (xhr.status === 200) onDownload?.(loaded, lengthComputable ? total : undefined);
    };
    xhr.onload = () => resolve(replyOf(xhr));
    xhr.onerror = () => reject(networkError());
    xhr.onabort = () => reject(signal.reason);
    xhr.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    xhr.send(body);
  });
}

function replyOf(xhr: XMLHttpRequest): Reply {
  const blob: Blob = xhr.response;
  return { status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: () => blob.text(), blob };
}

function readDataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(networkError(reader.error));
    reader.readAsDataURL(blob);
  });
}
