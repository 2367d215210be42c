// On the page shown after log-out: wherever the log-out began, the tab keeps no key.
import { forget } from "./remembered-key.js";

forget();
