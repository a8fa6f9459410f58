// Questions to the API → what a chart and a table show: groups with exact totals, and the largest ones by bucket.

import { buckets as fetchBuckets } from "./api.js";
import { exact, sum } from "./exact.js";
import { apiParameters } from "./question.js";

export const SERIES_MAX = 9; // as many as there are colours
const GROUPS_AT_ONCE_MAX = 60; // with more of them only the largest are asked for by bucket

/** The value of a measure in a result. */
function valueOf(result, measure) {
  const value = result[measure.name];
  return exact(measure.unit === "usd" ? value.amount ?? value.value : value);
}

/**
 * Totals of every group, largest first by the first measure, and the course of time of the largest.
 * @returns {{groups, buckets, totals, whole, rest, unpriced}} amounts are BigInts of 10^-18
 */
export async function load(question, signal, sortBy = question.measures[0]) {
  const measures = question.meter.measures.filter((measure) => question.measures.includes(measure.name));
  const by = measures.some((measure) => measure.name === sortBy) ? sortBy : measures[0].name;
  const ask = (options) => fetchBuckets(question.meter.path, apiParameters(question, options), signal);
  const [all, plain] = await Promise.all([ask({ width: "all" }), ask({ groupBy: [] })]);
  const groups = groupsOf(all.data, question.groupBy, measures, by);
  const places = new Map(plain.data.map((bucket, place) => [bucket.start_time, place]));
  const whole = perBucket(plain.data, places, measures, plain.data.length);
  const shown = groups.slice(0, SERIES_MAX);
  if (question.groupBy.length && groups.length) {
    const many = groups.length > GROUPS_AT_ONCE_MAX;
    const detail = await ask(many ? { filters: narrowed(question, shown) } : {});
    fill(shown, detail.data, places, question.groupBy, measures);
  } else {
    for (const group of shown) group.series = whole;
  }
  return {
    groups,
    shown,
    buckets: plain.data.map(({ start_time, end_time }) => ({ start: start_time, end: end_time })),
    totals: totalsOf(groups, measures),
    whole,
    rest: groups.length > shown.length || question.groupBy.length ? remaining(whole, shown, measures) : null,
    unpriced: all.unpriced,
  };
}

/** Totals of groups alone, for lists of the largest. */
export async function loadTotals(question, signal) {
  const measures = question.meter.measures.filter((measure) => question.measures.includes(measure.name));
  const { data, unpriced } = await fetchBuckets(question.meter.path, apiParameters(question, { width: "all" }), signal);
  const groups = groupsOf(data, question.groupBy, measures, measures[0].name);
  return { groups, totals: totalsOf(groups, measures), unpriced };
}

function keyOf(result, groupBy) {
  return JSON.stringify(groupBy.map((name) => result[name]));
}

function groupsOf(data, groupBy, measures, by) {
  const groups = data.flatMap((bucket) => bucket.results).map((result) => ({
    key: keyOf(result, groupBy),
    values: Object.fromEntries(groupBy.map((name) => [name, result[name]])),
    totals: Object.fromEntries(measures.map((measure) => [measure.name, valueOf(result, measure)])),
    unit: result.quantity_unit ?? null,
    series: null,
  }));
  return groups.sort((a, b) => descending(a.totals[by], b.totals[by]) || (a.key < b.key ? -1 : 1));
}

export function descending(a, b) {
  return a < b ? 1 : a > b ? -1 : 0;
}

function totalsOf(groups, measures) {
  return Object.fromEntries(measures.map(({ name }) => [name, sum(groups.map((group) => group.totals[name]))]));
}

function zeros(measures, length) {
  return Object.fromEntries(measures.map(({ name }) => [name, new Array(length).fill(0n)]));
}

function perBucket(data, places, measures, length) {
  const series = zeros(measures, length);
  for (const bucket of data) {
    for (const result of bucket.results) {
      for (const measure of measures) series[measure.name][places.get(bucket.start_time)] += valueOf(result, measure);
    }
  }
  return series;
}

function fill(groups, data, places, groupBy, measures) {
  const byKey = new Map(groups.map((group) => [group.key, group]));
  for (const group of groups) group.series = zeros(measures, places.size);
  for (const bucket of data) {
    for (const result of bucket.results) {
      const group = byKey.get(keyOf(result, groupBy));
      if (!group) continue;
      for (const measure of measures) group.series[measure.name][places.get(bucket.start_time)] += valueOf(result, measure);
    }
  }
}

/** The filters that leave at least `groups`: what has no value cannot be asked for, and stays in the rest. */
function narrowed(question, groups) {
  const filters = new Map(question.filters);
  for (const name of question.groupBy) {
    const dimension = question.meter.dimensions.find((each) => each.name === name);
    const values = [...new Set(groups.map((group) => group.values[name]))];
    if (dimension.filter && !dimension.flag && !values.includes(null)) filters.set(name, values);
  }
  return filters;
}

/** What the shown groups leave of the whole, by bucket. */
function remaining(whole, shown, measures) {
  return Object.fromEntries(
    measures.map(({ name }) => [name, whole[name].map((value, place) => value - sum(shown.map((group) => group.series[name][place])))]),
  );
}
