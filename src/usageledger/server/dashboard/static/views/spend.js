// What this month has cost against limits, and the limits themselves.

import { call, get, listAll } from "../lib/api.js";
import { empty, problem, setBusy, skeleton } from "../lib/controls.js";
import { freshId, h, openDialog, replace } from "../lib/dom.js";
import { exact, share } from "../lib/exact.js";
import { count, money, moneyInFull, percent } from "../lib/format.js";
import { Live } from "../lib/poll.js";
import { Table } from "../lib/table.js";
import { dateText } from "../lib/time.js";

const ORGANIZATION = "Organization";

export class SpendView {
  constructor(context) {
    this.context = context;
    this.manages = context.session.key.scopes.includes("api.management");
    this.sort = { name: "spent", descending: true };
    this.results = h("div", {}, skeleton(4, 40));
    this.table = new Table({ caption: "Spend of this month", onSort: (name, descending) => {
      this.sort = { name, descending };
      this.#draw();
    } });
    this.month = h("p", { class: "muted small" });
    this.card = h("div", { class: "card" }, this.table.element, this.month);
    this.live = new Live({
      load: async (signal) => {
        const [{ body }] = await Promise.all([get("/v1/spend", [], signal), context.names.load(["project_id"])]);
        return body.data;
      },
      show: (scopes) => this.#show(scopes),
      onError: (error, hadData) => !hadData && replace(this.results, problem(error, () => this.live.run())),
      onBusy: (busy) => setBusy(this.element, busy),
    });
    this.element = h("section", { class: "view" },
      h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Spend"),
        h("div", { class: "actions" }, this.live.status, this.manages && h("button", { type: "button", class: "button primary", "aria-haspopup": "dialog", onclick: () => this.#edit(null) }, "Set a limit"))),
      h("p", { class: "lead" }, "What this calendar month (UTC) has cost, against the limits of the organization and of projects. A limit stops what asks for a reservation before each request, and no other traffic."),
      this.results);
  }

  show() {
    this.live.run();
  }

  #show(scopes) {
    this.rows = scopes.map((scope) => ({ ...scope, key: JSON.stringify(scope.project_id), name: scope.project_id === null ? ORGANIZATION : this.context.names.of("project_id", scope.project_id) }));
    const [first] = scopes;
    replace(this.month, `From ${dateText(first.start_time, "UTC")} on, by today's prices.`);
    const limited = scopes.some(({ limit }) => limit !== null);
    this.#draw();
    replace(this.results, this.card, !limited && h("div", { class: "card" }, empty("No limits are set",
      this.manages ? "Set one for the organization or for a project, and this page says how much of it is left." : "A key with api.management sets them.")));
  }

  #draw() {
    this.table.update({ columns: this.#columns(), rows: this.rows, sort: this.sort });
  }

  #columns() {
    const amount = (name, title, doc) => ({ name, title, doc, number: true,
      order: (scope) => (scope[name] === null ? -1n : exact(scope[name].value)),
      text: (scope) => (scope[name] === null ? "–" : money(exact(scope[name].value))),
      full: (scope) => scope[name] && moneyInFull(exact(scope[name].value)) });
    return [
      { name: "name", title: "Whose", order: (scope) => scope.name, text: nameOf },
      amount("spent", "Spent", "Recorded costs of this month"),
      { name: "used", title: "Of the limit", number: true, order: used, text: usedBar },
      amount("limit", "Limit", "The most that may be spent in a month"),
      amount("held", "Held", "Reserved for requests under way"),
      amount("available", "Left", "The limit without what is spent and held"),
      { name: "forecast", title: "Forecast", doc: "Spend at the end of the month, with days like the last seven", number: true,
        order: (scope) => (scope.forecast ? exact(scope.forecast.amount.value) : -1n),
        text: (scope) => (scope.forecast ? money(exact(scope.forecast.amount.value)) : "–"),
        full: (scope) => scope.forecast && `From ${money(exact(scope.forecast.low.value))} to ${money(exact(scope.forecast.high.value))}` },
      { name: "unpriced", title: "Unpriced requests", doc: "Requests of which a part has no price, so that it is not in the amount", number: true,
        order: (scope) => exact(scope.unpriced_requests), text: (scope) => (scope.unpriced_requests ? h("a", { href: this.context.link("/unpriced", {}) }, count(exact(scope.unpriced_requests))) : "0") },
      this.manages && { name: "edit", title: "Edit", text: (scope) => h("button", { type: "button", class: "button small", "aria-haspopup": "dialog", "aria-label": `Change the limit of ${scope.name}`, onclick: () => this.#edit(scope) }, "Change") },
    ].filter(Boolean);
  }

  /** Sets, changes or removes the limit of a scope, or of one that is chosen. */
  async #edit(scope) {
    const whose = h("select", { disabled: scope !== null });
    const projects = scope ? [] : await listAll("/v1/organization/projects").catch(() => []);
    const choices = scope ? [[scope.project_id, scope.name]] : [[null, ORGANIZATION], ...projects.map(({ id, name }) => [id, name])];
    replace(whose, choices.map(([id, name]) => h("option", { value: id ?? "" }, name)));
    const hint = freshId("hint");
    const usd = h("input", { type: "text", inputmode: "decimal", required: true, autocomplete: "off", pattern: "[0-9]{1,13}([.][0-9]{1,2})?", "aria-describedby": hint, value: scope?.limit ? String(scope.limit.value) : "" });
    const said = h("div");
    const finish = async (method, body) => {
      const id = choices[whose.selectedIndex][0];
      const path = id === null ? "/v1/organization/spend_limit" : `/v1/organization/projects/${encodeURIComponent(id)}/spend_limit`;
      try {
        await call(path, { method, body });
        this.dialog.close();
        this.live.run({ quiet: true });
      } catch (error) {
        replace(said, problem(error));
      }
    };
    const submit = (event) => {
      event.preventDefault();
      const [whole, fraction = ""] = usd.value.split(".");
      finish("POST", { threshold_amount: Number(`${whole}${fraction.padEnd(2, "0")}`), currency: "USD", interval: "month" });
    };
    this.dialog = openDialog(scope ? `The limit of ${scope.name}` : "Set a limit", h("form", { class: "form", onsubmit: submit },
      h("label", {}, "Whose", whose),
      h("label", {}, "USD in a month", usd, h("span", { id: hint, class: "muted small" }, "Whole cents, such as 500 or 49.99.")), said,
      h("footer", {}, scope?.limit && h("button", { type: "button", class: "button danger", onclick: () => finish("DELETE") }, "Remove it"),
        h("button", { type: "button", class: "button", onclick: () => this.dialog.close() }, "Cancel"), h("button", { type: "submit", class: "button primary" }, "Set"))));
    usd.focus();
  }

  dispose() {
    this.live.dispose();
    this.dialog?.close();
  }
}

const used = (scope) => (scope.limit ? share(exact(scope.spent.value), exact(scope.limit.value)) : -1);

function usedBar(scope) {
  if (!scope.limit) return "–";
  const part = used(scope);
  return h("span", { class: "share" }, h("span", { class: "bar" }, h("span", { style: { width: `${Math.min(100, part * 100)}%` } })), h("span", { class: "ratio" }, percent(part)));
}

function nameOf(scope) {
  return [h("bdi", { class: "emitter" }, scope.name), scope.status === "enforcing" && h("span", { class: "tag warn" }, "limit reached")];
}
