/** Picture formats that the server delivers, in any letter case. `jpg` is `jpeg`. */
export type Format = "webp" | "png" | "jpeg" | "jpg" | "bmp" | "WEBP" | "PNG" | "JPEG" | "JPG" | "BMP";

/** What is done to the picture. Everything is optional; the server's defaults apply. */
export interface Options {
  /** Format of the result. Default `webp`. */
  format?: Format;
  /** Return a data URL (`base64Image`) instead of a file or a Blob. */
  returnBase64?: boolean;
  /** Deliver the alpha matte alone, as a grey picture: white is the subject. */
  returnMask?: boolean;
  /** The same as `returnMask`, by the name of the API. */
  mask?: boolean;
  /** Width of the result in pixels, 1 to 10000; 0 is unset. With `h` too, the largest size that fits inside both. */
  w?: number;
  /** Height of the result in pixels, 1 to 10000; 0 is unset. */
  h?: number;
  /** With both `w` and `h`: exactly that size, even if it distorts. */
  exact_resize?: boolean;
  /** Degrees to turn counter-clockwise, -360 to 360. */
  angle?: number;
  /** Grow the canvas so that a turned picture is not cropped. Default true. */
  expand?: boolean;
  /** What to lay the subject on: `#RGB`, `#RGBA`, `#RRGGBB`, `#RRGGBBAA` or a CSS colour name. */
  bg_color?: string;
  /** The model that makes the matte: a name that `GET /api/models` lists, or pinned, such as `u2net@8d10d2f3bb75`. */
  model?: string;
  /** Look a second time where the subject is small, or the image very wide or tall, or once. Default "auto". */
  detail?: "auto" | "fast";
  /** Give the pixels of the edge the subject's own colour. Default true. */
  decontaminate?: boolean;
  /** Cut to the box of the subject. Default false; true with `fit: "pad"`. */
  crop?: boolean;
  /** With `crop`: room around the subject, 1, 2 or 4 values as CSS orders them, in px or % of the subject. */
  crop_margin?: string | number;
  /** Region of interest: left, top, right, bottom, in px or %. All outside of it is background. */
  roi?: string;
  /** Size of the subject: 10 to 100 % of the canvas. */
  scale?: string | number;
  /** `center`, `original`, or one or two percentages, across and down. */
  position?: string;
  /** With both `w` and `h`: `pad` fits the subject into a canvas of that size. Default `inside`. */
  fit?: "inside" | "exact" | "pad";
  /** With `fit: "pad"`: room at the sides of the canvas, 1, 2 or 4 values, in px or % of the canvas. */
  padding?: string | number;
  /** A subject that the picture's edge cuts off stays at that edge. Default: that of `crop`. */
  snap?: boolean;
  /** The public address of a picture to lay behind the subject. */
  bg_image_url?: string;
  /** The picture's own background, blurred by 0 to 100, behind the subject. */
  bg_blur?: number;
  /** Default `none`. */
  shadow?: "none" | "drop" | "contact";
  /** 0 to 100. */
  shadow_opacity?: number;
  /** As `bg_color`. Default black. */
  shadow_color?: string;
  /** In px, or % of the subject's longer side. */
  shadow_blur?: string | number;
  /** To the right and down, in px or % of the subject's longer side. */
  shadow_offset?: string;
  /** The fields that a marketplace's images need; an option next to it wins. */
  preset?: "amazon" | "ebay" | "etsy" | "google" | "shopify" | "walmart" | (string & {});
  /** 1 to 100, of jpeg and webp. */
  quality?: number;
  /** Written into png and jpeg. */
  dpi?: number;
}

/** The options, with an image to lay behind the subject, which takes what `inputImage` takes. */
export type OptionsWith<Input> = Options & { bg_image?: Input };

/**
 * One of several results of each picture of a batch: options in place of those of the batch. `null` takes an option of the
 * batch away. `model`, `roi` and `detail` are the same for all outputs.
 */
