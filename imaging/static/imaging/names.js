// Names of the files that are sent and of those that are taken away.

// JPEGs as well: Windows and old browsers save them so. The API, by its contract, knows none of these names.
const OTHER_JPEG = /\.(jfif|jpe|pjpeg|pjp)$/i;

/** The name under which a file is sent: one that the API allows. */
export const sentName = (name) => name.replace(OTHER_JPEG, ".jpg");

/** A file's name without folders and extension. */
export function stem(name) {
  const base = name.replaceAll("\\", "/").split("/").pop();
  return base.replace(/\.[^.]*$/, "").trim() || "image";
}

/** `<stem>-no-bg.<extension>` for each [name, extension], a number added where another file has it already. */
export function downloadNames(files) {
  const taken = new Set();
  return files.map(([name, extension]) => {
    const wanted = `${stem(name)}-no-bg`;
    let found = `${wanted}.${extension}`;
    for (let number = 2; taken.has(found.toLowerCase()); number++) found = `${wanted}-${number}.${extension}`;
    taken.add(found.toLowerCase());
    return found;
  });
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
