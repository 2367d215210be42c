// Every refusal of the product, from a deployment with small allowances.
import assert from "node:assert/strict";
import { test } from "node:test";
import { membershipUsage, rembg, RembgError } from "@rembg-platform/rembg.js";
import { env, failure } from "./helpers.mjs";

const baseUrl = env("REMBG_TEST_SMALL_URL");
const keys = JSON.parse(env("REMBG_TEST_SMALL_KEYS"));
const [inputImage] = env("REMBG_TEST_PHOTOS").split(":");

function call(more) {
  return rembg({ baseUrl, apiKey: keys.usual, inputImage, ...more });
}

async function refused(more, expected) {
  const error = await failure(call(more));
  assert.ok(error instanceof RembgError);
  const { status, code, message } = error;
  assert.deepEqual({ status, code, message }, expected);
  assert.match(error.requestId, /^[\w-]{8,}$/);
  return error;
}

test("400, one problem", async () => {
  const message = "'w' must be an integer, got: 'abc'";
  const error = await refused({ options: { w: "abc" } }, { status: 400, code: "invalid_integer", message });
  assert.deepEqual(error.details, []);
});

test("400, several problems", async () => {
  const expected = { status: 400, code: "validation_error", message: "Multiple validation errors" };
  const { details } = await refused({ options: { w: -5, mask: true, bg_color: "red" } }, expected);
  assert.deepEqual(details.map(({ field }) => field).sort(), ["mask", "w"]);
  assert.ok(details.some(({ message }) => message === "'w' must be at least 1, got: -5"));
});

test("400, no picture", async () => {
  const message = "File does not appear to be a valid image (invalid file signature)";
  await refused({ inputImage: Buffer.from("not a picture") }, { status: 400, code: "invalid_image", message });
});

test("400, nothing in it", async () => {
  const message = "Uploaded file is empty (0 bytes).";
  await refused({ inputImage: new Blob([]) }, { status: 400, code: "empty_file", message });
});

test("401", async () => {
  const expected = { status: 401, code: "invalid_api_key", message: "invalid api key" };
  await refused({ apiKey: "wrong" }, expected);
  await refused({ apiKey: undefined, userToken: "wrong" }, expected);
  assert.equal((await failure(membershipUsage({ baseUrl, apiKey: "wrong" }))).code, "invalid_api_key");
});

test("403", async () => {
  const message = "Email address not verified – please check your inbox";
  await refused({ apiKey: keys.unverified }, { status: 403, code: "email_not_verified", message });
});

test("404", async () => {
  assert.equal((await failure(call({ baseUrl: `${baseUrl}/nowhere` }))).status, 404);
});

test("409, a key that was used for something else", async () => {
  await call({ idempotencyKey: "one", options: { returnBase64: true } });
  const error = await failure(call({ idempotencyKey: "one", options: { w: 5 } }));
  assert.deepEqual([error.status, error.code], [409, "idempotency_key_reused"]);
});

test("429, too quick, told at once where the wait is longer than the time limit", async () => {
  const apiKey = keys.onePerMinute;
  await call({ apiKey, options: { returnBase64: true } });
  const message = "You're making requests too quickly, Please Upgrade or slow down.";
  const error = await refused({ apiKey, timeout: 20_000 }, { status: 429, code: "rate_limited", message });
  assert.ok(error.retryAfter >= 1 && error.retryAfter <= 60);
});

test("429, two at once where one may be: the second comes back when the server says", async () => {
  const one = () => call({ apiKey: keys.oneAtOnce, options: { returnBase64: true } });
  const charged = (await Promise.all([one(), one()])).map((result) => result.creditsCharged);
  assert.deepEqual(charged, [1, 1]);
});

test("429, no credit left: not tried again", async () => {
  const message = "You've reached your monthly limit. Consider purchasing more credits.";
  const error = await refused({ apiKey: keys.empty }, { status: 429, code: "monthly_limit_reached", message });
  assert.ok(error.retryAfter > 0);
});

test("429, the daily allowance of anonymous callers", async () => {
  const { apiKey: _, ...anonymous } = { baseUrl, inputImage, options: { returnBase64: true } };
  assert.equal((await rembg(anonymous)).creditsCharged, 0);
  assert.equal((await failure(rembg(anonymous))).code, "daily_limit_reached");
});

test("503, every place taken", async () => {
  const options = { returnBase64: true };
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => call({ options, retries: 0 })));
  const error = outcomes.find(({ status }) => status === "rejected").reason;
  assert.deepEqual([error.status, error.code], [503, "server_busy"]);
  assert.ok(error.retryAfter >= 1);
});
