// Builds dist/: one file for Node as a module, one as CommonJS, one minified for browsers, and the types of each.
// Usage: node build.mjs [FOLDER]
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = process.argv[2] ?? join(here, "dist");
const cjs = join(dist, "cjs");
// The types that the entry points' public declarations refer to.
const SHARED_TYPES = ["types.d.ts", "error.d.ts"];

const common = { bundle: true, absWorkingDir: here, legalComments: "none" };
const forNode = { ...common, entryPoints: ["src/node.ts"], platform: "node", target: "node18" };
const forBrowsers = { ...common, entryPoints: ["src/browser.ts"], format: "esm", target: "es2022", minify: true };

function emitTypes() {
  const folder = mkdtempSync(join(tmpdir(), "rembg-types-"));
  const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  try {
    execFileSync(process.execPath, [join(typescript, "bin/tsc"), "-p", here, "--outDir", folder], { stdio: "inherit" });
    for (const name of ["node.d.ts", "browser.d.ts", ...SHARED_TYPES]) copyFileSync(join(folder, name), join(dist, name));
    for (const name of ["node.d.ts", ...SHARED_TYPES]) copyFileSync(join(folder, name), join(cjs, name));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(cjs, { recursive: true });
emitTypes();
await build({ ...forNode, format: "esm", outfile: join(dist, "node.js") });
await build({ ...forNode, format: "cjs", outfile: join(cjs, "node.js") });
await build({ ...forBrowsers, outfile: join(dist, "browser.js") });
writeFileSync(join(cjs, "package.json"), '{ "type": "commonjs" }\n');
