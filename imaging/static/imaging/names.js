// Names of uploaded and of downloaded files.

// Also JPEGs: Windows and old browsers save them with these names. The API's contract allows none of them.
const OTHER_JPEG = /\.(jfif|jpe|pjpeg|pjp)$/i;

/** What a pattern of names may hold between braces. */
export const TOKENS = ["name", "number", "date", "width", "height", "output"];
export const DEFAULT_PATTERN = "{name}-no-bg";
const TOKEN = /\{([^{}]*)\}/g;
// No file system that people use takes more digits, and a list has fewer.
const MAX_DIGITS = 6;
// Windows forbids the signs and the names; control characters and those that turn the direction of writing would disguise a name.
const FORBIDDEN = /[\p{Cc}\p{Bidi_Control}<>:"/\\|?*]/gu;
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;
// File systems allow 255 bytes; the rest is for the extension and a number.
const MAX_BYTES = 200;

/** The name to send a file with: one that the API allows. */
export const sentName = (name) => name.replace(OTHER_JPEG, ".jpg");

/** A file's name without folders and extension. */
export function stem(name) {
  const base = name.replaceAll("\\", "/").split("/").pop();
  return base.replace(/\.[^.]*$/, "").trim() || "image";
}

/** What is wrong with a pattern, as a sentence; null if it can be used. */
export function patternProblem(pattern) {
  if (!pattern.trim()) return gettext("Write a pattern, such as {name}-no-bg.");
  if (/[{}]/.test(pattern.replace(TOKEN, ""))) return gettext("A brace has no partner. Write {name}, with one brace at each end.");
  for (const [whole, inside] of pattern.matchAll(TOKEN)) {
    const [word, ...digits] = inside.split(":");
    if (!TOKENS.includes(word)) {
      const all = TOKENS.map((token) => isolated(`{${token}}`)).join(gettext(", "));
      return interpolate(gettext("%(token)s is unknown. There are %(all)s."), { token: isolated(whole), all }, true);
    }
    if (digits.length && !isCount(word, digits)) {
      return interpolate(gettext("%(token)s is not understood. {number:3} makes three digits, 1 to %(most)s are possible."), { token: isolated(whole), most: MAX_DIGITS }, true);
    }
  }
  return null;
}

// Braces keep their places in a text that is written from right to left.
const isolated = (token) => `\u2066${token}\u2069`;
const isCount = (word, digits) => word === "number" && digits.length === 1 && /^\d$/.test(digits[0]) && digits[0] >= 1 && digits[0] <= MAX_DIGITS;

/**
 * A name for each file `{name, extension, number, width, height, output}`, made by the pattern, with a number added if another
 * file has the name already. `output` is "" where a picture has only one.
 */
export function downloadNames(files, pattern = DEFAULT_PATTERN) {
  const taken = new Set();
  return files.map((file) => {
    const wanted = filled(pattern, file);
    let found = `${wanted}.${file.extension}`;
    for (let number = 2; taken.has(found.toLowerCase()); number++) found = `${wanted}-${number}.${file.extension}`;
    taken.add(found.toLowerCase());
    return found;
  });
}

function filled(pattern, { name, number = 1, width = 0, height = 0, output = "" }) {
  // Several outputs of one picture have to differ, whatever the pattern.
  const whole = output && !pattern.includes("{output}") ? `${pattern}-{output}` : pattern;
  // Where there is no output, the sign before it would stand alone.
  const tidy = output ? whole : whole.replace(/[-_. ]?\{output\}/g, "");
  const values = { name: stem(name), number, date: today(), width, height, output };
  const text = tidy.replace(TOKEN, (_, inside) => {
    const [word, digits = "1"] = inside.split(":");
    return word === "number" ? String(number).padStart(Number(digits), "0") : values[word];
  });
  return safe(text);
}

/** A name that every file system takes. */
function safe(text) {
  const clean = shortened(text.replace(FORBIDDEN, "")).replace(/^[ ]+|[. ]+$/g, "");
  return clean.replace(RESERVED, "_$1") || "image";
}

function shortened(text) {
  const characters = [...text];
  while (new TextEncoder().encode(characters.join("")).length > MAX_BYTES) characters.pop();
  return characters.join("");
}

/** The day as 2026-05-31, where the reader is. */
function today() {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

/** Hand a blob to the browser as a download. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
