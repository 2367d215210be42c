// Behaviour of connections and proxies that the product cannot be made to show on demand.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { membershipUsage, rembg, RembgError } from "@rembg-platform/rembg.js";
import * as fake from "./fake_server.mjs";
import { failure, leftovers, recorder } from "./helpers.mjs";

const SMALL = Buffer.alloc(1000, 1);
const LARGE = Buffer.alloc(30_000_000, 1);
const scratch = mkdtempSync(join(tmpdir(), "rembg-test-"));
const before = leftovers();

after(() => {
  rmSync(scratch, { recursive: true });
  assert.deepEqual(leftovers(), before, "no half result is left behind");
});

/** Calls a fake server that gives these responses; returns the outcome and what the server saw. */
async function call(answers, more = {}) {
  const server = await fake.fakeServer(...answers);
  const started = Date.now();
  try {
    const settings = { baseUrl: server.url, apiKey: "key", inputImage: SMALL, options: { returnBase64: true } };
    const [outcome] = await Promise.allSettled([rembg({ ...settings, ...more })]);
    await outcome.value?.cleanup?.();
    return { error: outcome.reason, result: outcome.value, seen: server.seen, elapsed: Date.now() - started };
  } finally {
    await server.close();
  }
}

// These mostly wait.
describe("retries", { concurrency: true }, () => {
  for (const status of [502, 503, 504, 429]) {
    test(`a proxy's ${status} is tried again, under the same idempotency key`, async () => {
      const { result, seen, elapsed } = await call([fake.page(status), fake.picture]);
      assert.equal(result.requestId, "r-1");
      assert.equal(seen.length, 2);
      assert.match(seen[0].headers["idempotency-key"], /^[\x21-\x7e]{16,255}$/);
      assert.equal(seen[0].headers["idempotency-key"], seen[1].headers["idempotency-key"]);
      assert.equal(seen[0].received, seen[1].received);
      assert.ok(elapsed >= 250);
    });
  }

  test("each call has an idempotency key of its own", async () => {
    const [one, two] = [await call([fake.picture]), await call([fake.picture])];
    assert.notEqual(one.seen[0].headers["idempotency-key"], two.seen[0].headers["idempotency-key"]);
  });

  test("retries are counted, and the last error told", async () => {
    const { error, seen } = await call([fake.page(502)], { retries: 1 });
    assert.deepEqual([error.status, error.code, error.message], [502, "http_502", "The server answered with HTTP 502"]);
    assert.equal(seen.length, 2);
  });

  test("retries: 0 is one try, whatever happens", async () => {
    for (const answer of [fake.page(503), fake.hangUp, fake.refusal(409, "idempotency_in_progress", { "retry-after": 0 })]) {
      assert.equal((await call([answer], { retries: 0 })).seen.length, 1);
    }
  });

  test("Retry-After is honoured, in seconds and as a date", async () => {
    for (const value of [() => "1", () => new Date(Date.now() + 2000).toUTCString()]) {
      const { seen } = await call([fake.refusal(503, "server_busy", { "retry-after": value() }), fake.picture]);
      // HTTP dates have no fractions of a second.
      assert.ok(seen[1].at - seen[0].at >= 950, `waited ${seen[1].at - seen[0].at} ms`);
    }
  });

  test("a Retry-After beyond the time limit is not waited for", async () => {
    const { error, elapsed } = await call([fake.refusal(503, "server_busy", { "retry-after": "60" })], { timeout: 5000 });
    assert.deepEqual([error.code, error.retryAfter], ["server_busy", 60]);
    assert.ok(elapsed < 4000);
  });

  test("nobody listens", async () => {
    const error = await failure(rembg({ apiKey: "key", inputImage: SMALL, baseUrl: "http://127.0.0.1:9", retries: 1 }));
    assert.ok(error instanceof RembgError);
    assert.deepEqual([error.code, error.cause.code], ["network_error", "ECONNREFUSED"]);
  });
});

test("a used-up allowance is not tried again", async () => {
  for (const code of ["daily_limit_reached", "monthly_limit_reached"]) {
    const { error, seen } = await call([fake.refusal(429, code, { "retry-after": "0" })]);
    assert.deepEqual([error.status, error.code, seen.length], [429, code, 1]);
  }
});

