// Against the running product with its real model, on photographs.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { membershipUsage, rembg, RembgError } from "@rembg-platform/rembg.js";
import { bmpPixel, describe, env, failure, leftovers, recorder } from "./helpers.mjs";

const apiKey = env("REMBG_TEST_KEY");
const [person, cat] = env("REMBG_TEST_PHOTOS").split(":");
const bytes = readFileSync(person);
const scratch = mkdtempSync(join(tmpdir(), "rembg-test-"));
const before = leftovers();

after(() => {
  rmSync(scratch, { recursive: true });
  assert.deepEqual(leftovers(), before, "no result is left behind");
});

/** Calls, reads the result and cleans up. */
async function cutOut(inputImage, options, more = {}) {
  const result = await rembg({ apiKey, inputImage, options, ...more });
  const data = readFileSync(result.outputImagePath);
  await result.cleanup();
  return { ...result, data };
}

async function creditsUsed() {
  return (await membershipUsage({ apiKey })).api_usage;
}

const inputs = {
  "a path": person,
  "a path of a PNG": cat,
  "a Buffer": bytes,
  "a Uint8Array": new Uint8Array(bytes),
  "an ArrayBuffer": new Uint8Array(bytes).buffer,
  "a Blob": new Blob([bytes], { type: "image/jpeg" }),
  "bare base64": { base64: bytes.toString("base64") },
  "a data URL": { base64: `data:image/jpeg;base64,${bytes.toString("base64")}` },
};
// Node 18 has neither.
if (fs.openAsBlob) inputs["a Blob of a file on disk"] = await fs.openAsBlob(person);
if (globalThis.File) inputs["a File"] = new File([bytes], "Ein \"Bild\" für\r\nmich.jpg", { type: "image/jpeg" });

for (const [kind, input] of Object.entries(inputs)) {
  test(`${kind} is cut out, with progress both ways`, async () => {
    const upload = recorder(assert, "upload");
    const download = recorder(assert, "download");
    const listeners = { onUploadProgress: upload.listener, onDownloadProgress: download.listener };
    const result = await cutOut(input, { w: 64 }, listeners);
    assert.equal(describe(result.data).format, "webp");
    assert.match(result.outputImagePath, /\.webp$/);
    upload.assertComplete();
    download.assertComplete();
    assert.equal(download.events.at(-1).total, result.data.length);
  });
}

test("the facts of a result", async () => {
  const { width, height, creditsCharged, model, requestId } = await cutOut(cat, { h: 150 });
  assert.deepEqual({ width, height, creditsCharged, model }, { width: 226, height: 150, creditsCharged: 1, model: "u2net" });
  assert.match(requestId, /^[\w-]{8,}$/);
});

for (const [format, told] of Object.entries({ PNG: "png", webp: "webp", jpg: "jpeg", BMP: "bmp" })) {
  test(`format ${format}`, async () => {
    const { data, outputImagePath } = await cutOut(person, { format, w: 32 });
    assert.equal(describe(data).format, told);
    assert.match(outputImagePath, new RegExp(`\\.${told === "jpeg" ? "jpg" : told}$`));
  });
}

test("a result is readable by its owner alone, and cleaned up as often as one likes", async () => {
  const result = await rembg({ apiKey, inputImage: person, options: { w: 8 } });
  assert.equal(statSync(result.outputImagePath).mode & 0o777, 0o600);
  await result.cleanup();
  await result.cleanup();
  assert.ok(!leftovers().includes(basename(result.outputImagePath)));
});

test("base64 has the media type of the result", async () => {
  const { base64Image, outputImagePath } = await rembg({ apiKey, inputImage: person, options: { returnBase64: true, w: 40 } });
  assert.equal(outputImagePath, undefined);
  assert.match(base64Image, /^data:image\/webp;base64,/);
  assert.equal(describe(Buffer.from(base64Image.split(",")[1], "base64")).format, "webp");
});

for (const name of ["returnMask", "mask"]) {
  test(`${name} delivers the matte alone`, async () => {
    const { data } = await cutOut(person, { [name]: true, format: "png" });
    assert.deepEqual(describe(data), { format: "png", width: 512, height: 512, channels: 1 });
  });
}

