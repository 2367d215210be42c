// The cases that the Python client has to pass too: clients/cases.json.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createBatch, membershipUsage, rembg, RembgError } from "@rembg-platform/rembg.js";
import * as fake from "./fake_server.mjs";
import { failure } from "./helpers.mjs";

const cases = JSON.parse(readFileSync(new URL("../../cases.json", import.meta.url)));
const inputImage = Buffer.alloc(1000, 1);

/** Runs `use` with the address of a server that gives these answers, and returns what it saw. */
async function against(answers, use) {
  const server = await fake.fakeServer(...answers);
  try {
    return { seen: server.seen, result: await use(server.url) };
  } finally {
    await server.close();
  }
}

/** Keeps the form's text fields and, as [field, file name, text], its files. */
function keeping(fields, files = [], answer = fake.picture) {
  const read = async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk.toString("latin1");
    for (const [, name, value] of text.matchAll(/name="(\w+)"\r\n\r\n(.*)\r\n/g)) fields[name] = value;
    const file = /name="(\w+)"; filename="([^"]*)"\r\nContent-Type: [\w/-]+\r\n\r\n([\s\S]*?)\r\n--/g;
    for (const [, ...facts] of text.matchAll(file)) files.push(facts);
    answer(request, response);
  };
  return Object.assign(read, { early: true });
}

function answering({ status, headers = {}, body = "" }) {
  return (request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

function answerOf(step) {
  const special = { image: fake.picture, "hang up": fake.hangUp, "break off": fake.brokenOff };
  if (typeof step === "string") return special[step];
  return step.code ? fake.refusal(step.status, step.code, { "retry-after": 0 }) : answering({ ...step, headers: { "retry-after": 0 } });
}

for (const { options, fields } of cases.options) {
  test(`options ${JSON.stringify(options)}`, async () => {
    const sent = {};
    await against([keeping(sent)], (baseUrl) => rembg({ baseUrl, inputImage, options: { ...options, returnBase64: true } }));
    assert.deepEqual(sent, fields);
  });
}

for (const { bg_image: given, options, fields, file } of cases.backgrounds) {
  test(`background ${JSON.stringify(given)}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "rembg-test-"));
    const path = given.path && join(folder, given.path);
    if (path) writeFileSync(path, given.text);
    const [sent, files] = [{}, []];
    const bg_image = path ?? Buffer.from(given.bytes);
    await against([keeping(sent, files)], (baseUrl) => rembg({ baseUrl, inputImage, options: { ...options, bg_image, returnBase64: true } }));
    assert.deepEqual(sent, fields);
    assert.deepEqual(files, [["image", "image.png", inputImage.toString("latin1")], ["bg_image", file.name, file.text]]);
    rmSync(folder, { recursive: true });
  });
}

for (const { outputs, sent } of cases.outputs) {
  test(`outputs ${JSON.stringify(outputs)}`, async () => {
    const fields = {};
    const accepted = answering({ status: 202, body: { id: "b-1", items: [] } });
    const call = (baseUrl) => createBatch({ baseUrl, inputImages: [inputImage], outputs, options: { format: "webp" } });
    const { result } = await against([keeping(fields, [], accepted)], call);
    assert.deepEqual([JSON.parse(fields.outputs), fields.format, result.id], [sent, "webp", "b-1"]);
  });
}

for (const { parameters, query } of cases.usage) {
  test(`usage ${JSON.stringify(parameters)}`, async () => {
    let asked;
    const usage = (request, response) => {
      asked = new URL(request.url, "http://localhost");
      answering({ status: 200, body: { credits: 7 } })(request, response);
    };
    await against([usage], (baseUrl) => membershipUsage({ baseUrl, ...parameters }));
    assert.equal(asked.pathname, "/api/membership-usage");
    assert.deepEqual(Object.fromEntries(asked.searchParams), query);
  });
}

for (const { answer, error: expected } of cases.errors) {
  test(`error ${expected.status} ${expected.code}`, async () => {
    const call = (baseUrl) => failure(rembg({ baseUrl, inputImage, retries: 0, options: { returnBase64: true } }));
    const { result: error } = await against([answering(answer)], call);
    assert.ok(error instanceof RembgError);
    const { class: _, message = error.message, details = [], requestId = null, retryAfter = null, ...rest } = expected;
    const seen = { message: error.message, details: error.details, requestId: error.requestId, retryAfter: error.retryAfter };
    assert.deepEqual({ ...seen, status: error.status, code: error.code }, { message, details, requestId, retryAfter, ...rest });
  });
}

// These mostly wait.
describe("retries", { concurrency: true }, () => {
  for (const { answers, retries, requests, outcome } of cases.retries) {
    test(`${JSON.stringify(answers)}, ${retries} retries`, async () => {
      const call = (baseUrl) => rembg({ baseUrl, inputImage, retries, options: { returnBase64: true } })
        .then(() => "image", (error) => error.code);
      const { result, seen } = await against(answers.map(answerOf), call);
      assert.deepEqual([result, seen.length], [outcome, requests]);
      assert.equal(new Set(seen.map(({ headers }) => headers["idempotency-key"])).size, 1);
    });
  }
});

for (const { headers, refused, ...credentials } of cases.credentials) {
  test(`credentials ${JSON.stringify(credentials)}`, async () => {
    const call = (baseUrl) => rembg({ baseUrl, inputImage, ...credentials, options: { returnBase64: true } }).catch((error) => error);
    const { result, seen } = await against([fake.picture], call);
    if (refused) return assert.deepEqual([result.code, seen.length], ["invalid_input", 0]);
    const { "x-api-key": key, authorization } = seen[0].headers;
    assert.deepEqual({ ...(key && { "x-api-key": key }), ...(authorization && { authorization }) }, headers);
  });
}

for (const { key, sent, refused } of cases.idempotencyKeys) {
  test(`idempotency key ${JSON.stringify(key)}`, async () => {
    const call = (baseUrl) => rembg({ baseUrl, inputImage, idempotencyKey: key, options: { returnBase64: true } }).catch((error) => error);
    const { result, seen } = await against([fake.picture], call);
    if (refused) assert.deepEqual([result.code, seen.length], ["invalid_input", 0]);
    else assert.equal(seen[0].headers["idempotency-key"], sent);
  });
}

for (const { baseUrl } of cases.addresses) {
  test(`address ${baseUrl}`, async () => assert.equal((await failure(rembg({ baseUrl, inputImage }))).code, "invalid_input"));
}

for (const { headers, facts } of cases.facts) {
  test(`facts ${JSON.stringify(headers)}`, async () => {
    const image = answering({ status: 200, headers: { "content-type": "image/png", ...headers }, body: "image" });
    const { result } = await against([image], (baseUrl) => rembg({ baseUrl, inputImage, options: { returnBase64: true } }));
    const { base64Image: _, ...told } = result;
    assert.deepEqual(told, facts);
  });
}
