import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { nameFor, parseBase64 } from "./data_url.js";
import { invalidInput } from "./problems.js";

/** Where the picture's bytes come from. */
export interface Source {
  name: string;
  /** Media type, or empty. */
  type: string;
  /** Bytes. */
  size: number;
  chunks(): AsyncGenerator<Uint8Array>;
}

const CHUNK_BYTES = 64 * 1024;

/** Throws `invalid_input`, which names `label`, for any other type, and for a file that does not exist. */
export async function findSource(input: unknown, label: string): Promise<Source> {
  if (typeof input === "string") return fileSource(input, label);
  // Not instanceof: test runners hand over Buffers of another realm.
  if (ArrayBuffer.isView(input)) return bytesSource(new Uint8Array(input.buffer, input.byteOffset, input.byteLength));
  if (input instanceof ArrayBuffer) return bytesSource(new Uint8Array(input));
  if (input instanceof Blob) return blobSource(input);
  if (isBase64(input)) {
    const { data, type } = parseBase64(input.base64, label);
    return bytesSource(Buffer.from(data, "base64"), type);
  }
  throw invalidInput(`${label} must be a path, a Buffer, a Uint8Array, an ArrayBuffer, a Blob, a File or { base64 }`);
}

function isBase64(input: unknown): input is { base64: string } {
  return typeof (input as { base64?: unknown } | null)?.base64 === "string";
}

async function fileSource(path: string, label: string): Promise<Source> {
  const facts = await stat(path).catch((error: Error) => {
    throw invalidInput(`${label} cannot be read: ${error.message}`, error);
  });
  if (!facts.isFile()) throw invalidInput(`${label} is not a file: ${path}`);
  return { name: basename(path), type: "", size: facts.size, chunks: () => readFile(path, facts.size, label) };
}

/** One buffer for the whole file: memory neither grows with its size nor depends on the garbage collector. */
async function* readFile(path: string, size: number, label: string): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await open(path).catch((error: Error) => {
    throw invalidInput(`${label} cannot be read: ${error.message}`, error);
  });
  try {
    for (let sent = 0; sent < size; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, size - sent), sent);
      if (!bytesRead) throw invalidInput(`${label} became shorter while it was sent: ${path}`);
      sent += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function bytesSource(bytes: Uint8Array, type = ""): Source {
  return {
    name: nameFor(type),
    type,
    size: bytes.length,
    async *chunks() {
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) yield bytes.subarray(start, start + CHUNK_BYTES);
    },
  };
}

function blobSource(blob: Blob): Source {
  const { name } = blob as Partial<File>;
  return {
    name: name ?? nameFor(blob.type),
    type: blob.type,
    size: blob.size,
    async *chunks() {
      for (let start = 0; start < blob.size; start += CHUNK_BYTES) {
        yield new Uint8Array(await blob.slice(start, start + CHUNK_BYTES).arrayBuffer());
      }
    },
  };
}
