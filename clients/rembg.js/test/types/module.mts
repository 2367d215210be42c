// What a TypeScript user of the module writes. Only checked, never run.
import rembgByDefault, { membershipUsage, rembg, RembgError, type Options, type TransferProgress } from "@rembg-platform/rembg.js";

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

const usage = await membershipUsage({ apiKey: "key", expand: "billing_cycle" });
const left: number | undefined = usage.billingCycle?.remainingIncludedCredits;
const { billingCycles } = await membershipUsage({ apiKey: "key", listBillingCycles: true });
const ends: number[] = billingCycles.map((cycle) => cycle.periodEndUnix);
const facts = (error: unknown) => error instanceof RembgError && [error.status, error.code, error.details[0]?.field, error.requestId];

// @ts-expect-error: there is no such format
await rembg({ inputImage: "a.png", options: { format: "gif" } });
// @ts-expect-error: something has to be cut out
await rembg({ apiKey: "key" });

export { path, width, text, left, ends, facts };