export type BatchOutput = { [Name in Exclude<keyof Options, "returnBase64" | "returnMask" | "model" | "roi" | "detail" | "bg_image_url">]?: Options[Name] | null } & {
  /** Goes into the file's name: 1 to 32 of `a-z`, `0-9`, `_` and `-`. */
  name?: string | null;
  /** Without the batch's background. */
  bg_image?: null;
  bg_image_url?: null;
};

/** How far a transfer has come. Sizes are bytes of the whole body. */
export interface TransferProgress {
  loaded: number;
  /** Undefined if the other side does not send it. */
  total?: number;
  /** `loaded / total`, 0 to 1. */
  progress?: number;
  /** Bytes since the previous event. */
  bytes: number;
  /** Bytes a second, on average. */
  rate?: number;
  /** Seconds left at that rate. */
  estimated?: number;
  lengthComputable: boolean;
  upload?: true;
  download?: true;
}

export type ProgressListener = (event: TransferProgress) => void;

/** What every call takes. */
export interface Connection {
  /** Sent as `x-api-key`. Leave it out to call anonymously, within the server's daily allowance. */
  apiKey?: string;
  /** Where the server is. Default: `REMBG_BASE_URL`, else `http://127.0.0.1:8000`; in browsers, the page's own origin. */
  baseUrl?: string;
  /** Cancels the call. */
  signal?: AbortSignal;
  /** Milliseconds for the whole call, all tries and waits included. Default 600000; 0 for none. */
  timeout?: number;
  /** How often a temporary failure is retried. Default 2. */
  retries?: number;
}

/** A call with a key, or with a signed-in user's token instead of it. */
export interface Signed extends Connection {
  userToken?: string;
}

/** What `rembg` takes. */
export interface RembgCall<Input> extends Signed {
  inputImage: Input;
  /** Visible ASCII, up to 255 characters. The same key, picture and options are charged once in 24 hours. Random by default. */
  idempotencyKey?: string;
  onUploadProgress?: ProgressListener;
  onDownloadProgress?: ProgressListener;
  options?: OptionsWith<Input>;
}

