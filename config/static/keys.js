"use strict";

// Reloading asks for the list and does not send the form again: that would make another key.
if (document.querySelector("[data-shown-once]")) history.replaceState(null, "", "/profile/keys");

for (const button of document.querySelectorAll("[data-copy]")) {
  // Only pages of a secure origin may write to the clipboard; elsewhere the text is there to be selected.
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = gettext("Copied");
    } catch {
      button.textContent = gettext("Select and copy");
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}
