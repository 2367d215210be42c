// The settings as a call of the API, to copy.

import { offerCopy } from "./copy.js";
import { fieldsOf } from "./options.js";

const PLAIN = /^[\w.@%/:=-]+$/;
const quoted = (text) => (PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** The command for curl that makes the same of a picture. Several results take a batch. */
export function curlOf(options, { rmbg, batches }) {
  const fields = fieldsOf(options).map(([name, value]) => `${name}=${value instanceof Blob ? "@background.jpg" : value}`);
  const address = new URL(options.outputs ? batches : rmbg, location.href).href;
  const save = options.outputs ? "" : ` -o cutout.${options.format}`;
  const lines = ['curl -H "x-api-key: YOUR_KEY"', ...["image=@photo.jpg", ...fields].map((field) => `-F ${quoted(field)}`), address + save];
  return lines.join(" \\\n  ");
}

/** Show the call in the section `root` while it is open. Returns `show(options)`. */
export function offerApiCall(root, addresses) {
  const code = root.querySelector("code");
  let latest = null;
  const draw = () => { if (root.open && latest) code.textContent = curlOf(latest, addresses); };
  root.addEventListener("toggle", draw);
  offerCopy(root.querySelector("button"), code);
  return (options) => {
    latest = options;
    draw();
  };
}
