import type { Listener } from "./progress.js";

/** A response whose headers have arrived; its body may still be on its way. */
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
  /** Ends the request, and what is left of its response. */
  signal: AbortSignal;
  onUpload?: Listener;
  /** Receives the bytes of a successful response only. */
  onDownload?: Listener;
}

/** Text fields of a form. */
export type Fields = Record<string, string>;

/** A file of a form. `label` is what the caller calls it, for messages. */
export interface FilePart<Input> {
  field: string;
  input: Input;
  label: string;
}

/** What Node and browsers do differently. */
export interface Platform<Input, Body, Reply extends Answer, Delivered> {
  defaultBaseUrl(): string;
  /** A new idempotency key. */
  newKey(): string;
  /** Makes a form that can be sent several times. Throws `invalid_input`. */
  makeForm(files: FilePart<Input>[], fields: Fields): Body | Promise<Body>;
  /** Rejects with `network_error`. */
  send(request: Request<Body>): Promise<Reply>;
  /** What the caller gets for a picture. */
  deliver(reply: Reply): Promise<Delivered>;
  /** The picture as a data URL. */
  toDataUrl(reply: Reply): Promise<string>;
}
