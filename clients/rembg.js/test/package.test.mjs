// What is shipped. Needs the development dependencies: npm ci
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import * as esm from "@rembg-platform/rembg.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const scratch = mkdtempSync(join(tmpdir(), "rembg-test-"));
const MAX_BROWSER_BYTES = 5000;
const NAMES = ["RembgError", "batchResult", "createBatch", "default", "membershipUsage", "readBatch", "rembg"];
const BUILT = [
  "browser.d.ts", "browser.js", "cjs/error.d.ts", "cjs/node.d.ts", "cjs/node.js", "cjs/package.json", "cjs/types.d.ts",
  "error.d.ts", "node.d.ts", "node.js", "types.d.ts",
];

after(() => rmSync(scratch, { recursive: true }));

function run(script, ...parameters) {
  return execFileSync(process.execPath, [script, ...parameters], { cwd: root, encoding: "utf8" });
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile()).sort();
}

test("dist/ is what the sources build", () => {
  const rebuilt = join(scratch, "dist");
  run("build.mjs", rebuilt);
  assert.deepEqual(filesIn(rebuilt), BUILT);
  assert.deepEqual(filesIn(join(root, "dist")), BUILT);
  for (const name of BUILT) {
    assert.ok(readFileSync(join(rebuilt, name)).equals(readFileSync(join(root, "dist", name))), `${name} is stale: npm run build`);
  }
});

test("the types fit what users write: modules, CommonJS and browsers", () => {
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  run(join(typescript, "bin/tsc"), "--noEmit", "-p", "test/types");
});

test("modules and CommonJS export the same", () => {
  const cjs = createRequire(import.meta.url)("@rembg-platform/rembg.js");
  assert.deepEqual(Object.keys(esm).sort(), NAMES);
  assert.deepEqual(Object.keys(cjs).sort(), NAMES);
  assert.equal(esm.default, esm.rembg);
  assert.equal(cjs.default, cjs.rembg);
});

test("a bundler for browsers takes the browser build", async () => {
  mkdirSync(join(scratch, "node_modules/@rembg-platform"), { recursive: true });
  symlinkSync(root, join(scratch, "node_modules/@rembg-platform/rembg.js"));
  writeFileSync(join(scratch, "app.js"), 'import { rembg } from "@rembg-platform/rembg.js"; console.log(rembg);');
  const bundle = { entryPoints: [join(scratch, "app.js")], bundle: true, platform: "browser", write: false };
  const { outputFiles, warnings } = await build({ ...bundle, logLevel: "silent" });
  assert.deepEqual(warnings, []);
  assert.match(outputFiles[0].text, /XMLHttpRequest/);
});

test("the browser build is small", (context) => {
  const size = gzipSync(readFileSync(join(root, "dist/browser.js")), { level: 9 }).length;
  context.diagnostic(`${size} bytes with gzip`);
  assert.ok(size < MAX_BROWSER_BYTES, `${size} bytes`);
});

test("npm pack holds what is needed, and nothing else", () => {
  const [{ files }] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--silent"], { cwd: root, encoding: "utf8" }));
  const expected = [...BUILT.map((name) => `dist/${name}`), "CHANGELOG.md", "LICENSE", "README.md", "package.json"];
  assert.deepEqual(files.map(({ path }) => path).sort(), expected.sort());
});

test("nothing else is installed with it, and no address is pinned", () => {
  const about = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  assert.equal(about.dependencies, undefined);
  assert.doesNotMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /resolved|:\/\//);
});
