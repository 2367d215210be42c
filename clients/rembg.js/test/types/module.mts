// What a TypeScript user of the module writes. Only checked, never run.
import rembgByDefault, {
  batchResult, createBatch, membershipUsage, readBatch, rembg, RembgError, type BatchOutput, type Options, type TransferProgress,
} from "@rembg-platform/rembg.js";

/** The shape of the event of axios, which listeners written for the public client take. */
interface AxiosProgressEvent {
  loaded: number;
  total?: number;
  progress?: number;
  bytes: number;
  rate?: number;
  estimated?: number;
  upload?: boolean;
  download?: boolean;
  lengthComputable: boolean;
}

const options: Options = { format: "PNG", w: 1, h: 1, exact_resize: true, angle: 1, expand: false, bg_color: "red", returnMask: true };
const listener = (event: AxiosProgressEvent) => console.log(event.loaded);
const detailed = (event: TransferProgress) => console.log(event.estimated?.toFixed());

const file = await rembgByDefault({ apiKey: "key", inputImage: "a.png", options, onUploadProgress: listener });
const path: string = file.outputImagePath!;
await file.cleanup?.();
const plain = await rembg({ inputImage: Buffer.alloc(1), onDownloadProgress: detailed, signal: AbortSignal.timeout(1) });
await plain.cleanup();
const width: number | null = plain.width;
const { base64Image } = await rembg({ inputImage: { base64: "" }, options: { returnBase64: true } });
const text: string = base64Image;

await rembg({ inputImage: "a.png", options: { ...options, bg_image: "b.png" } });
const outputs: BatchOutput[] = [{ name: "cutout", format: "png", bg_color: null }, { mask: true, bg_image: null, w: 800 }];
const { id } = await createBatch({ apiKey: "key", inputImages: ["a.png", Buffer.alloc(1)], options: { bg_image: Buffer.alloc(1) }, outputs });
const made: string | undefined = (await readBatch({ apiKey: "key", id })).items[0]?.results?.[1]?.media_type;
const saved: string = (await batchResult({ apiKey: "key", id, index: 0, result: 1 })).outputImagePath!;
const shown: string = (await batchResult({ apiKey: "key", id, index: 0, returnBase64: true })).base64Image;

const usage = await membershipUsage({ apiKey: "key", expand: "billing_cycle" });
const left: number | undefined = usage.billingCycle?.remainingIncludedCredits;
const { billingCycles } = await membershipUsage({ apiKey: "key", listBillingCycles: true });
const ends: number[] = billingCycles.map((cycle) => cycle.periodEndUnix);
const facts = (error: unknown) => error instanceof RembgError && [error.status, error.code, error.details[0]?.field, error.requestId];

// @ts-expect-error: there is no such format
await rembg({ inputImage: "a.png", options: { format: "gif" } });
// @ts-expect-error: one matte is made for all outputs
await createBatch({ inputImages: ["a.png"], outputs: [{ model: "u2net" }] });
// @ts-expect-error: something has to be cut out
await rembg({ apiKey: "key" });

export { path, width, text, left, ends, facts };
