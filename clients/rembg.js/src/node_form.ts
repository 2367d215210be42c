import { randomUUID } from "node:crypto";
import type { Fields, FilePart } from "./platform.js";
import { findSource, type Source } from "./node_source.js";

/** A form of known length that can be read several times, each time from the beginning. */
export interface Form {
  length: number;
  contentType: string;
  /** The bytes. A chunk is valid only until the next one is requested. */
  chunks(): AsyncGenerator<Uint8Array>;
}

/** `multipart/form-data` (RFC 7578) with the text fields first and the files last. Throws `invalid_input`. */
export async function makeForm(files: FilePart<unknown>[], fields: Fields): Promise<Form> {
  const boundary = `rembg-${randomUUID()}`;
  const texts = Object.entries(fields).map(([name, value]) => `--${boundary}\r\n${disposition(name)}\r\n\r\n${value}\r\n`);
  const head = Buffer.from(texts.join(""));
  const parts = await Promise.all(files.map(async ({ field, input, label }) => {
    const source = await findSource(input, label);
    return { source, header: Buffer.from(`--${boundary}\r\n${fileHeader(field, source)}\r\n\r\n`) };
  }));
  const end = Buffer.from("\r\n");
  const tail = Buffer.from(`--${boundary}--\r\n`);
  const sizes = parts.map(({ source, header }) => header.length + source.size + end.length);
  return {
    length: sizes.reduce((sum, size) => sum + size, head.length + tail.length),
    contentType: `multipart/form-data; boundary=${boundary}`,
    async *chunks() {
      yield head;
      for (const { source, header } of parts) {
        yield header;
        yield* source.chunks();
        yield end;
      }
      yield tail;
    },
  };
}

function fileHeader(field: string, { name, type }: Source): string {
  return `${disposition(field)}; filename="${escapeName(name)}"\r\nContent-Type: ${type || "application/octet-stream"}`;
}

function disposition(name: string): string {
  return `Content-Disposition: form-data; name="${name}"`;
}

/** As browsers do it (HTML standard, "multipart/form-data encoding algorithm"). */
function escapeName(name: string): string {
  return name.replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/"/g, "%22");
}
