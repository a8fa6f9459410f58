// A stacked bar chart of groups by bucket. Its numbers are doubles, for the lengths of bars; texts come from exact ones.

import { approximate, sum } from "./exact.js";
import { h, replace } from "./dom.js";
import { inUnit, tick } from "./format.js";
import { bucketText, bucketTick, startOfDay } from "./time.js";

const TOOLTIP_ROWS_MAX = 10;
const DRAG_PIXELS_MIN = 8;
const AXIS_FONT_SIZE = 11;
const HOURS_WITH_NAMES = 72;
const WAIT_MS_MAX = 20_000; // for the library

/** The colours of the theme that is on. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    series: Array.from({ length: 9 }, (_, number) => colour(`--series-${number + 1}`)),
    rest: colour("--series-rest"),
    text: colour("--muted"),
    line: colour("--line"),
    card: colour("--card"),
    hover: colour("--hover"),
  };
}

/** ECharts, which is loaded beside the modules. */
async function library() {
  for (let waited = 0; !window.echarts; waited += 10) {
    if (waited > WAIT_MS_MAX) throw new Error("The script that draws charts could not be loaded. Load the page again.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return window.echarts;
}

export class Chart {
  /** `onZoom(start, end)` is called when a span of buckets was drawn with the mouse. */
  constructor({ title, onZoom, height = 280 }) {
    this.band = h("div", { class: "zoom-band", hidden: true });
    this.canvas = h("div", { class: "chart-canvas", style: { height: `${height}px` } });
    this.element = h("div", { class: "chart", role: "img" }, this.canvas, this.band);
    this.title = title;
    this.onZoom = onZoom;
    this.drawn = false;
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.data && this.update(this.data);
    this.scheme.addEventListener("change", this.redraw);
    this.size = new ResizeObserver(() => this.chart?.resize());
    this.size.observe(this.canvas);
  }

  /** data: {buckets, series: [{name, values, total, colour}], unit, width, zone}; values are exact. */
  async update(data) {
    this.data = data;
    if (!this.chart) {
      const echarts = await library();
      if (this.disposed) return;
      this.chart ??= echarts.init(this.canvas, null, { renderer: "canvas" });
      this.#listen();
    }
    this.chart.setOption(this.#options(this.data), { replaceMerge: ["series"] });
    this.drawn = true;
    this.element.setAttribute("aria-label", this.#description(this.data));
  }

  #options({ buckets, series, unit, width, zone }) {
    const colours = palette();
    const still = this.drawn || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const text = { color: colours.text, fontSize: AXIS_FONT_SIZE, fontFamily: "inherit" };
    // Hours of several days are told apart by their days.
    const severalDays = width === "1h" && buckets.length > HOURS_WITH_NAMES;
    const step = unit === "bytes" ? binaryStep(series) : 1;
    return {
      animation: !still,
      animationDuration: 250,
      grid: { left: 4, right: 8, top: 12, bottom: 4, containLabel: true },
      tooltip: {
        trigger: "axis",
        confine: true,
        transitionDuration: 0,
        axisPointer: { type: "shadow", shadowStyle: { color: colours.hover }, z: 0 },
        className: "tooltip-frame",
        backgroundColor: "transparent",
        borderWidth: 0,
        padding: 0,
        extraCssText: "box-shadow:none;",
        formatter: (points) => this.#tooltip(points[0].dataIndex),
      },
      xAxis: {
        type: "category",
        data: buckets.map(({ start }) => bucketTick(start, width, zone)),
        axisTick: { show: false },
        axisLine: { lineStyle: { color: colours.line } },
        axisLabel: { ...text, hideOverlap: true, ...(severalDays ? { interval: (place) => startOfDay(buckets[place].start, zone) === buckets[place].start } : {}) },
      },
      yAxis: {
        type: "value",
        splitNumber: 4,
        splitLine: { lineStyle: { color: colours.line, type: [3, 3] } },
        axisLabel: { ...text, formatter: (number) => tick(number * step, unit) },
      },
      series: series.map(({ name, values, colour }) => ({
        type: "bar",
        name,
        stack: "all",
        data: values.map((value) => approximate(value) / step),
        itemStyle: { color: colour, borderColor: colours.card, borderWidth: buckets.length > 60 ? 0 : 0.5 },
        emphasis: { disabled: true },
        barCategoryGap: buckets.length > 60 ? "12%" : "26%",
        barMaxWidth: 56,
      })),
    };
  }

  #tooltip(place) {
    const { buckets, series, unit, width, zone } = this.data;
    const { start, end } = buckets[place];
    const rows = series
      .map(({ name, values, colour }) => ({ name, colour, value: values[place] }))
      .filter(({ value }) => value !== 0n)
      .sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : 0));
    const hidden = rows.length - TOOLTIP_ROWS_MAX;
    const total = sum(rows.map(({ value }) => value));
    return h("div", { class: "tooltip" },
      h("p", { class: "tooltip-title" }, bucketText(start, end, width, zone)),
      h("table", {},
        rows.slice(0, TOOLTIP_ROWS_MAX).map(({ name, colour, value }) => h("tr", {},
          h("td", {}, h("span", { class: "swatch", style: { background: colour } }), name),
          h("td", { class: "number" }, inUnit(value, unit)),
        )),
        hidden > 0 && h("tr", {}, h("td", { class: "muted" }, `${hidden} more`), h("td", {})),
        rows.length !== 1 && h("tr", { class: "total" }, h("td", {}, "Total"), h("td", { class: "number" }, inUnit(total, unit))),
      ),
    );
  }

  #description({ buckets, series, unit, width, zone }) {
    if (!buckets.length) return `${this.title}: nothing in this range`;
    const total = sum(series.map((each) => each.total));
    const names = series.slice(0, 3).map(({ name }) => name).join(", ");
    const first = bucketText(buckets[0].start, buckets[0].end, width, zone);
    const last = bucketText(buckets.at(-1).start, buckets.at(-1).end, width, zone);
    return `${this.title}: ${inUnit(total, unit)} in ${buckets.length} bars from ${first} to ${last}. ${names}. The table has all of it.`;
  }

  /** Drawing a span with the mouse or a pen; a finger scrolls the page. */
  #listen() {
    if (!this.onZoom) return;
    let from = null;
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return Math.min(Math.max(event.clientX - box.left, 0), box.width);
    };
    const index = (x) => {
      const found = this.chart.convertFromPixel({ xAxisIndex: 0 }, x);
      return Math.min(Math.max(found, 0), this.data.buckets.length - 1);
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch" || event.button !== 0) return;
      from = place(event);
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = place(event);
      this.band.hidden = Math.abs(to - from) < DRAG_PIXELS_MIN;
      this.band.style.left = `${Math.min(from, to)}px`;
      this.band.style.width = `${Math.abs(to - from)}px`;
    });
    const end = (event) => {
      if (from === null) return;
      const [low, high] = [from, place(event)].sort((a, b) => a - b);
      from = null;
      this.band.hidden = true;
      if (event.type !== "pointerup" || high - low < DRAG_PIXELS_MIN) return;
      this.onZoom(this.data.buckets[index(low)].start, this.data.buckets[index(high)].end);
    };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
  }

  /** The chart as a PNG on the card's colour: a Blob. */
  picture() {
    const canvas = this.chart.renderToCanvas({ pixelRatio: 2, backgroundColor: palette().card });
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  dispose() {
    this.disposed = true;
    this.scheme.removeEventListener("change", this.redraw);
    this.size.disconnect();
    this.chart?.dispose();
  }
}

