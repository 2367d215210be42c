// The options of a finished image, named as the API's fields are; null is a field that is not sent.

/**
 * `w`, `h`: whole pixels; `fit`: "inside", "exact" or "pad"; `bg_color`, `shadow_color`: "#rrggbb"; `bg_image`: a Blob; `bg_blur`,
 * `shadow_opacity`, `scale`, `quality`: numbers as in the API; `angle`: degrees, counter-clockwise. `crop_margin`, `padding`,
 * `position`, `shadow_blur` and `shadow_offset` are texts as the API takes them: "10px 5%". `model`: "" is the default.
 * `crop` and `snap` are true, false, or null for what the API does: crop where `fit` is "pad", and snap where it crops.
 */
export const DEFAULTS = Object.freeze({
  format: "webp", w: null, h: null, fit: "inside", mask: false, bg_color: null, bg_image: null, bg_blur: null, angle: 0, expand: true,
  model: "", decontaminate: true, crop: null, crop_margin: null, scale: null, position: null, padding: null, snap: null,
  shadow: "none", shadow_opacity: null, shadow_color: null, shadow_blur: null, shadow_offset: null, quality: null, dpi: null,
});

/** The fields of a form that asks the API for `options`: pairs of name and value, without those at their default. */
export function fieldsOf(options) {
  const isSent = (name) => options[name] !== DEFAULTS[name] && options[name] !== null && options[name] !== "";
  const isMoot = (name) => (name === "fit" && options.fit === "exact" && !(options.w && options.h)) || (name === "bg_color" && options.mask);
  const names = Object.keys(DEFAULTS).filter((name) => isSent(name) && !isMoot(name));
  return [["format", options.format], ...names.filter((name) => name !== "format").map((name) => [name, options[name]])];
}