/** Pixels. All are 0 where there is no subject. */
export interface Foreground {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What the server reports about a result. A field is null if the server, or a proxy in front of it, does not send it. */
export interface Facts {
  /** Pixels. */
  width: number | null;
  height: number | null;
  /** The subject's box, in pixels of the result; of a cropped one, in those of the uncropped picture at its scale. */
  foreground: Foreground | null;
  /** 0 for an anonymous call, and if an earlier try with the same idempotency key was charged. */
  creditsCharged: number | null;
  /** Name and version of the model that made the matte, and the engine that ran it. */
  model: string | null;
  /** How sure the model is of the matte, 0 to 1. */
  confidence: number | null;
  requestId: string | null;
}

/** The picture as a data URL, with `returnBase64`. */
export interface Base64Result extends Facts {
  base64Image: string;
  outputImagePath?: undefined;
  blob?: undefined;
  url?: undefined;
  cleanup?: undefined;
}

/** The picture as a temporary file, in Node. */
export interface FileResult extends Facts {
  outputImagePath: string;
  /** Removes the file. */
  cleanup: () => Promise<void>;
  base64Image?: undefined;
}

/** The picture in memory, in browsers. */
export interface BlobResult extends Facts {
  blob: Blob;
  /** An object URL of the Blob, for `<img src>` or a download. */
  url: string;
  /** Revokes the URL. */
  cleanup: () => Promise<void>;
  base64Image?: undefined;
}

/** Removes the background of one picture. Rejects with a `RembgError`. */
export interface Rembg<Input, Delivered> {
  (call: RembgCall<Input> & { options: { returnBase64: true } }): Promise<Base64Result>;
  (call: RembgCall<Input> & { options?: { returnBase64?: false } }): Promise<Delivered>;
  (call: RembgCall<Input>): Promise<Base64Result | Delivered>;
}

/** What `membershipUsage` takes. */
export interface UsageCall extends Connection {
  /** A calendar month in UTC. A missing year or month is the current one's. */
  year?: number;
  month?: number;
  /** A billing window, by the second at which it starts; not together with `year` or `month`. */
  periodStartUnix?: number;
  /** `billing_cycle` adds the billing cycle. */
  expand?: string | string[];
  /** The same as `expand: "billing_cycle"`. */
  includeBillingCycle?: boolean;
  /** List all billing cycles, and nothing else. */
  listBillingCycles?: boolean;
}

export interface BillingWindow {
  periodStartUnix: number;
  periodEndUnix: number;
  appUsage: number;
  apiUsage: number;
}

export interface BillingCycle extends BillingWindow {
  includedCredits: number;
  prepaidCredits: number;
  usedIncludedCredits: number;
  remainingIncludedCredits: number;
  stripeBillingSynced: boolean;
}

export interface UsageResult {
  /** The plan's label. */
  membership: string;
  /** The plan's included allowance. */
  credits: number;
  prepaidCredits: number;
  /** Included credits used by the web app and by API keys, in the month or window asked for. */
  app_usage: number;
  api_usage: number;
  billingCycle?: BillingCycle;
}

/** Plan, credits and usage of the key's owner. Rejects with a `RembgError`. */
export interface MembershipUsage {
  (call: UsageCall & { listBillingCycles: true }): Promise<{ billingCycles: BillingWindow[] }>;
  (call: UsageCall): Promise<UsageResult>;
}

/** What `createBatch` takes. */
export interface BatchCall<Input> extends Signed {
  /** Up to 500 pictures, 2 GB in all. */
  inputImages: Input[];
  /** For all pictures. */
  options?: Omit<OptionsWith<Input>, "returnBase64">;
  /** Up to five results of each picture, for one credit. */
  outputs?: BatchOutput[];
  /** A public address that is called when the batch has ended. */
  callbackUrl?: string;
  /** As that of `rembg`: the same key, pictures and options make one batch. */
  idempotencyKey?: string;
  onUploadProgress?: ProgressListener;
}

/** What `readBatch` takes. */
export interface ReadBatchCall extends Signed {
  id: string;
}

/** What `batchResult` takes. */
export interface BatchResultCall extends ReadBatchCall {
  /** Of the picture, from 0. */
  index: number;
  /** Which of several results, from 0, in the order of `outputs`. */
  result?: number;
  /** Return a data URL (`base64Image`) instead of a file or a Blob. */
  returnBase64?: boolean;
}

/** One of several results of a picture. */
export interface BatchItemResult {
  /** The output's name, if it has one. */
  name: string | null;
  url: string | null;
  media_type: string;
  width: number;
  height: number;
  /** Left, top, width and height of the subject. */
  foreground: [number, number, number, number];
  bytes: number;
}

/** One picture of a batch. */
export interface BatchItem {
  index: number;
  name: string;
  status: "queued" | "running" | "done" | "failed" | "cancelled";
  /** Why there is no result. */
  code: string | null;
  error: string | null;
  width: number | null;
  height: number | null;
  foreground: [number, number, number, number] | null;
  bytes: number | null;
  model: string | null;
  confidence: number | null;
  result_url: string | null;
  /** With `outputs` alone. The fields above are then those of the first. */
  results?: BatchItemResult[];
}

/** A batch, as the server describes it. */
export interface Batch {
  id: string;
  status: "processing" | "finished" | "cancelled";
  url: string;
  counts: { total: number; queued: number; running: number; done: number; failed: number; cancelled: number };
  credits: { held: number; charged: number };
  zip_url: string | null;
  items: BatchItem[];
}

/** Sends many pictures at once. Resolves as soon as they have arrived. Rejects with a `RembgError`. */
export type CreateBatch<Input> = (call: BatchCall<Input>) => Promise<Batch>;

/** What became of a batch. Rejects with a `RembgError`. */
export type ReadBatch = (call: ReadBatchCall) => Promise<Batch>;

/** One result of a batch. Rejects with a `RembgError`. */
export interface BatchResult<Delivered> {
  (call: BatchResultCall & { returnBase64: true }): Promise<Base64Result>;
  (call: BatchResultCall & { returnBase64?: false }): Promise<Delivered>;
  (call: BatchResultCall): Promise<Base64Result | Delivered>;
}
