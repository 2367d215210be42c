// Names of uploaded and of downloaded files.

// Also JPEGs: Windows and old browsers save them with these names. The API's contract allows none of them.
const OTHER_JPEG = /\.(jfif|jpe|pjpeg|pjp)$/i;

/** The name to send a file with: one that the API allows. */
export const sentName = (name) => name.replace(OTHER_JPEG, ".jpg");

/** A file's name without folders and extension. */
export function stem(name) {
  const base = name.replaceAll("\\", "/").split("/").pop();
  return base.replace(/\.[^.]*$/, "").trim() || "image";
}

/** `<stem>-no-bg[-suffix].<extension>` for each [name, extension, suffix], with a number if another file has the name already. */
export function downloadNames(files) {
  const taken = new Set();
  return files.map(([name, extension, suffix]) => {
    const wanted = `${stem(name)}-no-bg${suffix ? `-${suffix}` : ""}`;
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