test("a first try that is still at work is waited for, however often", async () => {
  const working = fake.refusal(409, "idempotency_in_progress", { "retry-after": "0" });
  const { result, seen } = await call([fake.brokenOff, working, working, working, fake.picture], { retries: 1 });
  assert.ok(result);
  assert.equal(seen.length, 5);
});

test("a result that breaks off is fetched again and leaves nothing behind", async () => {
  const broken = await call([fake.brokenOff], { options: {}, retries: 0 });
  assert.deepEqual([broken.error.code, broken.error.status], ["network_error", 0]);
  assert.deepEqual(leftovers(), before);
  const { result, seen } = await call([fake.brokenOff, fake.picture], { options: {} });
  assert.match(result.outputImagePath, /\.png$/);
  assert.equal(seen.length, 2);
});

test("a connection that breaks while sending is made again; progress never goes back", async () => {
  const { events, listener, assertComplete } = recorder(assert, "upload");
  const { result, seen } = await call([fake.hangUp, fake.picture], { inputImage: LARGE, onUploadProgress: listener });
  assert.ok(result);
  assertComplete();
  assert.ok(seen[1].received > LARGE.length);
  assert.equal(events.reduce((sum, { bytes }) => sum + bytes, 0), seen[1].received);
});

test("timeout ends an answer that only drips, and leaves nothing behind", async () => {
  const { error, elapsed, seen } = await call([fake.drip], { timeout: 300, options: {} });
  assert.deepEqual([error.code, error.status, seen.length], ["timeout", 0, 1]);
  assert.ok(elapsed < 10_000);
  assert.deepEqual(leftovers(), before);
});

test("timeout ends an upload that nobody reads", async () => {
  const { error } = await call([Object.assign(() => {}, { early: true })], { timeout: 300, inputImage: LARGE });
  assert.equal(error.code, "timeout");
});

test("cancelling works before, while waiting for a retry, and in the middle of the download", async () => {
  const early = await call([fake.picture], { signal: AbortSignal.abort() });
  assert.deepEqual([early.error.code, early.seen.length], ["aborted", 0]);
  const waiting = await call([fake.refusal(503, "server_busy", { "retry-after": "30" })], { signal: AbortSignal.timeout(100) });
  assert.deepEqual([waiting.error.code, waiting.seen.length], ["aborted", 1]);
  assert.ok(waiting.elapsed < 10_000);
  const controller = new AbortController();
  const cancel = () => controller.abort();
  const late = await call([fake.drip], { signal: controller.signal, onDownloadProgress: cancel, options: {} });
  assert.equal(late.error.code, "aborted");
});

test("a refusal that comes before the form was sent is told", async () => {
  const { error, seen } = await call([fake.refusedEarly], { inputImage: LARGE });
  assert.deepEqual([error.status, error.code, seen.length], [413, "payload_too_large", 1]);
});

test("a success that is no picture is an error", async () => {
  const { error } = await call([fake.page(200)]);
  assert.deepEqual([error.code, error.status], ["invalid_response", 200]);
});

test("a redirect is not followed with the key", async () => {
  const { error, seen } = await call([fake.refusal(308, undefined, { location: "/elsewhere" })]);
  assert.deepEqual([error.status, error.code, seen.length], [308, "http_308", 1]);
});

test("upload progress follows what the other side reads", async () => {
  const { events, listener, assertComplete } = recorder(assert, "upload");
  const ahead = [];
  const server = await fake.fakeServer(fake.slowReader(60_000_000));
  const onUploadProgress = (event) => {
    listener(event);
    ahead.push(event.loaded - (server.seen[0]?.received ?? 0));
  };
  await rembg({ baseUrl: server.url, apiKey: "key", inputImage: LARGE, onUploadProgress, options: { returnBase64: true } });
  await server.close();
  assertComplete();
  assert.ok(events.length >= 5, `${events.length} events`);
  // What the buffers at both ends of the connection hold.
  assert.ok(Math.max(...ahead) < LARGE.length / 2, `ahead by ${Math.max(...ahead)} bytes`);
  assert.ok(events.at(-1).rate > 0 && events.at(-1).rate < 120_000_000);
});

