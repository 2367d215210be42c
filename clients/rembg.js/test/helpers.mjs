// What the tests share. The product's address and keys come from the environment: see tests/clients/test_rembg_js.py.
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";

/** A variable that must be set. */
export function env(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; the project's own suite starts the product and sets it`);
  return value;
}

/** Collects progress events, and checks what must always be true. */
export function recorder(assert, direction) {
  const events = [];
  const listener = (event) => {
    const before = events.at(-1)?.loaded ?? 0;
    assert.ok(event.loaded > before, "progress goes on");
    assert.equal(event.bytes, event.loaded - before);
    assert.equal(event[direction], true);
    assert.equal(event.progress, event.loaded / event.total);
    events.push(event);
  };
  const assertComplete = () => {
    assert.ok(events.length > 0, `${direction} progress was told`);
    assert.equal(events.at(-1).progress, 1);
    assert.equal(events.at(-1).estimated, 0);
  };
  return { events, listener, assertComplete };
}

/** Temporary results that were left behind. */
export function leftovers() {
  return readdirSync(tmpdir()).filter((name) => /^rembg-[0-9a-f-]{36}\./.test(name));
}

/** What a call rejects with. */
export async function failure(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded");
}

/** Format, size and number of channels of a picture, by its own header. */
export function describe(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0) === 0x89504e47) {
    const channels = { 0: 1, 2: 3, 4: 2, 6: 4 }[bytes[25]];
    return { format: "png", width: view.getUint32(16), height: view.getUint32(20), channels };
  }
  if (bytes[0] === 0x42 && bytes[1] === 0x4d) {
    return { format: "bmp", width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)), channels: bytes[28] / 8 };
  }
  if (view.getUint16(0) === 0xffd8) return { format: "jpeg" };
  if (bytes.toString("latin1", 8, 12) === "WEBP") return { format: "webp" };
  throw new Error("not a picture");
}

/** Red, green and blue of a pixel of a BMP of 24 bits. */
export function bmpPixel(bytes, x, y) {
  const { width, height } = describe(bytes);
  const stride = Math.ceil((width * 3) / 4) * 4;
  const at = bytes.readUInt32LE(10) + (height - 1 - y) * stride + x * 3;
  return [bytes[at + 2], bytes[at + 1], bytes[at]];
}
