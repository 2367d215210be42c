import type { Listener } from "./progress.js";

/** An answer whose headers are there; its body may still be on the way. */
export interface Answer {
  status: number;
  header(name: string): string | null;
  /** The body as text; a very long one is cut. */
  text(): Promise<string>;
}

export interface Request<Body> {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  body?: Body;
  /** Ends the request, and whatever is left of its answer. */
  signal: AbortSignal;
  onUpload?: Listener;
  /** Hears of the bytes of a success only. */
  onDownload?: Listener;
}

/** Text fields of a form. */
export type Fields = Record<string, string>;

/** What Node and browsers do differently. */
export interface Platform<Input, Body, Reply extends Answer, Delivered> {
  defaultBaseUrl(): string;
  /** A new idempotency key. */
  newKey(): string;
  /** Makes a form that can be sent several times. Throws `invalid_input`. */
  makeForm(input: Input, fields: Fields): Body | Promise<Body>;
  /** Rejects with `network_error`. */
  send(request: Request<Body>): Promise<Reply>;
  /** What the caller gets for a picture. */
  deliver(reply: Reply): Promise<Delivered>;
  /** The picture as a data URL. */
  toDataUrl(reply: Reply): Promise<string>;
}
