// The rate cards behind an amount: what was charged, on which days, and who says so.

import { get } from "../lib/api.js";
import { empty, problem, skeleton } from "../lib/controls.js";
import { h, openDialog, replace } from "../lib/dom.js";
import { exact, sum } from "../lib/exact.js";
import { caseWords, count, money, moneyInFull, unitName, unitPrice } from "../lib/format.js";
import { rateParameters } from "../lib/question.js";
import { DAY, rangeText } from "../lib/time.js";

export function ratesDialog(question, item, names) {
  const body = h("div", {}, skeleton(3, 32));
  const dialog = openDialog(item, h("p", { class: "muted" }, `Its prices from ${rangeText(question, "UTC")}. Each event keeps the price of its day.`), body);
  dialog.classList.add("wide");
  const look = async () => {
    try {
      const [{ body: found }] = await Promise.all([get("/v1/rate_cards", rateParameters(question, item)), names.load(["project_id"])]);
      replace(body, found.data.length ? table(found.data, names) : empty("Nothing was charged for this", "There is none of it in this range."));
    } catch (error) {
      replace(body, problem(error, look));
    }
  };
  look();
  return dialog;
}

function table(cards, names) {
  const total = sum(cards.map((card) => exact(card.amount.value)));
  return h("div", { class: "table" }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rate cards" }, h("table", { class: "data" },
    h("caption", { class: "visually-hidden" }, "Rate cards"),
    h("thead", {}, h("tr", {}, ["Days", "Unit price", "Quantity", "Amount", "Source"].map((title) => h("th", { scope: "col", class: ["Days", "Source"].includes(title) ? null : "number" }, title)))),
    h("tbody", {}, cards.map((card) => row(card, names))),
    h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "Total"), h("td"), h("td"), h("td", { class: "number", title: moneyInFull(total) }, money(total)), h("td"))))));
}

function row(card, names) {
  const [quantity, amount, rate] = [exact(card.quantity), exact(card.amount.value), exact(card.unit_price.value)];
  const price = unitPrice(rate, 10n ** 18n, card.quantity_unit);
  return h("tr", {},
    h("th", { scope: "row" }, days(card), h("div", { class: "muted small" }, conditions(card)),
      card.project_id && h("div", { class: "muted small", title: card.project_id }, `Project ${names.of("project_id", card.project_id)}`)),
    h("td", { class: "number", title: `${moneyInFull(rate)} a unit` }, price.text, " ", h("span", { class: "muted" }, `/ ${price.per}`)),
    h("td", { class: "number" }, count(quantity), " ", h("span", { class: "muted" }, unitName(card.quantity_unit))),
    h("td", { class: "number", title: moneyInFull(amount) }, money(amount)),
    h("td", { class: "source" }, card.source ?? "–", h("div", { class: "muted small" }, known(card)),
      card.assumed && h("div", { class: "muted small" }, `Your default: ${card.assumed}`), h("div", {},
      card.provisional && h("span", { class: "tag warn", title: "No list has been compared with it since" }, "provisional"),
      card.revision !== null && h("span", { class: "tag" }, [`revision ${card.revision}`, card.cause].filter(Boolean).join(": ")))));
}

/** How the price is known, and for when it is. */
function known(card) {
  const how = card.from_is ? ` (${card.from_is.replaceAll("_", " ")})` : "";
  return [card.layer, card.from && `since ${card.from}${how}`, card.to && `until ${card.to}`, card.resolved_from].filter(Boolean).join(", ");
}

function days({ first_day: first, last_day: last }) {
  return rangeText({ start: first, end: last + DAY }, "UTC");
}

/** What of an event this price depends on, beside its day. */
function conditions(card) {
  const hour = String(Math.floor(card.from_second / 3600)).padStart(2, "0");
  const said = [
    card.provider,
    card.tier !== "standard" && `tier ${card.tier}`,
    ...caseWords(card),
    card.above_input_tokens > 0 && `above ${card.above_input_tokens.toLocaleString("en-US")} input tokens`,
    card.from_second > 0 && `from ${hour}:00 UTC`,
  ];
  return said.filter(Boolean).join(", ");
}
