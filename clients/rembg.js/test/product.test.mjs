// Against the running product with its real model: every kind of input and every option, on photographs.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, test } from "node:test";
import { batchResult, createBatch, membershipUsage, readBatch, rembg, RembgError } from "@rembg-platform/rembg.js";
import { bmpPixel, describe, env, failure, leftovers, recorder } from "./helpers.mjs";

const apiKey = env("REMBG_TEST_KEY");
const [person, cat] = env("REMBG_TEST_PHOTOS").split(":"); // 512 x 512, and 451 x 300
const bytes = readFileSync(person);
const scratch = mkdtempSync(join(tmpdir(), "rembg-test-"));
const before = leftovers();

after(() => {
  rmSync(scratch, { recursive: true });
  assert.deepEqual(leftovers(), before, "no result is left behind");
});

const fileName = 'Ein "Bild" für\r\nmich.jpg';
// Node 18 has neither openAsBlob nor File.
const fileOnDisk = fs.openAsBlob ? await fs.openAsBlob(person) : new Blob([bytes]);
const file = globalThis.File ? new File([bytes], fileName, { type: "image/jpeg" }) : new Blob([bytes]);

const calls = {
  "a path": [person, { w: 64 }, { format: "webp", width: 64, height: 64 }],
  "a path of a PNG": [cat, { h: 150, format: "PNG" }, { format: "png", width: 226, height: 150, channels: 4 }],
  "a Buffer": [bytes, { returnMask: true, format: "png" }, { format: "png", width: 512, height: 512, channels: 1 }],
  "a Uint8Array": [new Uint8Array(bytes), { mask: true, w: 9, format: "png" }, { format: "png", width: 9, height: 9, channels: 1 }],
  "an ArrayBuffer": [new Uint8Array(bytes).buffer, { w: 100, h: 50, format: "webp" }, { format: "webp", width: 50, height: 50 }],
  "a Blob": [new Blob([bytes], { type: "image/jpeg" }), { w: 80, h: 40, exact_resize: true }, { format: "webp", width: 80, height: 40 }],
  "bare base64": [
    { base64: bytes.toString("base64") },
    { angle: 45, bg_color: "blue", format: "bmp" },
    { format: "bmp", width: 725, height: 725, corner: [0, 0, 255] },
  ],
  "a data URL": [
    { base64: `data:image/jpeg;base64,${bytes.toString("base64")}` },
    { angle: -45, expand: false, bg_color: "#0f0", format: "BMP" },
    { format: "bmp", width: 512, height: 512, corner: [0, 255, 0] },
  ],
  "a Blob of a file on disk": [fileOnDisk, { format: "jpg", w: 30 }, { format: "jpeg", width: 30, height: 30 }],
  "a File": [file, { returnBase64: true, w: 40 }, { format: "webp", width: 40, height: 40 }],
};

/** The result's bytes; removes the file. */
async function take({ base64Image, outputImagePath, cleanup }, format) {
  if (base64Image) {
    assert.equal(base64Image.split(",")[0], `data:image/${format};base64`);
    return Buffer.from(base64Image.split(",")[1], "base64");
  }
  assert.equal(extname(outputImagePath), format === "jpeg" ? ".jpg" : `.${format}`);
  const data = readFileSync(outputImagePath);
  await cleanup();
  return data;
}

for (const [kind, [inputImage, options, expected]] of Object.entries(calls)) {
  test(`${kind}, with ${JSON.stringify(options)}`, async () => {
    const upload = recorder(assert, "upload");
    const download = recorder(assert, "download");
    const listeners = { onUploadProgress: upload.listener, onDownloadProgress: download.listener };
    const { corner, ...looks } = expected;
    const result = await rembg({ apiKey, inputImage, options, ...listeners });
    const data = await take(result, looks.format);
    const told = { width: result.width, height: result.height, ...describe(data) };
    assert.deepEqual({ ...told, ...(corner && { channels: undefined }) }, { ...looks, ...(corner && { channels: undefined }) });
    if (corner) assert.deepEqual(bmpPixel(data, 2, 2), corner);
    assert.equal(result.creditsCharged, 1);
    assert.match(result.model, /^u2net@[0-9a-f]{12}; engine=[a-z]+-(fp32|int8)(; looks=[2-4])?$/);
    assert.ok(result.confidence >= 0 && result.confidence <= 1);
    assert.ok(result.foreground.width >= 0);
    assert.match(result.requestId, /^[\w-]{8,}$/);
    upload.assertComplete();
    download.assertComplete();
    assert.equal(download.events.at(-1).total, data.length);
  });
}

