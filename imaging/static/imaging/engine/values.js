// The texts of options as numbers, parsed as imaging/core/values.py and options.py do.

import { DEFAULTS } from "../options.js";
import { Refusal } from "./refusal.js";

const NUMBER = "[+-]?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?";
const LENGTH = new RegExp(`^(${NUMBER})(px|%)?$`, "i");
const PERCENTAGE = new RegExp(`^(${NUMBER})\\s*%?$`);
const HEX = /^#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i;
const MARGIN = { px: 500, "%": 50 };
const PADDING = { px: 10000, "%": 45 };
const OFFSET = { px: 500, "%": 100 };
const MIN_SCALE = 10;
const NO_SIDES = Object.freeze(Array(4).fill({ value: 0, unit: "px" }));

/**
 * The options of an image as numbers, for the pipeline. Throws Refusal for what the API would not take.
 *
 * Lengths are {value, unit}; `margin` and `padding` are four, as CSS orders them; colours are [red, green, blue, alpha].
 */
export function planOf(given) {
  const options = { ...DEFAULTS, ...given };
  const pad = options.fit === "pad";
  // A canvas is for the subject, unless the whole image was asked for.
  const crop = options.crop ?? pad;
  const plan = {
    format: options.format, w: options.w, h: options.h, exact: options.fit === "exact", pad, mask: options.mask,
    angle: options.angle, expand: options.expand, decontaminate: options.decontaminate, crop, snap: options.snap ?? crop,
    margin: sidesOf("crop_margin", options, MARGIN), padding: sidesOf("padding", options, PADDING),
    scale: scaleOf(options.scale), position: positionOf(options.position), colour: colourOf("bg_color", options.bg_color),
    image: options.bg_image, blur: numberOf("bg_blur", options.bg_blur ?? 0, 0, 100), shadow: shadowOf(options),
    quality: options.quality, dpi: options.dpi,
  };
  checkRoom(plan);
  return plan;
}

/** A length in pixels, where 100 % are `whole`. */
export function inPixels({ value, unit }, whole) {
  return unit === "px" ? value : (value * whole) / 100;
}

function shadowOf(options) {
  if (options.shadow === "none" || options.mask) return null;
  const isUnset = (text) => text === null || text === "";
  return {
    kind: options.shadow,
    opacity: options.shadow_opacity === null ? null : numberOf("shadow_opacity", options.shadow_opacity, 0, 100),
    colour: colourOf("shadow_color", options.shadow_color) ?? [0, 0, 0, 255],
    blur: isUnset(options.shadow_blur) ? null : lengthsOf("shadow_blur", options.shadow_blur, MARGIN, [1])[0],
    offset: isUnset(options.shadow_offset) ? null : lengthsOf("shadow_offset", options.shadow_offset, OFFSET, [2], true),
  };
}

function sidesOf(field, options, most) {
  const text = options[field];
  if (text === null || text === "") return NO_SIDES;
  const found = lengthsOf(field, text, most, [1, 2, 4]);
  return Array.from({ length: 4 }, (_, side) => found[side % found.length]);
}

function lengthsOf(field, text, most, counts, isSigned = false) {
  const parts = String(text).trim().split(/\s*,\s*|\s+/).map((part) => LENGTH.exec(part));
  if (!counts.includes(parts.length) || parts.includes(null)) throw invalid(field, text);
  return parts.map(([, number, unit]) => {
    const length = { value: Number(number), unit: unit === "%" ? "%" : "px" };
    const limit = most[length.unit];
    if (!(length.value >= (isSigned ? -limit : 0) && length.value <= limit)) throw invalid(field, text);
    return length;
  });
}

function numberOf(field, given, low, high) {
  const match = PERCENTAGE.exec(String(given).trim());
  const value = match ? Number(match[1]) : Number.NaN;
  if (!(value >= low && value <= high)) throw invalid(field, given);
  return value;
}

function scaleOf(given) {
  const isUnset = given === null || given === "" || String(given).toLowerCase() === "original";
  return isUnset ? null : numberOf("scale", given, MIN_SCALE, 100);
}

/** "original", percentages across and down, or null where none is asked for. */
function positionOf(given) {
  const text = String(given ?? "").trim().toLowerCase();
  if (text === "") return null;
  if (text === "original") return text;
  if (text === "center") return [50, 50];
  const parts = text.replaceAll(",", " ").split(/\s+/).filter(Boolean);
  if (parts.length === 0 || parts.length > 2) throw invalid("position", given);
  const values = parts.map((part) => numberOf("position", part, 0, 100));
  return [values[0], values.at(-1)];
}

function colourOf(field, given) {
  if (given === null || given === "") return null;
  const match = HEX.exec(given);
  if (match === null) throw invalid(field, given);
  const digits = match[1].length <= 4 ? [...match[1]].map((digit) => digit + digit).join("") : match[1];
  return digits.padEnd(8, "f").match(/../g).map((pair) => Number.parseInt(pair, 16));
}

/** Margins in px are of the delivered image: the subject needs a pixel between them. */
function checkRoom({ w, h, pad, crop, padding, margin }) {
  if (pad && !(w && h)) throw new Refusal("missing_size");
  if (!pad && !crop) return;
  const sides = pad ? padding : margin.map((side) => (side.unit === "px" ? side : { value: 0, unit: "px" }));
  for (const [whole, ends] of [[w, [sides[3], sides[1]]], [h, [sides[0], sides[2]]]]) {
    if (whole && whole - inPixels(ends[0], whole) - inPixels(ends[1], whole) < 1) throw new Refusal("no_room");
  }
}

function invalid(field, value) {
  return new Refusal("invalid_value", { field, value: String(value) });
}
