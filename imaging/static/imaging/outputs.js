// Several results of one picture: the options of each, by the rules of the API's field `outputs`.

import { optionsOfPreset } from "./presets.js";

const NO_BACKGROUND = { bg_color: null, bg_image: null, bg_blur: null };
const BACKGROUNDS = Object.keys(NO_BACKGROUND);

/** The results that `options` ask for: `{suffix, options}` each, where `suffix` goes into the file's name; "" for none. */
export function exportsOf({ outputs, ...shared }) {
  return (outputs ?? [{}]).map((row) => ({ suffix: row.name ?? "", options: merged(shared, row) }));
}

/** A background of a row takes the place of any shared one; a mask has neither background nor shadow. */
function merged(shared, { name: _, preset, ...own }) {
  const given = { ...(preset ? optionsOfPreset(preset) : {}), ...own };
  const options = { ...shared, outputs: null };
  if (given.mask || BACKGROUNDS.some((field) => given[field])) Object.assign(options, NO_BACKGROUND);
  if (given.mask) options.shadow = "none";
  return Object.assign(options, given, given.mask ? NO_BACKGROUND : {});
}
