import { invalidInput } from "./problems.js";

/** Base64 text and its declared media type. */
export interface Encoded {
  data: string;
  type: string;
}

/** Takes a data URL, or bare base64. Throws `invalid_input`, which names `label`, for a data URL that is not base64. */
export function parseBase64(text: string, label: string): Encoded {
  if (!text.startsWith("data:")) return { data: text, type: "" };
  const comma = text.indexOf(",");
  const [type = "", ...parameters] = text.slice("data:".length, comma).split(";");
  if (comma < 0 || !parameters.includes("base64")) throw invalidInput(`${label}.base64 is a data URL without base64`);
  return { data: text.slice(comma + 1), type };
}

/** A name for a picture that has none: the server first checks the extension, and then only the bytes. */
export function nameFor(type: string): string {
  return `image.${/^image\/(jpeg|png|webp|bmp)$/.exec(type)?.[1] ?? "png"}`;
}
