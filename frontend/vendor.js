// Copies the modules that the pages import, as their makers ship them, with version and licence on top.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

const target = new URL("../config/static/vendor/", import.meta.url);
mkdirSync(target, { recursive: true });

for (const [name, file] of [["client-zip", "index.js"]]) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const { version, license } = JSON.parse(readFileSync(new URL("package.json", folder)));
  const code = readFileSync(new URL(file, folder), "utf8").trimEnd();
  writeFileSync(new URL(`${name}.js`, target), `/* ${name} ${version}, ${license}: see ${name}.LICENSE.txt */\n${code}\n`);
  copyFileSync(new URL("LICENSE.txt", folder), new URL(`${name}.LICENSE.txt`, target));
}
