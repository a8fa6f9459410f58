// Picking a range of time, and the zone that its days are of.

import { h, replace } from "./dom.js";
import { dropdown } from "./controls.js";
import { RANGES, fromInput, isZone, ownZone, rangeText, toInput } from "./time.js";

/** Presets, and a range of one's own. `onChange({range} | {start, end})`. */
export function rangePicker({ range, start, end, zone }, onChange) {
  const preset = RANGES.find(([name]) => name === range)?.[1];
  const text = h("span", {}, preset ?? rangeText({ start, end }, zone));
  return dropdown({
    text,
    label: `Range: ${text.textContent}`,
    className: "range",
    fill: (panel, close) => replace(panel,
      h("div", { class: "choices", role: "group", "aria-label": "Ranges" }, RANGES.map(([name, title]) => h("button", {
        type: "button", "aria-current": String(name === range), onclick: () => { close(); onChange({ range: name }); },
      }, h("span", {}, title)))),
      customRange({ start, end, zone }, close, onChange)),
  });
}

function customRange({ start, end, zone }, close, onChange) {
  const [from, to] = [start, end].map((seconds) => h("input", { type: "datetime-local", required: true, value: toInput(seconds, zone) }));
  const said = h("p", { class: "field-error", role: "alert" });
  const submit = (event) => {
    event.preventDefault();
    const [first, last] = [from, to].map((input) => (input.value ? fromInput(input.value, zone) : NaN));
    if (!(first < last)) {
      said.textContent = "The end must be after the start.";
      return;
    }
    close();
    onChange({ start: first, end: last });
  };
  return h("form", { class: "custom-range", onsubmit: submit },
    h("label", {}, "From", from), h("label", {}, "To", to), said,
    h("p", { class: "muted small" }, `Times are ${zone}.`),
    h("button", { class: "button primary", type: "submit" }, "Apply"));
}

// Browsers list these by their older names, and take both.
const NEWER_NAMES = ["America/Argentina/Buenos_Aires", "Asia/Ho_Chi_Minh", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Yangon", "Europe/Kyiv"];

/** The time zone of days: UTC, as the API has it, the browser's own, or any other by name. */
export function zonePicker(zone, onChange) {
  return dropdown({
    text: h("span", {}, zone.replaceAll("_", " ")),
    label: `Time zone: ${zone}`,
    className: "zone",
    fill: (panel, close) => {
      const list = h("div", { class: "choices", role: "group", "aria-label": "Time zones" });
      const search = h("input", { type: "search", placeholder: "Search time zones", "aria-label": "Search time zones", autocomplete: "off" });
      const usual = [...new Set(["UTC", ownZone(), zone])];
      const all = [...new Set([...usual, ...[...Intl.supportedValuesOf("timeZone"), ...NEWER_NAMES].sort()])].filter(isZone);
      const show = () => {
        const words = search.value.trim().toLowerCase().replaceAll(" ", "_");
        const found = all.filter((name) => name.toLowerCase().includes(words)).slice(0, 50);
        replace(list, found.map((name) => h("button", {
          type: "button", "aria-current": String(name === zone), onclick: () => { close(); onChange(name); },
        }, h("span", {}, name.replaceAll("_", " ")), name === ownZone() && name !== "UTC" && h("span", { class: "muted" }, "yours"))),
        !found.length && h("p", { class: "muted" }, "No such time zone."));
      };
      search.addEventListener("input", show);
      replace(panel, search, list);
      show();
    },
  });
}
