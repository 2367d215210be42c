// The presets of marketplaces, as the server has them: {name: {name, rule, read, fields}}.

const NUMBERS = ["w", "h", "quality", "dpi"];

export const PRESETS = JSON.parse(document.getElementById("presets")?.textContent ?? "{}");

/** The options that a preset sets. */
export function optionsOfPreset(name) {
  const pairs = Object.entries(PRESETS[name].fields).map(([field, text]) => [field, NUMBERS.includes(field) ? Number(text) : text]);
  return Object.fromEntries(pairs);
}

/** The name of the preset that decided about this canvas, "" for none. What else it sets may have been changed since. */
export function presetOf(options) {
  const isAlike = (fields) => ["w", "h", "fit", "padding"].every((name) => String(options[name]) === String(fields[name]));
  return Object.keys(PRESETS).find((name) => isAlike(PRESETS[name].fields)) ?? "";
}
