import type { Fields, FilePart } from "./platform.js";
import { invalidInput } from "./problems.js";
import type { BatchCall, Connection, OptionsWith, UsageCall } from "./types.js";

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** The form's text fields. Unset options are not sent: the server's defaults apply. */
export function formFields(options: OptionsWith<unknown>): Fields {
  const { returnBase64: _, bg_image: __, returnMask, mask, ...others } = options;
  return texts({ ...others, mask: mask ?? returnMask });
}

/** The image behind the subject as a file of the form, if there is one. */
export function backgroundOf<Input>({ bg_image }: OptionsWith<Input>): FilePart<Input>[] {
  return bg_image === undefined || bg_image === null ? [] : [{ field: "bg_image", input: bg_image, label: "options.bg_image" }];
}

/** The text fields of a batch. */
export function batchFields(call: BatchCall<unknown>): Fields {
  const { options = {}, outputs, callbackUrl } = call;
  return texts({ ...formFields(options), outputs: outputs && JSON.stringify(outputs), callback_url: callbackUrl });
}

/** The path of a batch. The server's own `url` is not used: a key goes to no address that an answer names. */
export function batchPath(id: string): string {
  if (!/^[0-9a-f-]{36}$/i.test(id)) throw invalidInput(`${id} is not the id of a batch`);
  return `/api/batches/${id}`;
}

/** The address of `membershipUsage`, with its query. */
export function usagePath(call: UsageCall): string {
  const { year, month, periodStartUnix, expand, includeBillingCycle, listBillingCycles } = call;
  const query = new URLSearchParams(texts({
    year,
    month,
    periodStartUnix,
    expand: expand && String(expand),
    includeBillingCycle: includeBillingCycle || undefined,
    listBillingCycles: listBillingCycles || undefined,
  }));
  return `/api/membership-usage?${query}`;
}

/** The caller's credential goes into a header, and nowhere else. Throws `invalid_input` for an unusable one. */
export function credentials(call: Connection & { userToken?: string }): Record<string, string> {
  const apiKey = headerValue("apiKey", call.apiKey || undefined);
  const userToken = headerValue("userToken", call.userToken || undefined);
  if (apiKey && userToken) throw invalidInput("apiKey and userToken cannot be used together");
  // An empty property is most likely an unset variable, not the wish to call anonymously.
  if (!apiKey && !userToken && "apiKey" in call) throw invalidInput("apiKey is empty; leave it out to call anonymously");
  return { ...(apiKey && { "x-api-key": apiKey }), ...(userToken && { authorization: `Bearer ${userToken}` }) };
}

/** The call's idempotency key, or a new one. */
export function idempotency(call: { idempotencyKey?: string }, newKey: () => string): Record<string, string> {
  return { "idempotency-key": headerValue("idempotencyKey", call.idempotencyKey) ?? newKey() };
}

/** The whole address. Throws `invalid_input` for a `baseUrl` that is not one. */
export function addressOf(baseUrl: string, path: string): string {
  const address = `${baseUrl.replace(/\/+$/, "")}${path}`;
  if (!/^https?:\/\/./i.test(baseUrl) || !canParse(address)) throw invalidInput(`baseUrl is not an http(s) address: ${baseUrl}`);
  return address;
}

function headerValue(name: string, value: string | undefined): string | undefined {
  // A key that was read from a file ends in a line feed.
  const text = value?.trim();
  if (text !== undefined && !VISIBLE_ASCII.test(text)) throw invalidInput(`${name} holds what a header cannot hold`);
  return text;
}

function texts(values: object): Fields {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(set.map(([name, value]) => [name, String(value)]));
}

function canParse(address: string): boolean {
  try {
    return Boolean(new URL(address));
  } catch {
    return false;
  }
}
