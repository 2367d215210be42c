import { randomUUID } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RembgError } from "./error.js";
import type { Reply } from "./node_http.js";

/** Writes the picture to a new temporary file as it arrives, and removes the file on any failure. */
export async function receiveFile(reply: Reply) {
  const path = join(tmpdir(), `rembg-${randomUUID()}.${extensionOf(mediaType(reply))}`);
  const cleanup = () => rm(path, { force: true });
  // Follows and overwrites no existing file, and lets no other user read the picture.
  const file = await open(path, "wx", 0o600).catch(failed);
  try {
    for await (const chunk of reply.chunks()) await append(file, chunk).catch(failed);
    await file.close().catch(failed);
  } catch (error) {
    await file.close().catch(() => {});
    await cleanup();
    throw error;
  }
  return { outputImagePath: path, cleanup };
}

/** The whole picture as a data URL. */
export async function receiveDataUrl(reply: Reply): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of reply.chunks()) chunks.push(chunk);
  return `data:${mediaType(reply)};base64,${Buffer.concat(chunks).toString("base64")}`;
}

async function append(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let start = 0; start < chunk.length; ) start += (await file.write(chunk, start)).bytesWritten;
}

function failed(error: Error): never {
  throw new RembgError(`The result could not be stored: ${error.message}`, { code: "output_failed", cause: error });
}

function mediaType(reply: Reply): string {
  return reply.header("content-type")?.split(";")[0]?.trim() ?? "";
}

function extensionOf(type: string): string {
  const name = /^image\/(\w+)$/.exec(type)?.[1] ?? "bin";
  return name === "jpeg" ? "jpg" : name;
}
