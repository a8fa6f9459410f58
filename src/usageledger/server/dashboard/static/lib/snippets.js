// Code to copy: the API call behind a view, and settings of other programs.

import { copyButton, h, openDialog } from "./dom.js";
import { curlLine, pythonProgram } from "./question.js";

/** Code with its title, a button that copies it, and a line on where it goes. */
export function snippet(title, text, where = null) {
  return h("section", { class: "snippet" },
    h("header", {}, h("h3", {}, title), copyButton(() => text)),
    where && h("p", { class: "muted small" }, where),
    h("pre", { tabindex: "0", role: "region", "aria-label": title }, h("code", {}, text)));
}

export function apiCallDialog(question) {
  openDialog("API call",
    h("p", { class: "muted" }, "The same numbers for a program. Put a key with api.usage.read into USAGELEDGER_ADMIN_KEY."),
    snippet("curl", curlLine(question, location.origin)),
    snippet("Python", pythonProgram(question, location.origin)));
}