test("a listener that throws ends the call with what it threw, and no result stays", async () => {
  const fault = new Error("of the listener");
  const complain = ({ progress }) => { if (progress === 1) throw fault; };
  for (const listener of ["onUploadProgress", "onDownloadProgress"]) {
    const { error, seen } = await call([fake.picture], { [listener]: complain, options: {} });
    assert.equal(error, fault);
    assert.ok(seen.length <= 1);
    assert.deepEqual(leftovers(), before);
  }
});

test("the form holds what was set, and nothing else; the credential is a header alone", async () => {
  let text = "";
  const keep = async (request, response) => {
    for await (const chunk of request) text += chunk.toString("latin1");
    fake.picture(request, response);
  };
  const options = { format: "PNG", w: 0, h: 7, angle: -1.5, expand: false, bg_color: undefined, returnMask: true, returnBase64: true };
  const { seen } = await call([Object.assign(keep, { early: true })], { apiKey: "s3cret\n", options });
  const fields = [...text.matchAll(/name="(\w+)"\r\n\r\n(.*)\r\n/g)].map(([, name, value]) => [name, value]);
  const expected = { format: "PNG", w: "0", h: "7", angle: "-1.5", expand: "false", mask: "true" };
  assert.deepEqual(Object.fromEntries(fields), expected);
  assert.match(text, /name="image"; filename="image\.png"/);
  assert.equal(seen[0].headers["x-api-key"], "s3cret");
  assert.ok(!text.includes("s3cret"));
  assert.equal(Number(seen[0].headers["content-length"]), text.length);
});

test("what cannot be used is told before anything is sent", async () => {
  const wrong = {
    "no file": { inputImage: join(scratch, "missing.png") },
    "a folder": { inputImage: scratch },
    "no picture's source": { inputImage: 5 },
    "nothing": { inputImage: undefined },
    "a data URL without base64": { inputImage: { base64: "data:image/png,abc" } },
    "an unset key": { apiKey: undefined },
    "a key with a line in it": { apiKey: "a\nb" },
    "two credentials": { userToken: "token" },
    "an idempotency key with a space": { idempotencyKey: "a b" },
    "no address": { baseUrl: "localhost" },
    "another protocol": { baseUrl: "ftp://localhost" },
  };
  for (const [name, more] of Object.entries(wrong)) {
    const { error, seen } = await call([fake.picture], more);
    assert.ok(error instanceof RembgError, name);
    assert.deepEqual([error.code, error.status, seen.length], ["invalid_input", 0, 0], name);
  }
});

test("a file that becomes shorter while it is sent is told, and not tried again", async () => {
  const path = join(scratch, "shrinking.png");
  writeFileSync(path, LARGE);
  const onUploadProgress = ({ loaded }) => loaded > 100_000 && truncateSync(path, 70_000);
  const { error, seen } = await call([fake.slowReader(50_000_000)], { inputImage: path, onUploadProgress });
  assert.equal(error.code, "invalid_input");
  assert.match(error.message, /became shorter/);
  assert.equal(seen.length, 1);
});

test("a full or missing temporary folder is told, and not tried again", async () => {
  const folder = process.env.TMPDIR;
  process.env.TMPDIR = join(scratch, "nowhere");
  try {
    const { error, seen } = await call([fake.picture], { options: {} });
    assert.deepEqual([error.code, seen.length], ["output_failed", 1]);
  } finally {
    if (folder === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = folder;
  }
});

test("membershipUsage sends its parameters, tries again, and wants JSON", async () => {
  let asked;
  const usage = (request, response) => {
    asked = request.url;
    response.writeHead(200, { "content-type": "application/json" }).end('{"credits": 7}');
  };
  const server = await fake.fakeServer(fake.page(502), usage, fake.page(200));
  const parameters = { year: 2025, month: 2, expand: ["billing_cycle", "x"], includeBillingCycle: true };
  assert.deepEqual(await membershipUsage({ baseUrl: `${server.url}/`, apiKey: "key", ...parameters }), { credits: 7 });
  assert.equal(asked, "/api/membership-usage?year=2025&month=2&expand=billing_cycle%2Cx&includeBillingCycle=true");
  assert.equal((await failure(membershipUsage({ baseUrl: server.url, apiKey: "key" }))).code, "invalid_response");
  await server.close();
});
