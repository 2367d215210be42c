// Names of the files that are taken away.

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
