// A question before something is lost.

/** Ask in a dialog: `{title, text, yes, no}`. Resolves to whether the answer is yes. */
export function ask({ title, text, yes, no }) {
  const dialog = document.getElementById("brush-ask");
  const [accept, decline] = ["yes", "no"].map((value) => dialog.querySelector(`[value=${value}]`));
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("p").textContent = text;
  accept.textContent = yes;
  decline.textContent = no;
  dialog.returnValue = "no";
  dialog.showModal();
  decline.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
