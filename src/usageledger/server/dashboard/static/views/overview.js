// The first view: what was spent, on what, and where it is going.

import { get } from "../lib/api.js";
import { Chart, legend, seriesOf } from "../lib/chart.js";
import { empty, problem, segments, setBusy, skeleton } from "../lib/controls.js";
import { h, replace } from "../lib/dom.js";
import { money, moneyInFull } from "../lib/format.js";
import { figures, figureCards } from "../lib/figures.js";
import { Live } from "../lib/poll.js";
import { readQuestion } from "../lib/question.js";
import { rangePicker, zonePicker } from "../lib/range.js";
import { load, loadTotals } from "../lib/series.js";
import { nowSeconds } from "../lib/time.js";
import { TOP_DIMENSIONS, topLists } from "./top_lists.js";

const GROUPINGS = [["model", "Model"], ["project_id", "Project"], ["user_id", "User"], ["api_key_id", "Key"], ["line_item", "Line item"]];

export class Overview {
  constructor(context) {
    this.context = context;
    this.costs = context.meters.find((meter) => meter.priced);
    this.cards = h("div", { class: "figures" }, skeleton(5, 86));
    this.notices = h("div");
    this.toolbar = h("div", { class: "toolbar" });
    this.total = h("strong", { class: "figure" });
    this.key = h("ul", { class: "legend" });
    this.chart = new Chart({ title: "Cost per day", onZoom: (start, end) => context.navigate({ range: null, start, end }) });
    this.chartCard = h("article", { class: "card" },
      h("header", { class: "card-head" }, h("div", {}, h("h2", {}, "Cost"), this.total)), this.chart.element, this.key);
    this.spent = h("div", {}, skeleton(1, 280));
    this.lists = h("div", { class: "top-lists" }, skeleton(5, 220));
    const busyParts = new Set();
    const part = (loads, shows) => new Live({ load: loads, show: shows, onBusy: (busy) => {
      busyParts[busy ? "add" : "delete"](loads);
      setBusy(this.element, busyParts.size > 0);
    }, onError: (error, hadData) => this.#failed(error, hadData) });
    this.parts = [
      part((signal) => this.#loadChart(signal), (found) => this.#showChart(found)),
      part((signal) => figures(context.meters, this.zone, signal), (found) => replace(this.cards, figureCards(found, this.zone))),
      part((signal) => this.#loadLists(signal), (found) => replace(this.lists, topLists(found, this.question, context))),
    ];
    this.element = h("section", { class: "view" },
      h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Overview"), h("div", { class: "actions" }, this.parts[0].status)),
      this.notices, this.cards, this.toolbar, this.spent, this.lists);
  }

  show(parameters) {
    this.parameters = parameters;
    const grouping = parameters.get("group_by");
    this.grouping = GROUPINGS.some(([name]) => name === grouping) ? grouping : "model";
    this.#read();
    this.zone = this.question.zone;
    this.#controls();
    const before = this.shown;
    this.shown = { grouping: this.grouping, range: `${this.question.start}-${this.question.end}`, zone: this.zone };
    const [chart, cards, lists] = this.parts;
    chart.run();
    if (before?.zone !== this.zone) cards.run();
    if (before?.range !== this.shown.range) lists.run();
  }

  #read() {
    const parameters = new URLSearchParams(this.parameters);
    parameters.set("group_by", this.grouping);
    this.question = readQuestion(this.costs, parameters, nowSeconds());
    this.question.filters = new Map();
    this.question.measures = ["amount"];
  }

  #controls() {
    const { context, question } = this;
    const focused = document.activeElement?.dataset?.value;
    replace(this.toolbar,
      rangePicker(question, ({ range = null, start = null, end = null }) => context.navigate({ range, start, end })),
      segments({ label: "Group by", options: GROUPINGS, value: this.grouping, onChange: (name) => context.navigate({ group_by: name }) }),
      zonePicker(this.zone, (name) => context.navigate({ timezone: name === "UTC" ? null : name })));
    if (focused) this.toolbar.querySelector(`[data-value="${focused}"]`)?.focus();
  }

  async #loadChart(signal) {
    this.#read();
    const question = this.question;
    const [found] = await Promise.all([load(question, signal), this.context.names.load(question.groupBy)]);
    return { ...found, question };
  }

  async #showChart(found) {
    const { question } = found;
    replace(this.notices, found.unpriced > 0 && this.context.unpricedNotice(question));
    if (!found.groups.length) {
      replace(this.spent, h("div", { class: "card" }, await this.#nothing()));
      return;
    }
    const series = seriesOf(found, "amount", this.context.names);
    this.total.textContent = money(found.totals.amount);
    this.total.title = moneyInFull(found.totals.amount);
    if (this.spent.firstChild !== this.chartCard) replace(this.spent, this.chartCard);
    legend(series, "usd", this.key);
    await this.chart.update({ buckets: found.buckets, series, unit: "usd", width: question.width, zone: question.zone });
  }

  /** Nothing in this range, or nothing at all: then how to begin. */
  async #nothing() {
    const usage = this.context.meters.find((meter) => !meter.priced);
    const ever = await get(this.costs.path, [["start_time", 0], ["bucket_width", "all"]]);
    if (ever.body.data.some((bucket) => bucket.results.length)) {
      return empty("Nothing was spent in this range", h("a", { href: this.context.address({ range: "year", start: null, end: null }) }, "Show 12 months"));
    }
    const line = `curl ${location.origin}/v1/events \\\n  -H "Authorization: Bearer $USAGELEDGER_ADMIN_KEY" -H "Content-Type: application/json" \\\n  -d '{"id": "evt_1", "kind": "${usage.kind}", "timestamp": ${nowSeconds()}, "model": "gpt-5", "input_tokens": 1200, "output_tokens": 300}'`;
    return [empty("No costs yet", "Send usage events and they are here at once, for instance:"), h("pre", { class: "first-event", tabindex: "0" }, h("code", {}, line)),
      h("p", {}, h("a", { href: "/sources" }, "Or point what you already run at this server"))];
  }

  async #loadLists(signal) {
    const { question } = this;
    const lists = await Promise.all(TOP_DIMENSIONS.map(async (name) => {
      const [found] = await Promise.all([loadTotals({ ...question, groupBy: [name] }, signal), this.context.names.load([name])]);
      return [name, found];
    }));
    return new Map(lists);
  }

  #failed(error, hadData) {
    if (!hadData) replace(this.notices, problem(error, () => this.parts.forEach((part) => part.run())));
  }

  dispose() {
    for (const part of this.parts) part.dispose();
    this.chart.dispose();
  }
}
