// The options of a finished image, named as the API's fields are; null is a field that is not sent.

/**
 * `w`, `h`: whole pixels; `fit`: "inside", "exact" or "pad"; `bg_color`, `shadow_color`: "#rrggbb"; `bg_image`: a Blob; `bg_blur`,
 * `shadow_opacity`, `scale`, `quality`: numbers as in the API; `angle`: degrees, counter-clockwise. `crop_margin`, `padding`,
 * `position`, `shadow_blur` and `shadow_offset` are texts as the API takes them: "10px 5%". `model`: "" is the default.
 * `crop` and `snap` are true, false, or null for what the API does: crop where `fit` is "pad", and snap where it crops. `outputs`: the
 * rows of the API's field, or null for one result.
 */
export const DEFAULTS = Object.freeze({
  format: "webp", w: null, h: null, fit: "inside", mask: false, bg_color: null, bg_image: null, bg_blur: null, angle: 0, expand: true,
  model: "", detail: "auto", decontaminate: true, crop: null, crop_margin: null, scale: null, position: null, padding: null, snap: null,
  shadow: "none", shadow_opacity: null, shadow_color: null, shadow_blur: null, shadow_offset: null, quality: null, dpi: null,
  outputs: null,
});

// The API refuses a mask with any of them.
const NOT_OF_A_MASK = ["bg_color", "bg_image", "bg_blur", "shadow"];

/** The fields of a form that asks the API for `options`: pairs of name and value, without those at their default. */
export function fieldsOf(options) {
  const isMoot = (name) => (name === "fit" && options.fit === "exact" && !(options.w && options.h)) || (options.mask && NOT_OF_A_MASK.includes(name));
  const isDefault = (name) => [DEFAULTS[name], null, ""].includes(options[name]);
  const names = Object.keys(DEFAULTS).filter((name) => name !== "format" && !isDefault(name) && !isMoot(name));
  const sent = (name) => (name === "outputs" ? JSON.stringify(options.outputs) : options[name]);
  return [["format", options.format], ...names.map((name) => [name, sent(name)])];
}
