// How much memory sending a large file takes, in a separate process.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fakeServer, slowReader } from "./fake_server.mjs";

const MEGABYTE = 1024 * 1024;
const FILE_BYTES = 45 * MEGABYTE;
const MAX_EXTRA_BYTES = 30 * MEGABYTE;
const SENDER = fileURLToPath(new URL("send_file.mjs", import.meta.url));

test("a 45 MB file is sent with less than 30 MB of extra memory", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "rembg-test-"));
  const [small, large] = [join(folder, "small.jpg"), join(folder, "large.jpg")];
  writeFileSync(small, Buffer.alloc(1000));
  writeFileSync(large, Buffer.alloc(FILE_BYTES));
  const server = await fakeServer(slowReader(100 * MEGABYTE));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", SENDER, server.url, small, large]);
    const extra = Number(stdout);
    context.diagnostic(`${(extra / MEGABYTE).toFixed(1)} MB of extra memory`);
    assert.ok(server.seen[1].received > FILE_BYTES);
    assert.ok(extra < MAX_EXTRA_BYTES, `${extra} bytes`);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
});
