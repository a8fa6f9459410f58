// The ten largest of each dimension of costs, each with what it was and its part of the whole.

import { h } from "../lib/dom.js";
import { share } from "../lib/exact.js";
import { money, moneyInFull, percent, plural } from "../lib/format.js";
import { filterParameter } from "../lib/question.js";

export const TOP_DIMENSIONS = ["model", "project_id", "user_id", "api_key_id", "line_item"];
const GROUPS_LISTED_MAX = 10;

export function topLists(lists, question, context) {
  return [...lists].map(([name, { groups, totals }]) => {
    const id = `top-${name}`;
    const largest = groups[0]?.totals.amount ?? 0n;
    return h("article", { class: "card", "aria-labelledby": id },
      h("header", { class: "card-head" }, h("h2", { id }, `Top ${plural(name).replace(/^[A-Z](?![A-Z])/, (letter) => letter.toLowerCase())}`),
        h("a", { class: "small", href: context.link("/costs", { group_by: name }) }, "All", h("span", { class: "visually-hidden" }, ` by ${name}`))),
      groups.length
        ? h("ol", { class: "top" }, groups.slice(0, GROUPS_LISTED_MAX).map((group) => entry(name, group, { totals, largest, question, context })))
        : h("p", { class: "muted" }, "Nothing in this range."));
  });
}

function entry(name, group, { totals, largest, question, context }) {
  const value = group.values[name];
  const text = context.names.of(name, value);
  const parameter = filterParameter(question.meter, name);
  const amount = group.totals.amount;
  return h("li", {},
    h("span", { class: "top-bar", style: { width: `${share(amount, largest) * 100}%` } }),
    value === null
      ? h("span", { class: "top-name muted" }, text)
      : h("a", { class: "top-name", title: value, href: context.link("/costs", { [parameter]: value, group_by: "line_item" }) }, text),
    h("span", { class: "number", title: moneyInFull(amount) }, money(amount)),
    h("span", { class: "number muted top-share" }, percent(share(amount, totals.amount))));
}
