// Filters: for each dimension that the API can select by, a searchable list of the values that a range has.

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { dropdown } from "./controls.js";
import { label, plural } from "./format.js";
import { loadTotals } from "./series.js";

const VALUES_LISTED_MAX = 100;
const TYPING_MS = 150;

/** One button for each filter; `onChange(dimension, values)`. */
export function filterBar(question, names, onChange) {
  return question.meter.dimensions.filter((dimension) => dimension.filter).map((dimension) => {
    const chosen = question.filters.get(dimension.name) ?? [];
    const shown = chosen.map((value) => (dimension.flag ? names.of(dimension.name, value === "true") : names.of(dimension.name, value)));
    const text = h("span", { class: "filter-text" }, `${label(dimension.name)}`,
      chosen.length > 0 && h("strong", {}, chosen.length === 1 ? shown[0] : String(chosen.length)));
    return dropdown({
      text,
      label: `Filter by ${label(dimension.name)}: ${chosen.length ? shown.join(", ") : "all"}`,
      className: `filter ${chosen.length ? "active" : ""}`,
      fill: (panel) => (dimension.flag ? fillFlag : fillValues)(panel, { question, dimension, chosen, names, onChange }),
    });
  });
}

function fillFlag(panel, { dimension, chosen, names, onChange }) {
  replace(panel, h("fieldset", { class: "options" }, h("legend", {}, label(dimension.name)),
    [["", "All"], ["true", names.of(dimension.name, true)], ["false", names.of(dimension.name, false)]].map(([value, text]) => h("label", {},
      h("input", { type: "radio", name: dimension.name, value, checked: (chosen[0] ?? "") === value,
        onchange: () => onChange(dimension.name, value ? [value] : []) }),
      h("span", {}, text)))));
}

function fillValues(panel, { question, dimension, chosen, names, onChange }) {
  const values = new Set(chosen);
  const list = h("div", { class: "options", role: "group", "aria-label": plural(dimension.name) });
  const search = h("input", { type: "search", placeholder: `Search ${plural(dimension.name).toLowerCase()}`, "aria-label": `Search ${plural(dimension.name)}`, autocomplete: "off" });
  const clear = h("button", { type: "button", class: "button small", disabled: !values.size, onclick: () => apply(() => values.clear()) }, "Clear");
  const apply = (change) => {
    change();
    clear.disabled = !values.size;
    onChange(dimension.name, [...values]);
    show(listed);
  };
  let listed = [];
  const show = (found) => {
    listed = [...found].sort((a, b) => names.of(dimension.name, a).localeCompare(names.of(dimension.name, b), "en", { numeric: true }));
    const focused = document.activeElement?.value;
    const first = search.value ? [] : [...values].filter((value) => !found.includes(value));
    replace(list, [...first, ...listed].map((value) => h("label", { title: value },
      h("input", { type: "checkbox", value, checked: values.has(value),
        onchange: (event) => apply(() => (event.target.checked ? values.add(value) : values.delete(value))) }),
      h("span", {}, names.of(dimension.name, value)))),
    !found.length && !first.length && h("p", { class: "muted" }, search.value ? "Nothing is called that." : "Nothing in this range."));
    if (list.contains(document.activeElement) || document.activeElement === document.body) {
      [...list.querySelectorAll("input")].find((input) => input.value === focused)?.focus();
    }
  };
  let timer = null;
  let asked = null;
  const look = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      show(await facets(question, dimension, search.value, names, asked.signal));
    } catch (error) {
      if (error.name !== "AbortError") replace(list, h("p", { class: "muted" }, error.message));
    }
  };
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, TYPING_MS);
  });
  replace(panel, search, list, h("footer", {}, clear));
  replace(list, h("p", { class: "muted" }, "Looking …"));
  look();
}

/** The values of a dimension in a range, whose value or name has `text` in it. */
async function facets(question, dimension, text, names, signal) {
  if (dimension.name === "line_item") return lineItems(question, text, signal);
  const { meter, start, end } = question;
  const parameters = [["dimension", dimension.name], ["start_time", start], ["end_time", end], ["limit", VALUES_LISTED_MAX]];
  if (!meter.priced) parameters.push(["kind", meter.kind]);
  if (text) parameters.push(["search", text]);
  const { body } = await get("/v1/facets", parameters, signal);
  for (const { value, name } of body.data) names.note(dimension.name, value, name);
  return body.data.map(({ value }) => value).filter((value) => value !== null);
}

/** Line items are made of prices, and no property of events: costs themselves know them. */
async function lineItems(question, text, signal) {
  const { groups } = await loadTotals({ ...question, groupBy: ["line_item"], filters: new Map() }, signal);
  const items = groups.map((group) => group.values.line_item);
  return items.filter((item) => item.toLowerCase().includes(text.toLowerCase())).slice(0, VALUES_LISTED_MAX);
}
