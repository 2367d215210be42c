// Takes pictures that are chosen, dropped anywhere on the page or pasted, and our samples.

export const MAX_BYTES = 50 * 1024 * 1024;

/** Call `onFiles` with the files that a person chooses, drops or pastes. */
export function acceptFiles({ input, dropZone, onFiles }) {
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    // The same file may be chosen again.
    input.value = "";
    if (chosen.length) onFiles(chosen);
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (pasted.length && !event.defaultPrevented) onFiles(pasted);
  });
  acceptDrops(dropZone, onFiles);
}

function acceptDrops(dropZone, onFiles) {
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    dropZone.classList.toggle("dropping", depth > 0);
  };
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => holdsFiles(event) && mark(1));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && mark(-1));
  // Otherwise the browser would leave the page and open the file.
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    // A part of the page may have taken them.
    const dropped = event.defaultPrevented ? [] : [...event.dataTransfer.files];
    event.preventDefault();
    mark(-depth);
    if (dropped.length) onFiles(dropped);
  });
}

/** Call `onFile` with the sample of a [data-sample] button; its value is the image's URL. */
export function offerSamples(buttons, onFile, onError) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      try {
        onFile(await fetchSample(button.dataset.sample));
      } catch (error) {
        onError(error);
      }
    });
  }
}

async function fetchSample(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(gettext("The sample could not be loaded. Reload the page, then try again."));
  const blob = await response.blob();
  // In production there is a hash before the extension: coffee.0123456789ab.jpg.
  const name = url.split("/").pop().replace(/\.[0-9a-f]{12}(?=\.)/, "");
  return new File([blob], name, { type: blob.type });
}
