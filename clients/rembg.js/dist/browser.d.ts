import type { BatchResult, BlobResult, CreateBatch, MembershipUsage, ReadBatch, Rembg } from "./types.js";
export { RembgError } from "./error.js";
export type { FieldProblem } from "./error.js";
export type * from "./types.js";
/** A File of an `<input>`, any Blob, the bytes of a picture, or a picture as base64 (bare or a data URL). */
export type InputImage = Blob | Uint8Array | ArrayBuffer | {
    base64: string;
};
export declare const rembg: Rembg<InputImage, BlobResult>;
export declare const membershipUsage: MembershipUsage;
export declare const createBatch: CreateBatch<InputImage>;
export declare const readBatch: ReadBatch;
export declare const batchResult: BatchResult<BlobResult>;
export default rembg;
