// What options mean, in words: for the lines of the sections, and for a batch.

import { NAMES } from "../encoders.js";
import { number, percent } from "../messages.js";
import { PRESETS, presetOf } from "../presets.js";

const COLOURS = () => ({ "#ffffff": gettext("White"), "#000000": gettext("Black"), "#3d4fe0": gettext("Blue"), "#f2c14e": gettext("Yellow") });
const SHADOWS = () => ({ none: gettext("None"), drop: gettext("Drop shadow"), contact: gettext("On the ground") });

function background({ bg_color, bg_image, bg_blur, mask }) {
  if (mask) return "";
  if (bg_image) return gettext("A picture");
  if (bg_blur) return gettext("Blurred");
  return bg_color === null ? gettext("Transparent") : COLOURS()[bg_color] ?? bg_color;
}

function canvas(options) {
  const preset = presetOf(options);
  if (preset) return PRESETS[preset].name;
  const { w, h, fit, crop } = options;
  if (fit === "pad") return `${number(w ?? 0)} × ${number(h ?? 0)}`;
  if (w || h) return w && h ? `${number(w)} × ${number(h)}` : interpolate(gettext("%(side)s px"), { side: number(w ?? h) }, true);
  return crop ? gettext("The subject") : gettext("Whole picture");
}

/** What a section is set to, by the section's name. */
export const WORDS = {
  background,
  canvas,
  shadow: ({ shadow, mask }) => (mask ? "" : SHADOWS()[shadow]),
  angle: ({ angle }) => interpolate(gettext("%(angle)s°"), { angle: number(angle) }, true),
  edges: ({ decontaminate, mask }) => (mask ? gettext("Only the mask") : decontaminate ? gettext("Cleaned") : gettext("As they are")),
  format: ({ format, quality }) => (quality ? `${NAMES[format]} · ${number(quality)}` : NAMES[format]),
  results: ({ outputs }) => number(outputs?.length ?? 1),
  model: ({ model, detail }) => [model, detail === "fast" && gettext("Look once, faster")].filter(Boolean).join(gettext(", ")),
};

function sizeText({ w, h, fit }) {
  const size = { w: number(w ?? 0), h: number(h ?? 0) };
  if (w && h && fit === "pad") return interpolate(gettext("on a canvas of %(w)s × %(h)s pixels"), size, true);
  if (w && h) return interpolate(fit === "exact" ? gettext("exactly %(w)s × %(h)s pixels") : gettext("within %(w)s × %(h)s pixels"), size, true);
  if (w) return interpolate(gettext("%(w)s pixels wide"), size, true);
  return h ? interpolate(gettext("%(h)s pixels high"), size, true) : "";
}

/** A list in words of what `options` ask for, without format and background. */
export function describe(options) {
  const { crop, fit, crop_margin, padding, scale, position, angle, shadow, decontaminate, mask, quality, dpi, outputs, model, detail } = options;
  const said = (text, values) => interpolate(text, values, true);
  return [
    sizeText(options),
    crop && fit !== "pad" && gettext("cut to the subject"),
    crop && crop_margin && fit !== "pad" && said(gettext("margin %(length)s"), { length: crop_margin }),
    fit === "pad" && padding && said(gettext("padding %(length)s"), { length: padding }),
    scale && said(gettext("subject at %(percent)s"), { percent: percent(scale / 100, 1) }),
    position && gettext("subject placed"),
    angle && said(gettext("turned by %(angle)s°"), { angle: number(angle) }),
    shadow !== "none" && !mask && { drop: gettext("drop shadow"), contact: gettext("shadow on the ground") }[shadow],
    !decontaminate && gettext("edges as they are"),
    mask && gettext("only the mask"),
    quality && said(gettext("quality %(quality)s"), { quality: number(quality) }),
    dpi && said(gettext("%(dpi)s dpi"), { dpi: number(dpi) }),
    outputs && said(ngettext("%(count)s result of each", "%(count)s results of each", outputs.length), { count: number(outputs.length) }),
    model && said(gettext("model %(model)s"), { model }),
    detail === "fast" && gettext("looking once"),
  ].filter(Boolean);
}
