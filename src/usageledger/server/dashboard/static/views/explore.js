// The page of a kind of usage, and of costs: a toolbar, a chart for each measure, and a table of all groups.

import { Chart, legend, seriesOf } from "../lib/chart.js";
import { dropdown, empty, options, problem, segments, setBusy, skeleton } from "../lib/controls.js";
import { downloadCsv } from "../lib/csv.js";
import { columnsOf } from "../lib/columns.js";
import { download, h, icon, replace } from "../lib/dom.js";
import { filterBar } from "../lib/filters.js";
import { inFull, inUnit, label } from "../lib/format.js";
import { Live } from "../lib/poll.js";
import { filterParameter, readQuestion } from "../lib/question.js";
import { rangePicker, zonePicker } from "../lib/range.js";
import { load } from "../lib/series.js";
import { ratesDialog } from "./rates.js";
import { apiCallDialog } from "../lib/snippets.js";
import { Table } from "../lib/table.js";
import { nowSeconds, rangeText } from "../lib/time.js";

const WIDTH_TITLES = { "1m": "Minute", "1h": "Hour", "1d": "Day" };

export class Explore {
  constructor(context, meter) {
    this.context = context;
    this.meter = meter;
    this.charts = new Map();
    this.toolbar = h("div", { class: "toolbar" });
    this.filters = h("div", { class: "toolbar filters", role: "group", "aria-label": "Filters" });
    this.notices = h("div");
    this.panels = h("div", { class: "charts" });
    this.key = h("ul", { class: "legend shared" });
    this.table = new Table({ caption: `${meter.title} by group`, onSort: (name, down) => context.navigate({ sort: down ? `-${name}` : name }) });
    this.results = h("div", { class: "results" }, skeleton(1, 280), skeleton(6, 28));
    this.live = new Live({
      load: (signal) => this.#load(signal),
      show: (found) => this.#show(found),
      onError: (error, hadData) => this.#failed(error, hadData),
      onBusy: (busy) => setBusy(this.element, busy),
    });
    this.actions = h("div", { class: "actions" }, this.live.status,
      h("button", { type: "button", class: "button", onclick: (event) => this.#csv(event.currentTarget) }, icon("download"), "CSV"),
      h("button", { type: "button", class: "button", onclick: () => apiCallDialog(this.question) }, icon("code"), "API call"));
    this.element = h("section", { class: "view" },
      h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, meter.title), this.actions),
      this.toolbar, this.filters, this.notices, this.results);
  }

  /** Shows the question of an address. */
  show(parameters) {
    this.parameters = parameters;
    this.question = readQuestion(this.meter, parameters, nowSeconds());
    this.sort = this.#sortOf(parameters);
    this.#controls();
    this.#rates(parameters.get("rates"));
    const key = JSON.stringify([...parameters].filter(([name]) => name !== "sort" && name !== "rates"));
    if (key === this.asked && this.found) {
      this.#show(this.found);
      return;
    }
    this.asked = key;
    this.live.run();
  }

