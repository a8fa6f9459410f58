// The columns of a table of groups: what is grouped by, and what was measured.

import { h } from "./dom.js";
import { share } from "./exact.js";
import { count, inFull, inUnit, label, money, moneyInFull, percent, unitName, unitPrice } from "./format.js";
import { filterParameter } from "./question.js";

export function columnsOf(found, question, context) {
  const { meter } = question;
  const dimensions = question.groupBy.map((name) => dimensionColumn(name, meter, context));
  const first = dimensions.length ? dimensions : [{ name: "all", title: meter.title, text: () => "Everything", order: () => "" }];
  const measures = meter.measures.filter((measure) => question.measures.includes(measure.name));
  if (meter.priced) return [...first, ...costColumns(found, question, context)];
  return [...first, ...measures.map((measure) => measureColumn(measure, found)), shareColumn(measures[0], found)];
}

function dimensionColumn(name, meter, context) {
  const parameter = filterParameter(meter, name);
  return {
    name,
    title: label(name),
    order: (group) => context.names.of(name, group.values[name]),
    full: (group) => (typeof group.values[name] === "string" ? group.values[name] : null),
    text: (group) => {
      const value = group.values[name];
      const text = context.names.of(name, value);
      if (value === null) return h("span", { class: "muted" }, text);
      if (!parameter) return text;
      return h("a", { href: context.address({ [parameter]: [String(value)] }), "aria-label": `Only ${text}` }, text);
    },
  };
}

function measureColumn({ name, unit, doc }, { totals }) {
  return {
    name,
    doc,
    number: true,
    title: label(name),
    order: (group) => group.totals[name],
    text: (group) => inUnit(group.totals[name], unit),
    full: (group) => inFull(group.totals[name], unit),
    total: inUnit(totals[name], unit),
    totalFull: inFull(totals[name], unit),
  };
}

function shareColumn({ name }, { totals }) {
  return {
    name: "share",
    number: true,
    title: "Share",
    order: (group) => group.totals[name],
    text: (group) => {
      const ratio = share(group.totals[name], totals[name]);
      return h("span", { class: "share" }, h("span", { class: "bar" }, h("span", { style: { width: `${ratio * 100}%` } })), h("span", { class: "ratio" }, percent(ratio)));
    },
  };
}

/** From an amount to the prices that made it. */
function rateLink(group, context) {
  const item = group.values.line_item;
  return h("a", { class: "rate-link", href: context.address({ rates: item }), "aria-label": `${money(group.totals.amount)}: the prices of ${item}` }, money(group.totals.amount));
}

function costColumns(found, question, context) {
  const byItem = question.groupBy.includes("line_item");
  const quantity = {
    name: "quantity",
    number: true,
    title: "Quantity",
    order: (group) => group.totals.quantity,
    full: (group) => inFull(group.totals.quantity, group.unit),
    text: (group) => [count(group.totals.quantity), " ", h("span", { class: "muted" }, unitName(group.unit))],
  };
  const price = {
    name: "unit_price",
    number: true,
    title: "Unit price",
    doc: "The amount by the quantity",
    text: (group) => {
      const { text, per } = unitPrice(group.totals.amount, group.totals.quantity, group.unit);
      return [text, " ", h("span", { class: "muted" }, `/ ${per}`)];
    },
  };
  const amount = {
    name: "amount",
    number: true,
    title: "Amount",
    order: (group) => group.totals.amount,
    full: (group) => moneyInFull(group.totals.amount),
    text: (group) => (byItem ? rateLink(group, context) : money(group.totals.amount)),
    total: money(found.totals.amount),
    totalFull: moneyInFull(found.totals.amount),
  };
  return [...(byItem ? [quantity, price] : []), amount, shareColumn({ name: "amount" }, found)];
}
