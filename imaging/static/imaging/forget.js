// On the page to which a log-out leads: this browser keeps no pictures of the account that has left.
import { forgetEverything } from "./store.js";

forgetEverything();
