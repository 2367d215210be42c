// Downloads the results of one finished picture, or of all of them: one as a file, several as a zip.

import { downloadNames, save } from "./names.js";
import { exportsOf } from "./outputs.js";

/** `onStep(text)` gets the progress of several. */
export async function saveOne(picture, options, onStep) {
  const results = exportsOf(options);
  if (results.length > 1) return saveAll([picture], () => options, onStep);
  const [name] = downloadNames([[picture.name, results[0].options.format]]);
  save(await picture.export(results[0].options), name);
}

/** `optionsOf(picture)` gives each one's options; `onStep(text)` gets the progress. */
export async function saveAll(pictures, optionsOf, onStep) {
  // Most visits end without a zip.
  // biome-ignore lint/correctness/noUnresolvedImports: the static files of all apps are served from one folder.
  const { downloadZip } = await import("../vendor/client-zip.js");
  const results = pictures.flatMap((picture) => exportsOf(optionsOf(picture)).map((result) => ({ picture, ...result })));
  const names = downloadNames(results.map(({ picture, suffix, options }) => [picture.name, options.format, suffix]));
  const files = [];
  for (const [at, { picture, options }] of results.entries()) {
    onStep(interpolate(gettext("Preparing %(number)s of %(count)s"), { number: at + 1, count: results.length }, true));
    files.push({ name: names[at], input: await picture.export(options), lastModified: new Date() });
  }
  save(await downloadZip(files).blob(), "cutouts.zip");
}