test("w and h fit inside; exact_resize is exact", async () => {
  const fitting = await cutOut(person, { w: 100, h: 50, format: "png" });
  const exact = await cutOut(person, { w: 100, h: 50, exact_resize: true, format: "png" });
  assert.deepEqual(describe(fitting.data), { format: "png", width: 50, height: 50, channels: 4 });
  assert.deepEqual(describe(exact.data), { format: "png", width: 100, height: 50, channels: 4 });
});

test("angle grows the canvas, unless expand is false; bg_color fills it", async () => {
  const grown = await cutOut(person, { angle: 45, bg_color: "blue", format: "bmp" });
  const cropped = await cutOut(person, { angle: 45, expand: false, bg_color: "#0f0", format: "bmp" });
  assert.ok(Math.abs(grown.width - 724) <= 2);
  assert.equal(cropped.width, 512);
  assert.deepEqual(bmpPixel(grown.data, 2, 2), [0, 0, 255]);
  assert.deepEqual(bmpPixel(cropped.data, 2, 2), [0, 255, 0]);
});

test("cancelled in the middle of the upload, nothing is charged", async () => {
  const large = join(scratch, "large.jpg");
  copyFileSync(person, large);
  truncateSync(large, 40_000_000); // Decoders stop at a JPEG's end: it stays a valid picture.
  const used = await creditsUsed();
  const controller = new AbortController();
  let furthest = 0;
  const onUploadProgress = ({ progress }) => {
    furthest = progress;
    if (progress > 0.001) controller.abort(new Error("changed my mind"));
  };
  const error = await failure(rembg({ apiKey, inputImage: large, signal: controller.signal, onUploadProgress }));
  assert.ok(error instanceof RembgError);
  assert.equal(error.code, "aborted");
  assert.equal(error.cause.message, "changed my mind");
  assert.ok(furthest > 0 && furthest < 1);
  // The very same picture is charged when it is sent to its end, and by then the cancelled one is over.
  assert.equal((await cutOut(large, { w: 8 })).creditsCharged, 1);
  assert.equal(await creditsUsed(), used + 1);
});

test("one idempotency key is charged once", async () => {
  const used = await creditsUsed();
  const call = () => cutOut(person, { w: 16 }, { idempotencyKey: `order-${used}` });
  assert.deepEqual([(await call()).creditsCharged, (await call()).creditsCharged], [1, 0]);
  assert.equal(await creditsUsed(), used + 1);
});

test("two at once under one key are both delivered and charged once", async () => {
  const used = await creditsUsed();
  const call = () => cutOut(cat, { w: 16 }, { idempotencyKey: `twice-${used}` });
  const charged = (await Promise.all([call(), call()])).map((result) => result.creditsCharged);
  assert.deepEqual(charged.sort(), [0, 1]);
  assert.equal(await creditsUsed(), used + 1);
});

test("membershipUsage with all of its parameters", async () => {
  const now = new Date();
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth() + 1];
  const usage = await membershipUsage({ apiKey, year, month, expand: ["billing_cycle"] });
  assert.equal(usage.membership, "Premium-20000");
  assert.equal(usage.billingCycle.usedIncludedCredits, usage.api_usage);
  assert.deepEqual((await membershipUsage({ apiKey, includeBillingCycle: true })).billingCycle, usage.billingCycle);
  assert.equal((await membershipUsage({ apiKey, year: 2001 })).api_usage, 0);
  assert.equal((await membershipUsage({ apiKey, includeBillingCycle: false })).billingCycle, undefined);
  const { billingCycles } = await membershipUsage({ apiKey, listBillingCycles: true });
  const { periodStartUnix } = billingCycles[0];
  assert.equal(periodStartUnix, usage.billingCycle.periodStartUnix);
  assert.equal((await membershipUsage({ apiKey, periodStartUnix })).api_usage, usage.api_usage);
  const error = await failure(membershipUsage({ apiKey, year, periodStartUnix }));
  assert.equal(error.status, 400);
});
