// On the page that a log-out ends at: whatever page it began on, the tab keeps no key.
import { forget } from "./kept-key.js";

forget();
