import { type Limits, startLimits } from "./limits.js";
import { addressOf, credentials, formFields, idempotency, usagePath } from "./parameters.js";
import type { Answer, Platform } from "./platform.js";
import { errorFrom, invalidResponse } from "./problems.js";
import { meter } from "./progress.js";
import { withRetries } from "./retry.js";
import type { Connection, Facts, MembershipUsage, ProgressListener, Rembg, RembgCall, UsageCall } from "./types.js";

const DEFAULT_TIMEOUT_MS = 600_000;
const DEFAULT_RETRIES = 2;

/** The two calls, on a platform. */
export function createClient<Input, Body, Reply extends Answer, Delivered>(
  platform: Platform<Input, Body, Reply, Delivered>,
) {
  async function rembg(call: RembgCall<Input>) {
    const { inputImage, options = {} } = call;
    const url = addressOf(call.baseUrl ?? platform.defaultBaseUrl(), "/rmbg");
    const headers = { ...credentials(call), ...idempotency(call, platform.newKey) };
    return within(call, async (limits) => {
      const body = await platform.makeForm(inputImage, formFields(options));
      const upload = meter("upload", guarded(call.onUploadProgress, limits));
      const download = meter("download", guarded(call.onDownloadProgress, limits));
      return async () => {
        const [onUpload, onDownload] = [upload(), download()];
        const { signal } = limits;
        const reply = await succeed(platform.send({ method: "POST", url, headers, body, signal, onUpload, onDownload }));
        if (!reply.header("content-type")?.startsWith("image/")) throw await notPicture(reply);
        const delivered = options.returnBase64 ? { base64Image: await platform.toDataUrl(reply) } : await platform.deliver(reply);
        // The call may have been ended just as the last bytes arrived: then its result must not be left behind.
        if (signal.aborted) await (delivered as { cleanup?: () => Promise<void> }).cleanup?.();
        signal.throwIfAborted();
        return { ...delivered, ...factsOf(reply) };
      };
    });
  }

  async function membershipUsage(call: UsageCall) {
    const url = addressOf(call.baseUrl ?? platform.defaultBaseUrl(), usagePath(call));
    const headers = credentials(call);
    return within(call, async ({ signal }) => async () => {
      const reply = await succeed(platform.send({ method: "GET", url, headers, signal }));
      const text = await reply.text();
      try {
        return JSON.parse(text);
      } catch {
        throw invalidResponse(reply, "The response is not JSON");
      }
    });
  }

  return { rembg: rembg as Rembg<Input, Delivered & Facts>, membershipUsage: membershipUsage as MembershipUsage };
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

async function succeed<Reply extends Answer>(sent: Promise<Reply>): Promise<Reply> {
  const reply = await sent;
  if (reply.status !== 200) throw await errorFrom(reply);
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
