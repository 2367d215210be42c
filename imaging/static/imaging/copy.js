// A button that copies a text.

/** Show `button`, which copies the text of the element `source`. Only secure origins may write to the clipboard. */
export function offerCopy(button, source) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = gettext("Copied");
    setTimeout(() => { button.textContent = gettext("Copy"); }, 2000);
  });
}