/** The KiB, MiB, … of the largest bar, so that the axis has round numbers of it. */
function binaryStep(series) {
  const largest = Math.max(1, ...series.flatMap(({ values }) => values.map(approximate)));
  return 1024 ** Math.floor(Math.log2(largest) / 10);
}

/** What a chart shows of one measure: the largest groups in colours, and the others together. */
export function seriesOf(found, measure, names) {
  const colours = palette();
  const series = found.shown.map((group, number) => ({
    name: names.ofGroup(group),
    values: group.series[measure],
    // Of the whole range: of a size it is the largest, and no sum of days.
    total: group.totals[measure],
    colour: colours.series[number],
  }));
  const others = found.groups.length - found.shown.length;
  if (others > 0) {
    const total = found.totals[measure] - sum(series.map((each) => each.total));
    series.push({ name: `${others} others`, values: found.rest[measure], total, colour: colours.rest });
  }
  return series;
}

/** The names of the colours of a chart, with each group's total where there is a unit. */
export function legend(series, unit, element = h("ul", { class: "legend" })) {
  return replace(element, series.map(({ name, colour, total }) => h("li", {},
    h("span", { class: "swatch", style: { background: colour } }),
    h("span", { class: "legend-name", title: name }, name),
    unit !== null && h("span", { class: "number muted" }, inUnit(total, unit)),
  )));
}
