// Keys of the API: what there is, a new one, and an end to one.

import { call, listAll } from "../lib/api.js";
import { empty, problem, setBusy, skeleton } from "../lib/controls.js";
import { copyButton, freshId, h, openDialog, replace } from "../lib/dom.js";
import { Live } from "../lib/poll.js";
import { dateText, momentText, nowSeconds } from "../lib/time.js";

const PATH = "/v1/organization/admin_api_keys";
const SCOPES = [
  ["api.usage.read", "Read usage and costs", "For dashboards and exporters, and to sign in here."],
  ["api.usage.write", "Send events", "For gateways."],
  ["api.management", "Manage keys and projects", "For operators."],
];
const LIFETIMES = [["", "Never"], ["604800", "In 7 days"], ["2592000", "In 30 days"], ["7776000", "In 90 days"], ["31536000", "In a year"]];

export class KeysView {
  constructor(context) {
    this.context = context;
    this.results = h("div", {}, skeleton(4, 40));
    this.live = new Live({
      load: () => listAll(PATH),
      show: (keys) => this.#show(keys),
      onError: (error, hadData) => !hadData && replace(this.results, problem(error, () => this.live.run())),
      onBusy: (busy) => setBusy(this.element, busy),
    });
    this.element = h("section", { class: "view narrow" },
      h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Keys"),
        h("div", { class: "actions" }, h("button", { type: "button", class: "button primary", onclick: () => this.#create() }, "Create a key"))),
      h("p", { class: "lead" }, "Programs ask this server with a key, and people sign in with one. Only its digest is kept, so its value is shown once."),
      this.results);
  }

  show() {
    this.live.run();
  }

  #show(keys) {
    const now = nowSeconds();
    replace(this.results, h("div", { class: "card" }, keys.length === 0 ? empty("No keys", "Create one to let a program in.") : h("div", { class: "table" },
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Keys" }, h("table", { class: "data" },
        h("caption", { class: "visually-hidden" }, "Keys"),
        h("thead", {}, h("tr", {}, ["Name", "Scopes", "Created", "Last used", "Expires"].map((title) => h("th", { scope: "col" }, title)), h("td", {}, h("span", { class: "visually-hidden" }, "Revoke")))),
        h("tbody", {}, keys.map((key) => this.#row(key, now))))))));
  }

  #row(key, now) {
    const own = key.id === this.context.session.key.id;
    const expired = key.expires_at !== null && key.expires_at <= now;
    return h("tr", { class: expired ? "past" : null },
      h("th", { scope: "row" }, key.name, own && h("span", { class: "tag" }, "yours"), h("div", { class: "muted small mono" }, key.redacted_value)),
      h("td", {}, key.scopes.map((scope) => h("span", { class: "tag mono" }, scope.replace("api.", "")))),
      h("td", { title: momentText(key.created_at, "UTC") }, dateText(key.created_at, "UTC")),
      h("td", {}, key.last_used_at === null ? h("span", { class: "muted" }, "Never") : ago(now - key.last_used_at)),
      h("td", {}, key.expires_at === null ? h("span", { class: "muted" }, "Never") : expired ? h("span", { class: "tag warn" }, "expired") : dateText(key.expires_at, "UTC")),
      h("td", { class: "number" }, h("button", { type: "button", class: "button small danger", "aria-label": `Revoke ${key.name}`, onclick: () => this.#revoke(key, own) }, "Revoke")));
  }

  #create() {
    const name = h("input", { type: "text", required: true, maxlength: "256", autocomplete: "off" });
    const boxes = SCOPES.map(([scope, title, note], place) => ({ scope, title, note, box: h("input", { type: "checkbox", value: scope, checked: place === 0 }) }));
    const lifetime = h("select", {}, LIFETIMES.map(([value, text]) => h("option", { value }, text)));
    const said = h("div");
    const submit = async (event) => {
      event.preventDefault();
      const scopes = boxes.filter(({ box }) => box.checked).map(({ scope }) => scope);
      if (!scopes.length) {
        replace(said, h("p", { class: "field-error", role: "alert" }, "A key needs at least one scope."));
        return;
      }
      try {
        const { body } = await call(PATH, { method: "POST", body: { name: name.value, scopes, ...(lifetime.value ? { expires_in_seconds: Number(lifetime.value) } : {}) } });
        dialog.close();
        this.#showValue(body);
        this.live.run({ quiet: true });
      } catch (error) {
        replace(said, problem(error));
      }
    };
    const dialog = openDialog("Create a key", h("form", { class: "form", onsubmit: submit },
      h("label", {}, "Name", name),
      h("fieldset", {}, h("legend", {}, "It may"), boxes.map(({ title, note, box }) => h("label", { class: "option" }, box, h("span", {}, title, h("span", { class: "muted small" }, note))))),
      h("label", {}, "It expires", lifetime), said,
      h("footer", {}, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel"), h("button", { type: "submit", class: "button primary" }, "Create"))));
    name.focus();
  }

  #showValue(key) {
    const id = freshId("value");
    const dialog = openDialog(`The key “${key.name}”`,
      h("p", {}, "Copy its value now: it is not shown again."),
      h("div", { class: "secret" }, h("code", { id, tabindex: "0" }, key.value), copyButton(() => key.value)),
      h("footer", {}, h("button", { type: "button", class: "button primary", onclick: () => dialog.close() }, "Done")));
  }

  #revoke(key, own) {
    const said = h("div");
    const revoke = async () => {
      try {
        await call(`${PATH}/${encodeURIComponent(key.id)}`, { method: "DELETE" });
        dialog.close();
        this.live.run({ quiet: true });
      } catch (error) {
        replace(said, problem(error));
      }
    };
    const dialog = openDialog(`Revoke “${key.name}”?`,
      h("p", {}, "Programs that use it are refused from now on. This cannot be undone."),
      own && h("p", { class: "notice warn" }, "You are signed in with this key: you will be signed out."), said,
      h("footer", {}, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Keep it"), h("button", { type: "button", class: "button danger-solid", onclick: revoke }, "Revoke")));
  }

  dispose() {
    this.live.dispose();
  }
}

function ago(seconds) {
  if (seconds < 120) return "Just now";
  const [size, unit] = seconds < 7200 ? [60, "minute"] : seconds < 172_800 ? [3600, "hour"] : [86_400, "day"];
  return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / size), unit);
}
