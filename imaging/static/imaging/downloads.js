// Downloads finished pictures: one result as a file, several as a zip.

import { downloadNames, save } from "./names.js";
import { exportsOf } from "./outputs.js";

/** Save a subject `{picture, options, number}`, `number` its place in the list, under a name of the pattern; `onStep(text)` gets the progress. */
export async function saveOne(subject, pattern, onStep) {
  const results = await resultsOf([subject]);
  const [{ picture, options, facts }] = results;
  if (results.length === 1) return save(await picture.export(options), downloadNames([facts], pattern)[0]);
  const [name] = downloadNames([{ ...facts, output: "", extension: "zip" }], pattern);
  save(await zipped(results, pattern, onStep), name);
}

/** Save several subjects as one zip. */
export async function saveAll(subjects, pattern, onStep) {
  save(await zipped(await resultsOf(subjects), pattern, onStep), "cutouts.zip");
}

/** What a subject's first result is named after, as `downloadNames` takes it. */
export async function factsOf(subject) {
  const [{ facts }] = await resultsOf([subject]);
  return facts;
}

async function resultsOf(subjects) {
  const results = [];
  for (const { picture, options: all, number } of subjects) {
    for (const { suffix, options } of exportsOf(all)) {
      const size = await picture.deliveredSize(options);
      results.push({ picture, options, facts: { name: picture.name, extension: options.format, number, output: suffix, ...size } });
    }
  }
  return results;
}

async function zipped(results, pattern, onStep) {
  // Most visits end without a zip.
  // biome-ignore lint/correctness/noUnresolvedImports: the static files of all apps are served from one folder.
  const { downloadZip } = await import("../vendor/client-zip.js");
  const names = downloadNames(results.map(({ facts }) => facts), pattern);
  const files = [];
  for (const [at, { picture, options }] of results.entries()) {
    onStep(interpolate(gettext("Preparing %(number)s of %(count)s"), { number: at + 1, count: results.length }, true));
    files.push({ name: names[at], input: await picture.export(options), lastModified: new Date() });
  }
  return downloadZip(files).blob();
}
