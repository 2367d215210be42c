import { type Limits, startLimits } from "./limits.js";
import { addressOf, backgroundOf, batchFields, batchPath, credentials, formFields, idempotency, usagePath } from "./parameters.js";
import type { Answer, Platform, Request } from "./platform.js";
import { errorFrom, invalidResponse } from "./problems.js";
import { meter } from "./progress.js";
import { withRetries } from "./retry.js";
import type {
  BatchCall, BatchResult, BatchResultCall, Connection, CreateBatch, Facts, MembershipUsage, ProgressListener, ReadBatch,
  ReadBatchCall, Rembg, RembgCall, UsageCall,
} from "./types.js";

type Unsigned<Body> = Omit<Request<Body>, "signal">;

const DEFAULT_TIMEOUT_MS = 600_000;
const DEFAULT_RETRIES = 2;

/** The calls, on a platform. */
export function createClient<Input, Body, Reply extends Answer, Delivered>(
  platform: Platform<Input, Body, Reply, Delivered>,
) {
  const urlOf = (call: Connection, path: string) => addressOf(call.baseUrl ?? platform.defaultBaseUrl(), path);

  async function rembg(call: RembgCall<Input>) {
    const { inputImage, options = {} } = call;
    const url = urlOf(call, "/rmbg");
    const headers = { ...credentials(call), ...idempotency(call, platform.newKey) };
    return within(call, async (limits) => {
      const files = [{ field: "image", input: inputImage, label: "inputImage" }, ...backgroundOf(options)];
      const body = await platform.makeForm(files, formFields(options));
      const upload = meter("upload", guarded(call.onUploadProgress, limits));
      const download = meter("download", guarded(call.onDownloadProgress, limits));
      return () => picture({ method: "POST", url, headers, body, onUpload: upload(), onDownload: download() }, options, limits);
    });
  }

  async function createBatch(call: BatchCall<Input>) {
    const { inputImages, options = {} } = call;
    const url = urlOf(call, "/api/batches");
    const headers = { ...credentials(call), ...idempotency(call, platform.newKey) };
    return within(call, async (limits) => {
      const images = inputImages.map((input, index) => ({ field: "image", input, label: `inputImages[${index}]` }));
      const body = await platform.makeForm([...images, ...backgroundOf(options)], batchFields(call));
      const upload = meter("upload", guarded(call.onUploadProgress, limits));
      return () => json({ method: "POST", url, headers, body, onUpload: upload() }, limits, 202);
    });
  }

  async function readBatch(call: ReadBatchCall) {
    return get(call, batchPath(call.id));
  }

  async function batchResult(call: BatchResultCall) {
    const path = `${batchPath(call.id)}/items/${Number(call.index)}/results/${Number(call.result ?? 0)}`;
    const [url, headers] = [urlOf(call, path), credentials(call)];
    return within(call, async (limits) => () => picture({ method: "GET", url, headers }, call, limits));
  }

  async function membershipUsage(call: UsageCall) {
    return get(call, usagePath(call));
  }

  async function get(call: Connection, path: string) {
    const [url, headers] = [urlOf(call, path), credentials(call)];
    return within(call, async (limits) => () => json({ method: "GET", url, headers }, limits));
  }

  async function picture(request: Unsigned<Body>, { returnBase64 }: { returnBase64?: boolean }, { signal }: Limits) {
    const reply = await succeed(platform.send({ ...request, signal }));
    if (!reply.header("content-type")?.startsWith("image/")) throw await notPicture(reply);
    const delivered = returnBase64 ? { base64Image: await platform.toDataUrl(reply) } : await platform.deliver(reply);
    // The call may have been ended just as the last bytes arrived: then its result must not be left behind.
    if (signal.aborted) await (delivered as { cleanup?: () => Promise<void> }).cleanup?.();
    signal.throwIfAborted();
    return { ...delivered, ...factsOf(reply) };
  }

  async function json(request: Unsigned<Body>, { signal }: Limits, status = 200) {
    const reply = await succeed(platform.send({ ...request, signal }), status);
    const text = await reply.text();
    try {
      return JSON.parse(text);
    } catch {
      throw invalidResponse(reply, "The response is not JSON");
    }
  }

  return {
    rembg: rembg as Rembg<Input, Delivered & Facts>,
    membershipUsage: membershipUsage as MembershipUsage,
    createBatch: createBatch as CreateBatch<Input>,
    readBatch: readBatch as ReadBatch,
    batchResult: batchResult as BatchResult<Delivered & Facts>,
  };
}

/** Runs the attempt that `prepare` returns, with the retries and within the limits of the call. */
async function within<Result>(call: Connection, prepare: (limits: Limits) => Promise<() => Promise<Result>>): Promise<Result> {
  const limits = startLimits(call.timeout ?? DEFAULT_TIMEOUT_MS, call.signal);
  try {
    limits.signal.throwIfAborted();
    return await withRetries(await prepare(limits), call.retries ?? DEFAULT_RETRIES, limits);
  } finally {
    limits.release();
  }
}

async function succeed<Reply extends Answer>(sent: Promise<Reply>, status = 200): Promise<Reply> {
  const reply = await sent;
  if (reply.status !== status) throw await errorFrom(reply);
  return reply;
}

/** Reads the body, which frees the connection. */
async function notPicture(reply: Answer) {
  await reply.text();
  return invalidResponse(reply, "The response is not a picture");
}

/** If a listener throws, the call ends and rejects with that error. */
function guarded(listener: ProgressListener | undefined, limits: Limits): ProgressListener | undefined {
  return listener && ((event) => {
    try {
      listener(event);
    } catch (error) {
      limits.abort(error);
    }
  });
}

function factsOf(answer: Answer): Facts {
  const number = (name: string) => {
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
      height: number("x-foreground-height") ?? 0,
    },
    creditsCharged: number("x-credits-charged"),
    model: answer.header("x-model"),
    confidence: number("x-confidence"),
    requestId: answer.header("x-request-id"),
  };
}
