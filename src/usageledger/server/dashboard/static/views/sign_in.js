// Signing in with a key.

import { call } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { brandMark } from "../lib/shell.js";

const SESSION = "/dashboard/session";

export const session = async () => (await call(SESSION)).body;
export const signOut = () => call(SESSION, { method: "DELETE" });

/** The page that asks for a key; `onSignedIn` follows. `reason` says why it is asked for again. */
export function signInPage(reason, onSignedIn) {
  const key = h("input", { id: "key", type: "password", required: true, autocomplete: "current-password", spellcheck: "false", "aria-describedby": "key-hint key-error" });
  const said = h("p", { id: "key-error", class: "field-error", role: "alert" });
  const button = h("button", { type: "submit", class: "button primary" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    replace(said);
    try {
      await call(SESSION, { method: "POST", body: { key: key.value } });
      await onSignedIn();
    } catch (error) {
      said.textContent = error.message;
      key.setAttribute("aria-invalid", "true");
      key.select();
    } finally {
      button.disabled = false;
    }
  };
  const page = h("main", { class: "sign-in" }, h("form", { class: "card form", onsubmit: submit },
    h("div", { class: "brand" }, brandMark(), h("span", {}, "UsageLedger")),
    h("h1", {}, "Sign in"),
    reason && h("p", { class: "notice warn", role: "status" }, reason),
    h("input", { type: "text", autocomplete: "username", value: "usageledger", hidden: true, "aria-hidden": "true", tabindex: "-1" }),
    h("label", { for: "key" }, "Key"), key, said,
    h("p", { id: "key-hint", class: "muted small" }, "A key with the scope api.usage.read. The first start of the server shows one; ", h("code", {}, "usageledger keys create"), " makes another."),
    button));
  return { page, focus: () => key.focus() };
}
