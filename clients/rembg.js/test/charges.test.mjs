// What is charged to whom, and what membershipUsage reports, on the same deployment as the errors.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { membershipUsage, rembg } from "@rembg-platform/rembg.js";
import { answerLosingProxy } from "./fake_server.mjs";
import { env, leftovers } from "./helpers.mjs";

const baseUrl = env("REMBG_TEST_SMALL_URL");
const keys = JSON.parse(env("REMBG_TEST_SMALL_KEYS"));
const [inputImage] = env("REMBG_TEST_PHOTOS").split(":");
const own = { baseUrl, apiKey: keys.usual };

function call(more) {
  return rembg({ ...own, inputImage, options: { returnBase64: true }, ...more });
}

async function used(channel) {
  return (await membershipUsage(own))[channel];
}

test("one idempotency key is charged once", async () => {
  const before = await used("api_usage");
  const idempotencyKey = "order-2231";
  assert.deepEqual([(await call({ idempotencyKey })).creditsCharged, (await call({ idempotencyKey })).creditsCharged], [1, 0]);
  assert.equal(await used("api_usage"), before + 1);
});

test("two at once under one key are both delivered, and charged once", async () => {
  const before = await used("api_usage");
  const results = await Promise.all([call({ idempotencyKey: "twice" }), call({ idempotencyKey: "twice" })]);
  assert.deepEqual(results.map((result) => result.creditsCharged).sort(), [0, 1]);
  assert.equal(results[0].base64Image, results[1].base64Image);
  assert.equal(await used("api_usage"), before + 1);
});

test("an answer that was lost on its way is fetched again, and charged once", async () => {
  const before = await used("api_usage");
  const proxy = await answerLosingProxy(baseUrl);
  const result = await call({ baseUrl: proxy.url });
  proxy.close();
  assert.equal(proxy.connections(), 2);
  assert.equal(result.creditsCharged, 0);
  assert.equal(await used("api_usage"), before + 1);
});

test("a user token is an app's call", async () => {
  const before = await used("app_usage");
  assert.equal((await call({ apiKey: undefined, userToken: keys.userToken })).creditsCharged, 1);
  assert.equal(await used("app_usage"), before + 1);
});

test("a result is readable by its owner alone, and may be cleaned up twice", async () => {
  const result = await call({ options: {} });
  assert.equal(statSync(result.outputImagePath).mode & 0o777, 0o600);
  await result.cleanup();
  await result.cleanup();
  assert.ok(!leftovers().includes(basename(result.outputImagePath)));
});

test("membershipUsage with all of its parameters", async () => {
  const now = new Date();
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth() + 1];
  const usage = await membershipUsage({ ...own, year, month, expand: ["billing_cycle"] });
  assert.equal(usage.credits, 1000);
  assert.equal(usage.billingCycle.usedIncludedCredits, usage.api_usage + usage.app_usage);
  assert.deepEqual((await membershipUsage({ ...own, includeBillingCycle: true })).billingCycle, usage.billingCycle);
  assert.equal((await membershipUsage({ ...own, includeBillingCycle: false })).billingCycle, undefined);
  assert.equal((await membershipUsage({ ...own, year: 2001 })).api_usage, 0);
  const { billingCycles } = await membershipUsage({ ...own, listBillingCycles: true });
  const { periodStartUnix } = usage.billingCycle;
  assert.equal(billingCycles[0].periodStartUnix, periodStartUnix);
  assert.equal((await membershipUsage({ ...own, periodStartUnix })).api_usage, usage.api_usage);
  await assert.rejects(membershipUsage({ ...own, year, periodStartUnix }), { status: 400 });
});
