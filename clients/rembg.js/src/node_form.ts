import { randomUUID } from "node:crypto";
import type { Fields } from "./platform.js";
import { findSource, type Source } from "./node_source.js";

/** A form of known length that can be read several times, each time from the beginning. */
export interface Form {
  length: number;
  contentType: string;
  /** The bytes. A chunk is valid only until the next one is requested. */
  chunks(): AsyncGenerator<Uint8Array>;
}

/** `multipart/form-data` (RFC 7578) with the text fields first and the picture last. Throws `invalid_input`. */
export async function makeForm(input: unknown, fields: Fields): Promise<Form> {
  const source = await findSource(input);
  const boundary = `rembg-${randomUUID()}`;
  const texts = Object.entries(fields).map(([name, value]) => `--${boundary}\r\n${disposition(name)}\r\n\r\n${value}\r\n`);
  const head = Buffer.from(`${texts.join("")}--${boundary}\r\n${pictureHeader(source)}\r\n\r\n`);
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  return {
    length: head.length + source.size + tail.length,
    contentType: `multipart/form-data; boundary=${boundary}`,
    async *chunks() {
      yield head;
      yield* source.chunks();
      yield tail;
    },
  };
}

function pictureHeader({ name, type }: Source): string {
  return `${disposition("image")}; filename="${escapeName(name)}"\r\nContent-Type: ${type || "application/octet-stream"}`;
}

function disposition(name: string): string {
  return `Content-Disposition: form-data; name="${name}"`;
}

/** As browsers do it (HTML standard, "multipart/form-data encoding algorithm"). */
function escapeName(name: string): string {
  return name.replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/"/g, "%22");
}
