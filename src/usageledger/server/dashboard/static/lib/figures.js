// The figures above everything: this month and where it is going, today, requests, tokens, cached input.

import { buckets } from "./api.js";
import { h } from "./dom.js";
import { exact, share, sum } from "./exact.js";
import { compact, inFull, money, moneyInFull, percent } from "./format.js";
import { DAY, dateText, monthText, nowSeconds, startOfDay, startOfMonth } from "./time.js";

const PACE_DAYS = 7; // a week has each weekday once

/** What the cards show; amounts and counts are exact. */
export async function figures(meters, zone, signal) {
  const now = nowSeconds();
  const month = startOfMonth(now, zone);
  const before = startOfMonth(now, zone, -1);
  const costs = meters.find((meter) => meter.priced);
  const day = zone === "UTC" ? [] : [["timezone", zone]];
  const [spending, ...usage] = await Promise.all([
    buckets(costs.path, [["start_time", before], ["end_time", startOfDay(now, zone, 1)], ["limit", 180], ...day], signal),
    ...meters.filter((meter) => !meter.priced).map((meter) => monthOf(meter, month, startOfDay(now, zone, 1), signal)),
  ]);
  const days = spending.data.map((bucket) => ({ start: bucket.start_time, amount: sum(bucket.results.map((result) => exact(result.amount.value))) }));
  const total = (name) => sum(usage.map((found) => found[name] ?? 0n));
  return {
    now, month, before,
    ...spent(days, now, month, zone),
    requests: total("num_model_requests"),
    input: total("input_tokens"),
    output: total("output_tokens"),
    cached: total("input_cached_tokens"),
    cacheable: sum(usage.filter((found) => "input_cached_tokens" in found).map((found) => found.input_tokens)),
  };
}

/** A month of a kind, in one bucket: its measures by name. */
async function monthOf(meter, start, end, signal) {
  const { data } = await buckets(meter.path, [["start_time", start], ["end_time", end], ["bucket_width", "all"]], signal);
  const result = data[0]?.results[0];
  return result ? Object.fromEntries(meter.measures.map(({ name }) => [name, exact(result[name])])) : {};
}

/** This month, the last one, today and yesterday, and this month at the pace of the last seven whole days. */
export function spent(days, now, month, zone) {
  const between = (from, to) => sum(days.filter(({ start }) => start >= from && start < to).map(({ amount }) => amount));
  const today = startOfDay(now, zone);
  const end = startOfMonth(now, zone, 1);
  const thisMonth = between(month, end);
  const week = between(startOfDay(now, zone, -PACE_DAYS), today);
  const left = BigInt(Math.max(0, end - now));
  const forecast = thisMonth + (week * left) / BigInt(PACE_DAYS * DAY);
  return {
    thisMonth,
    week,
    forecast,
    end,
    lastMonth: between(startOfMonth(now, zone, -1), month),
    today: between(today, end),
    yesterday: between(startOfDay(now, zone, -1), today),
  };
}

export function figureCards(found, zone) {
  const { thisMonth, forecast, lastMonth, today, yesterday, week, requests, input, output, cached, cacheable } = found;
  const change = lastMonth > 0n && changeText(share(forecast - lastMonth, lastMonth));
  return [
    card("Spend this month", money(thisMonth), moneyInFull(thisMonth), [
      line("Forecast", [change && h("span", { class: "muted" }, change), money(forecast)], `By ${dateText(found.end - 1, zone)}, at the pace of the last ${PACE_DAYS} days`),
      line(monthText(found.before, zone), money(lastMonth), moneyInFull(lastMonth)),
    ], meter(thisMonth, forecast, lastMonth)),
    card("Today", money(today), moneyInFull(today), [
      line("Yesterday", money(yesterday), moneyInFull(yesterday)),
      line("7-day mean", money(week / BigInt(PACE_DAYS)), "A day's mean of the last seven whole days"),
    ]),
    card("Requests this month", compact(requests), inFull(requests, "requests"), [line("Cost of 1,000", requests ? money((thisMonth * 1000n * 10n ** 18n) / requests) : "–", "All costs of the month by its model requests")]),
    card("Tokens this month", compact(input + output), inFull(input + output, "tokens"), [
      line("Input", compact(input), inFull(input, "tokens")),
      line("Output", compact(output), inFull(output, "tokens")),
    ]),
    card("Cached input", percent(share(cached, cacheable)), `${inFull(cached, "tokens")} of ${inFull(cacheable, "tokens")}`, [
      line("Cached", compact(cached), inFull(cached, "tokens")),
      line("Of input", compact(cacheable), inFull(cacheable, "tokens")),
    ]),
  ];
}

function changeText(ratio) {
  return `${ratio < 0 ? "−" : "+"}${percent(Math.abs(ratio))}`;
}

function card(title, value, full, lines, extra = null) {
  return h("article", { class: "card figure-card" }, h("h2", {}, title), h("strong", { class: "figure", title: full }, value), extra, h("dl", {}, lines));
}

function line(term, value, title) {
  return h("div", { title }, h("dt", {}, term), h("dd", {}, value));
}

/** How far the month is on the way to its forecast, with a mark where the last month ended. */
function meter(thisMonth, forecast, lastMonth) {
  const most = forecast > lastMonth ? forecast : lastMonth;
  const width = (value) => ({ width: `${share(value, most) * 100}%` });
  return h("div", { class: "progress", "aria-hidden": "true" },
    h("span", { class: "progress-forecast", style: width(forecast) }),
    h("span", { class: "progress-now", style: width(thisMonth) }),
    lastMonth > 0n && h("span", { class: "progress-mark", style: { left: `${share(lastMonth, most) * 100}%` } }));
}
