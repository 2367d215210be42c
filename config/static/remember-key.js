// On the page that shows a new key: offers to keep it in the tab for the documentation's samples.
import { forgetAtLogout, keep } from "./remembered-key.js";

const offer = document.querySelector("[data-keep-key]");
const button = offer.querySelector("button");

offer.hidden = false;
button.addEventListener("click", () => {
  keep(document.getElementById(offer.dataset.keepKey).textContent.trim(), offer.dataset.account);
  button.hidden = true;
  offer.querySelector("[data-kept]").hidden = false;
  offer.querySelector("[data-kept] a").focus();
});
forgetAtLogout();
