// Shows the remaining credits, as the server reports them.

import { request } from "./api.js";

/** Fetch the balance and write it into its element. */
export async function showBalance(element, url) {
  let balance;
  try {
    balance = await (await request(url)).json();
  } catch {
    // The figure stays unchanged; the next image fetches it again.
    return;
  }
  const number = new Intl.NumberFormat(document.documentElement.lang).format;
  const left = ngettext("%(left)s credit left", "%(left)s credits left", balance.left);
  const parts = { included: number(balance.included), prepaid: number(balance.prepaid) };
  element.querySelector(".balance-text").textContent = interpolate(left, { left: number(balance.left) }, true);
  element.querySelector(".balance-parts").textContent = interpolate(
    gettext("%(included)s included, %(prepaid)s prepaid"), parts, true,
  );
}
