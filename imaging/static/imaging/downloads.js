// Downloads one finished picture as a file, or all of them as a zip.

import { downloadNames, save } from "./names.js";

export async function saveOne(picture, options) {
  const [name] = downloadNames([[picture.name, options.format]]);
  save(await picture.export(options), name);
}

/** `optionsOf(picture)` gives each one's options; `onStep(text)` gets the progress. */
export async function saveAll(pictures, optionsOf, onStep) {
  // Most visits end without a zip.
  // biome-ignore lint/correctness/noUnresolvedImports: the static files of all apps are served from one folder.
  const { downloadZip } = await import("../vendor/client-zip.js");
  const names = downloadNames(pictures.map((picture) => [picture.name, optionsOf(picture).format]));
  const files = [];
  for (const [at, picture] of pictures.entries()) {
    onStep(interpolate(gettext("Preparing %(number)s of %(count)s"), { number: at + 1, count: pictures.length }, true));
    files.push({ name: names[at], input: await picture.export(optionsOf(picture)), lastModified: new Date() });
  }
  save(await downloadZip(files).blob(), "cutouts.zip");
}