test("cancelled in the middle of the upload, nothing is charged", async () => {
  const large = join(scratch, "large.jpg");
  copyFileSync(person, large);
  truncateSync(large, 40_000_000); // Decoders stop at a JPEG's end: it stays a valid picture.
  const { api_usage: used } = await membershipUsage({ apiKey });
  const controller = new AbortController();
  let furthest = 0;
  const onUploadProgress = ({ progress }) => {
    furthest = progress;
    if (progress > 0.001) controller.abort(new Error("changed my mind"));
  };
  const error = await failure(rembg({ apiKey, inputImage: large, signal: controller.signal, onUploadProgress }));
  assert.ok(error instanceof RembgError);
  assert.deepEqual([error.code, error.cause.message], ["aborted", "changed my mind"]);
  assert.ok(furthest > 0 && furthest < 1);
  // The same picture is charged once it is sent completely; by then the cancelled call is over.
  const complete = await rembg({ apiKey, inputImage: large, options: { returnBase64: true, w: 8 } });
  assert.equal(complete.creditsCharged, 1);
  assert.equal((await membershipUsage({ apiKey })).api_usage, used + 1);
});

test("a picture of the caller's goes behind the subject", async () => {
  const options = { format: "bmp", w: 40, bg_image: cat, returnBase64: true };
  const { base64Image } = await rembg({ apiKey, inputImage: person, options });
  const { base64Image: plain } = await rembg({ apiKey, inputImage: person, options: { ...options, bg_image: undefined } });
  assert.notEqual(base64Image, plain);
  const error = await failure(rembg({ apiKey, inputImage: person, options: { bg_image: 7 } }));
  assert.deepEqual([error.code, error.message.slice(0, 16)], ["invalid_input", "options.bg_image"]);
});

test("several results of each picture of a batch", async () => {
  const outputs = [{ name: "cutout", format: "png" }, { name: "small", format: "bmp", bg_color: "blue", w: 8, h: 8 }];
  let batch = await createBatch({ apiKey, inputImages: [person, bytes], outputs, options: { w: 64 } });
  while (batch.status === "processing") {
    await new Promise((resolve) => setTimeout(resolve, 200));
    batch = await readBatch({ apiKey, id: batch.id });
  }
  assert.equal(batch.credits.charged, 2);
  for (const { status, results } of batch.items) {
    const shown = results.map(({ name, media_type, width }) => [name, media_type, width]);
    assert.deepEqual([status, shown], ["done", [["cutout", "image/png", 64], ["small", "image/bmp", 8]]]);
  }
  const first = await batchResult({ apiKey, id: batch.id, index: 0 });
  assert.deepEqual(describe(await take(first, "png")).width, 64);
  const small = await take(await batchResult({ apiKey, id: batch.id, index: 1, result: 1, returnBase64: true }), "bmp");
  // A corner of 8 pixels may have a trace of the subject.
  const [red, green, blue] = bmpPixel(small, 0, 0);
  assert.ok(red < 16 && green < 16 && blue > 239, `${red}, ${green}, ${blue}`);
  const wrong = await failure(createBatch({ apiKey, inputImages: [person], outputs: [{ w: -1 }, { name: "A" }] }));
  assert.deepEqual(wrong.details.map(({ field }) => field), ["outputs[0].w", "outputs[1].name"]);
  assert.equal((await failure(readBatch({ apiKey, id: "../../rmbg" }))).code, "invalid_input");
});