  /** The prices of a line item, which the address names, above the page. */
  #rates(item) {
    if (item === this.dialog?.item) return;
    this.dialog?.close();
    this.dialog = null;
    if (item === null) return;
    const dialog = ratesDialog(this.question, item, this.context.names);
    dialog.item = item;
    dialog.addEventListener("close", () => {
      if (this.dialog === dialog) this.context.navigate({ rates: null });
    });
    this.dialog = dialog;
  }

  #sortOf(parameters) {
    const text = parameters.get("sort") ?? `-${this.question.measures[0]}`;
    return { name: text.replace(/^-/, ""), descending: text.startsWith("-") };
  }

  #controls() {
    const { question, context } = this;
    // A panel that is open is being used: its bar is made anew when it closes.
    const open = this.element.querySelector(":popover-open");
    if (open) {
      open.addEventListener("toggle", () => this.#controls(), { once: true });
      return;
    }
    const key = JSON.stringify([[...this.parameters], question.start, question.end]);
    if (key === this.controlsKey) return;
    this.controlsKey = key;
    const focused = focusedPlace(this.element);
    const custom = question.range === null;
    replace(this.toolbar,
      rangePicker(question, ({ range = null, start = null, end = null }) => context.navigate({ range, start, end, bucket_width: null })),
      custom && h("button", { type: "button", class: "button", onclick: () => context.navigate({ start: null, end: null, bucket_width: null }) }, icon("back"), "Reset zoom"),
      segments({ label: "Bucket width", options: question.widths.map((name) => [name, WIDTH_TITLES[name]]), value: question.width, onChange: (name) => context.navigate({ bucket_width: name }) }),
      this.#grouping(),
      this.#charted().length > 1 && this.#measurePicker(),
      zonePicker(question.zone, (name) => context.navigate({ timezone: name === "UTC" ? null : name })));
    replace(this.filters, filterBar(question, context.names, (name, values) => this.#filter(name, values)));
    restoreFocus(this.element, focused);
  }

  #grouping() {
    const { question, context, meter } = this;
    const names = question.groupBy.map(label);
    return dropdown({
      text: h("span", {}, "Group by ", h("strong", {}, names.join(", ") || "nothing")),
      label: `Group by ${names.join(", ") || "nothing"}`,
      fill: (panel, close) => replace(panel,
        options("Group by", meter.dimensions.map((dimension) => ({
          value: dimension.name, text: label(dimension.name), title: dimension.doc, checked: this.question.groupBy.includes(dimension.name),
        })), (name, on) => {
          const chosen = this.question.groupBy.filter((each) => each !== name);
          context.navigate({ group_by: (on ? [...chosen, name] : chosen).join(","), sort: null });
        }),
        h("footer", {}, h("button", { type: "button", class: "button small", onclick: () => { close(); context.navigate({ group_by: "", sort: null }); } }, "No grouping"))),
    });
  }

  #measurePicker() {
    const several = this.question.measures.length;
    return dropdown({
      text: h("span", {}, "Measures ", h("strong", {}, String(several))),
      label: `Measures ${several}: ${this.question.measures.map(label).join(", ")}`,
      fill: (panel) => replace(panel, options("Measures", this.#charted().map((measure) => ({
        value: measure.name, text: label(measure.name), title: measure.doc, checked: this.question.measures.includes(measure.name),
      })), (name, on) => this.#measure(name, on))),
    });
  }

  #filter(name, values) {
    this.context.navigate({ [filterParameter(this.meter, name)]: values });
  }

  #measure(name, on) {
    const chosen = this.meter.measures.map((measure) => measure.name)
      .filter((each) => (each === name ? on : this.question.measures.includes(each)));
    this.context.navigate({ measures: chosen.join(",") || null });
  }

  /** What can be drawn: all but what has another unit from group to group. */
  #charted() {
    return this.meter.measures.filter((measure) => !measure.unit_field);
  }

  async #load(signal) {
    this.question = readQuestion(this.meter, this.parameters, nowSeconds());
    const { question } = this;
    const dimensions = [...question.groupBy, ...question.filters.keys()];
    const [found] = await Promise.all([load(question, signal), this.context.names.load(dimensions)]);
    return { ...found, question };
  }

  async #show(found) {
    this.found = found;
    const { question } = found;
    replace(this.notices, found.unpriced > 0 && this.context.unpricedNotice(question));
    if (!found.groups.length) {
      replace(this.results, this.#nothing(question));
      return;
    }
    const measures = this.#charted().filter((measure) => question.measures.includes(measure.name));
    this.#panels(measures);
    if (this.results.firstChild !== this.panels) replace(this.results, this.panels, h("div", { class: "card" }, this.table.element));
    const columns = columnsOf(found, question, this.context);
    this.table.update({ columns, rows: found.groups, sort: this.sort, totals: true });
    await Promise.all(measures.map((measure) => this.#draw(measure, found)));
  }

  #panels(measures) {
    const key = measures.map((measure) => measure.name).join();
    if (key === this.panelsKey) return;
    this.panelsKey = key;
    for (const { chart } of this.charts.values()) chart.dispose();
    this.charts.clear();
    for (const measure of measures) this.charts.set(measure.name, this.#panel(measure, measures.length));
    const several = measures.length > 1;
    replace(this.panels, [...this.charts.values()].map(({ card }) => card), several && this.key);
    this.panels.classList.toggle("several", several);
  }

  #panel(measure, several) {
    const title = label(measure.name);
    const chart = new Chart({ title: `${this.meter.title}, ${title}`, height: several > 1 ? 210 : 300, onZoom: (start, end) => this.context.navigate({ range: null, start, end, bucket_width: null }) });
    const total = h("strong", { class: "figure" });
    const key = h("ul", { class: "legend" });
    const png = h("button", { type: "button", class: "button icon-only", "aria-label": `Download ${title} as PNG`, title: "Download as PNG", onclick: () => this.#png(measure, chart) }, icon("image"));
    const card = h("article", { class: "card" }, h("header", { class: "card-head" }, h("div", {}, h("h2", { title: measure.doc }, title), total), png), chart.element, key);
    return { card, chart, total, key };
  }

  async #draw(measure, found) {
    const { question } = found;
    const { chart, total, key } = this.charts.get(measure.name);
    const series = seriesOf(found, measure.name, this.context.names);
    total.textContent = inUnit(found.totals[measure.name], measure.unit);
    total.title = inFull(found.totals[measure.name], measure.unit);
    // Several charts share one key: the totals of each are in the table.
    if (!question.groupBy.length) replace(key);
    else if (this.charts.size === 1) legend(series, measure.unit, key);
    else legend(series, null, this.key);
    this.key.hidden = !question.groupBy.length;
    await chart.update({ buckets: found.buckets, series, unit: measure.unit, width: question.width, zone: question.zone });
  }

  #nothing(question) {
    const filtered = question.filters.size > 0;
    return h("div", { class: "card" }, empty(`No ${this.meter.title.toLowerCase()} here`,
      `Nothing was used from ${rangeText(question, question.zone)}${filtered ? " by what the filters leave" : ""}. `,
      filtered
        ? h("a", { href: this.context.address({ ...Object.fromEntries(this.meter.dimensions.filter((d) => d.filter).map((d) => [d.filter, null])) }) }, "Remove the filters")
        : h("a", { href: this.context.address({ range: "year", start: null, end: null, bucket_width: null }) }, "Show 12 months")));
  }

  #failed(error, hadData) {
    if (hadData) return;
    this.panelsKey = null;
    replace(this.results, problem(error, () => this.live.run()));
  }

  async #csv(button) {
    button.disabled = true;
    try {
      await downloadCsv(this.question, this.context.names);
    } catch (error) {
      replace(this.notices, problem(error));
    } finally {
      button.disabled = false;
    }
  }

  async #png(measure, chart) {
    download(`usageledger-${this.meter.kind}-${measure.name}.png`, await chart.picture());
  }

  dispose() {
    this.live.dispose();
    for (const { chart } of this.charts.values()) chart.dispose();
  }
}

/** Which control has the focus, told by its place, so that its successor can have it. */
function focusedPlace(element) {
  const active = document.activeElement;
  const bar = active?.closest?.(".toolbar");
  if (!bar || !element.contains(active) || active.closest("[popover]")) return null;
  const stops = [...bar.querySelectorAll("button, input")].filter((each) => !each.closest("[popover]"));
  return { bar: bar.className, value: active.dataset.value ?? active.value, place: stops.indexOf(active) };
}

function restoreFocus(element, focused) {
  if (!focused) return;
  const bar = element.querySelector(`.${focused.bar.trim().split(/\s+/).join(".")}`);
  const stops = [...bar.querySelectorAll("button, input")].filter((each) => !each.closest("[popover]"));
  const named = focused.value && stops.find((each) => (each.dataset.value ?? each.value) === focused.value);
  (named || stops[Math.min(focused.place, stops.length - 1)])?.focus();
}
