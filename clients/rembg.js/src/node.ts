import { randomUUID } from "node:crypto";
import { createClient } from "./client.js";
import { receiveDataUrl, receiveFile } from "./node_output.js";
import { send } from "./node_http.js";
import { makeForm } from "./node_form.js";
import type { BatchResult, CreateBatch, FileResult, MembershipUsage, ReadBatch, Rembg } from "./types.js";

export { RembgError } from "./error.js";
export type { FieldProblem } from "./error.js";
export type * from "./types.js";

/** The path of a file, the bytes of a picture, or a picture as base64 (bare or a data URL). */
export type InputImage = string | Uint8Array | ArrayBuffer | Blob | { base64: string };

const DEFAULT_BASE_URL = "http://127.0.0.1:8000";

const client = createClient({
  defaultBaseUrl: () => process.env.REMBG_BASE_URL || DEFAULT_BASE_URL,
  newKey: randomUUID,
  makeForm,
  send,
  deliver: receiveFile,
  toDataUrl: receiveDataUrl,
});

export const rembg: Rembg<InputImage, FileResult> = client.rembg;
export const membershipUsage: MembershipUsage = client.membershipUsage;
export const createBatch: CreateBatch<InputImage> = client.createBatch;
export const readBatch: ReadBatch = client.readBatch;
export const batchResult: BatchResult<FileResult> = client.batchResult;
export default rembg;
