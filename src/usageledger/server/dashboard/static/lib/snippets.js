// The API call behind a view, to copy.

import { copyButton, h, openDialog } from "./dom.js";
import { curlLine, pythonProgram } from "./question.js";

export function apiCallDialog(question) {
  const code = (title, text) => h("section", { class: "snippet" },
    h("header", {}, h("h3", {}, title), copyButton(() => text)),
    h("pre", { tabindex: "0", role: "region", "aria-label": title }, h("code", {}, text)));
  openDialog("API call",
    h("p", { class: "muted" }, "The same numbers for a program. Put a key with api.usage.read into USAGELEDGER_ADMIN_KEY."),
    code("curl", curlLine(question, location.origin)),
    code("Python", pythonProgram(question, location.origin)));
}
