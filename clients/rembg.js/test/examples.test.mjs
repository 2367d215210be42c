// The examples of our README as they are, and those of the public client's with the import changed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { env } from "./helpers.mjs";

const ours = join(dirname(fileURLToPath(import.meta.url)), "..");
const official = env("REMBG_TEST_OFFICIAL_CLIENT");
const [person, cat] = env("REMBG_TEST_PHOTOS").split(":");
const environment = {
  ...process.env,
  REMBG_BASE_URL: env("REMBG_TEST_SMALL_URL"),
  API_KEY: JSON.parse(env("REMBG_TEST_SMALL_KEYS")).usual,
};
const scratch = mkdtempSync(join(tmpdir(), "rembg-test-"));
// As many as the small server has places for.
const AT_ONCE = 4;

after(() => rmSync(scratch, { recursive: true }));

mkdirSync(join(scratch, "node_modules/@rembg-platform"), { recursive: true });
symlinkSync(ours, join(scratch, "node_modules/@rembg-platform/rembg.js"));
symlinkSync(join(official, "../../dotenv"), join(scratch, "node_modules/dotenv"));
for (const name of ["photo.jpg", "input.jpg"]) copyFileSync(person, join(scratch, name));
copyFileSync(cat, join(scratch, "input.png"));

function examplesOf(readme, language) {
  const text = readFileSync(readme, "utf8");
  return [...text.matchAll(new RegExp("^```" + language + "\\n(.*?)^```", "gms"))].map(([, code]) => code);
}

async function run(name, code) {
  const file = join(scratch, name);
  writeFileSync(file, code);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { cwd: scratch, env: environment });
  assert.equal(stderr, "");
  return stdout;
}

/** Changes the import, and corrects what the printed examples leave out or misspell. */
function runnable(example, preamble) {
  const code = example.includes("import ") ? example : preamble + example;
  return code
    .replace(/'(@remove-background-ai\/rembg\.js|\.\.\/dist\/index\.js)'/, '"@rembg-platform/rembg.js"')
    .replace("returnBase64: true\n        format:", "returnBase64: true,\n        format:")
    .replace("/9j/4AAQSkZJRgABAQEASABIAAD/.....etc", readFileSync(person, "base64"));
}

describe("our README", { concurrency: AT_ONCE }, () => {
  const said = [
    /sent 100 %\n.*rembg-[^/]*\.png\n$/s,
    /^data:image\/webp;base64, 512 512 1\n$/,
    /^400 validation_error Multiple validation errors [\w-]+\nw .*\nangle .*\n$/,
    /^cutout 400 .*\.png\nwhite 400 .*\.jpg\nmask 400 .*\.png\n$/,
    /^[\w-]+ \d+\n$/,
  ];
  const examples = examplesOf(join(ours, "README.md"), "js");
  test("has an example for each expectation", () => assert.equal(examples.length, said.length));
  for (const [index, code] of examples.entries()) {
    test(`example ${index + 1}`, async () => assert.match(await run(`ours-${index}.mjs`, code), said[index]));
  }
});

describe("the public client's README", { concurrency: AT_ONCE }, () => {
  const examples = examplesOf(join(official, "README.md"), "typescript");
  const preamble = examples[0].slice(0, examples[0].indexOf("rembg({"));
  test("has examples", () => assert.ok(examples.length >= 6));
  for (const [index, example] of examples.entries()) {
    test(`example ${index + 1}`, async () => {
      const output = await run(`public-${index}.mjs`, runnable(example, preamble));
      assert.match(output, /upload: true/);
      assert.match(output, /download: true/);
      assert.match(output, /✅🎉/);
    });
  }
});
