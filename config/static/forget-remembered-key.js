// On the page that a log-out ends at: whatever page it began on, the tab keeps no key.
import { forget } from "./remembered-key.js";

forget();
