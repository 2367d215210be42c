"use strict";

// Reloading fetches the list instead of sending the form again, which would create another key.
if (document.querySelector("[data-shown-once]")) history.replaceState(null, "", "/profile/keys");

for (const button of document.querySelectorAll("[data-copy]")) {
  // Only secure origins may write to the clipboard; elsewhere the reader can select the text.
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
