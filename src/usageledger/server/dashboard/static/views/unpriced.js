// What has no known price, and so is in no amount.

import { get } from "../lib/api.js";
import { empty, problem, setBusy, skeleton } from "../lib/controls.js";
import { h, replace } from "../lib/dom.js";
import { exact } from "../lib/exact.js";
import { caseWords, count, unitName } from "../lib/format.js";
import { Live } from "../lib/poll.js";
import { rangePicker, zonePicker } from "../lib/range.js";
import { DEFAULT_RANGE, zoneOf } from "../lib/question.js";
import { dateText, dayText, momentText, nowSeconds, rangeOf } from "../lib/time.js";

export class UnpricedView {
  constructor(context) {
    this.context = context;
    this.toolbar = h("div", { class: "toolbar" });
    this.results = h("div", {}, skeleton(6, 30));
    this.live = new Live({
      load: (signal) => this.#load(signal),
      show: (entries) => this.#show(entries),
      onError: (error, hadData) => !hadData && replace(this.results, problem(error, () => this.live.run())),
      onBusy: (busy) => setBusy(this.element, busy),
    });
    this.element = h("section", { class: "view" },
      h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Unpriced"), h("div", { class: "actions" }, this.live.status)),
      h("p", { class: "lead" }, "Usage with no known price. It is counted, but it is in no amount: what it cost is not guessed."),
      this.toolbar, this.results);
  }

  show(parameters) {
    this.zone = zoneOf(parameters);
    const [start, end] = ["start", "end"].map((name) => Number(parameters.get(name)));
    const custom = start > 0 && end > start;
    this.range = custom ? null : parameters.get("range") ?? DEFAULT_RANGE;
    this.window = custom ? { start, end } : rangeOf(this.range, nowSeconds(), this.zone);
    const { context } = this;
    replace(this.toolbar,
      rangePicker({ range: this.range, zone: this.zone, ...this.window }, ({ range = null, start: from = null, end: to = null }) => context.navigate({ range, start: from, end: to })),
      zonePicker(this.zone, (name) => context.navigate({ timezone: name === "UTC" ? null : name })));
    this.live.run();
  }

  async #load(signal) {
    const { body } = await get("/v1/unpriced", [["start_time", this.window.start], ["end_time", this.window.end]], signal);
    return body.data;
  }

  #show(entries) {
    const { names } = this.context;
    replace(this.results, h("div", { class: "card" }, entries.length === 0
      ? empty("Everything has a price", "All usage of this range is in the amounts.")
      : h("div", { class: "table" }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Unpriced usage" }, h("table", { class: "data" },
        h("caption", { class: "visually-hidden" }, "Usage with no known price"),
        h("thead", {}, h("tr", {}, ["Model", "Kind", "Provider", "What", "Quantity", "Why", "Seen"].map((title, place) => h("th", { scope: "col", class: place === 4 ? "number" : null }, title)))),
        h("tbody", {}, entries.map((entry) => h("tr", {},
          h("th", { scope: "row" }, entry.model ?? h("span", { class: "muted" }, "No model"), details(entry)),
          h("td", {}, names.of("kind", entry.kind)),
          h("td", {}, entry.provider ?? "–"),
          h("td", {}, entry.quantities.map(({ line_item }) => h("div", {}, short(line_item, entry.model)))),
          h("td", { class: "number" }, entry.quantities.map(({ quantity, quantity_unit }) => h("div", {}, count(exact(quantity)), " ", h("span", { class: "muted" }, unitName(quantity_unit))))),
          h("td", { class: "source" }, [...new Set(entry.quantities.map(({ message }) => message))].map((why) => h("div", {}, why))),
          h("td", { title: `${momentText(entry.first_time, this.zone)} – ${momentText(entry.last_time, this.zone)}` }, `${dayText(entry.first_time, this.zone)} – ${dateText(entry.last_time, this.zone)}`)))))))));
  }

  dispose() {
    this.live.dispose();
  }
}

/** What tells an entry from others of its model. */
function details(entry) {
  const said = [entry.batch && "batch", entry.service_tier, ...caseWords(entry)].filter(Boolean);
  return said.length > 0 && h("div", { class: "muted small" }, said.join(", "));
}

function short(item, model) {
  return model && item.startsWith(`${model}, `) ? item.slice(model.length + 2) : item;
}
