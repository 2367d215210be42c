import type { BatchResult, CreateBatch, FileResult, MembershipUsage, ReadBatch, Rembg } from "./types.js";
export { RembgError } from "./error.js";
export type { FieldProblem } from "./error.js";
export type * from "./types.js";
/** The path of a file, the bytes of a picture, or a picture as base64 (bare or a data URL). */
export type InputImage = string | Uint8Array | ArrayBuffer | Blob | {
    base64: string;
};
export declare const rembg: Rembg<InputImage, FileResult>;
export declare const membershipUsage: MembershipUsage;
export declare const createBatch: CreateBatch<InputImage>;
export declare const readBatch: ReadBatch;
export declare const batchResult: BatchResult<FileResult>;
export default rembg;
