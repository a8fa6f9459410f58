// What a view asks: read from the address, written back to it, and turned into the parameters of the API.

import { isZone, naturalWidth, rangeOf, startOfDay, widthsFor } from "./time.js";

export const DEFAULT_RANGE = "30d";

/**
 * The question of an address.
 * @returns {{meter, zone, range, start, end, width, widths, groupBy: string[], filters: Map<string, string[]>, measures: string[]}}
 */
export function readQuestion(meter, parameters, now) {
  const zone = zoneOf(parameters);
  const [start, end] = ["start", "end"].map((name) => Number(parameters.get(name)));
  const custom = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start > 0 && start < end;
  const range = custom ? null : parameters.get("range") ?? DEFAULT_RANGE;
  const window = custom ? { start, end } : rangeOf(range, now, zone);
  const names = meter.bucket_widths.map((width) => width.name);
  const widths = widthsFor(window, names);
  const asked = parameters.get("bucket_width");
  const dimensions = new Set(meter.dimensions.map((dimension) => dimension.name));
  return {
    meter,
    zone,
    range,
    ...window,
    widths,
    width: widths.includes(asked) ? asked : naturalWidth(window, names),
    groupBy: (parameters.get("group_by") ?? usualGrouping(dimensions)).split(",").filter((name) => dimensions.has(name)),
    filters: new Map(meter.dimensions.filter((d) => d.filter && parameters.has(d.filter)).map((d) => [d.name, parameters.getAll(d.filter)])),
    measures: measuresOf(meter, parameters.get("measures")),
  };
}

/** What a page is grouped by where its address does not say. */
function usualGrouping(dimensions) {
  return ["line_item", "model", "project_id"].find((name) => dimensions.has(name));
}

export function zoneOf(parameters) {
  const zone = parameters.get("timezone");
  return zone && isZone(zone) ? zone : "UTC";
}

function measuresOf(meter, text) {
  const asked = (text ?? "").split(",");
  const known = meter.measures.filter((measure) => asked.includes(measure.name));
  return (known.length ? known : usualMeasures(meter)).map((measure) => measure.name);
}

/** The measures that say most: what every event carries, and requests. */
export function usualMeasures(meter) {
  if (meter.priced) return meter.measures;
  const usual = meter.measures.filter((measure) => measure.required || measure.name === "num_model_requests");
  return usual.length ? usual : meter.measures.slice(0, 1);
}

/** The API's parameters for a question. Filters go in brackets, where a comma stands for itself. */
export function apiParameters(question, { width = question.width, groupBy = question.groupBy, filters = question.filters } = {}) {
  const { meter, start, end, zone } = question;
  const chosen = meter.bucket_widths.find((each) => each.name === width);
  const costs = meter.priced && width === "all";
  const pairs = [...(costs ? windowOfCosts(question) : [["start_time", start], ["end_time", end]]), ["bucket_width", width], ["limit", chosen.max_limit]];
  for (const name of groupBy) pairs.push(["group_by", name]);
  pairs.push(...filterPairs(meter, filters));
  if (zone !== "UTC" && width === "1d") pairs.push(["timezone", zone]);
  return pairs;
}

/** The window of the totals: costs by the day are of whole days, and those begin where they begin in the zone. */
function windowOfCosts({ width, zone, start, end }) {
  if (width !== "1d") return [["start_time", start], ["end_time", end]];
  const last = startOfDay(end, zone);
  const days = [["start_time", startOfDay(start, zone)], ["end_time", last === end ? end : startOfDay(end, zone, 1)]];
  return zone === "UTC" ? days : [...days, ["timezone", zone]];
}

function filterPairs(meter, filters) {
  return [...filters].flatMap(([name, values]) => {
    const dimension = meter.dimensions.find((each) => each.name === name);
    return values.map((value) => [dimension.flag ? dimension.filter : `${dimension.filter}[]`, value]);
  });
}

/** The parameters for the rate cards of a line item in a question. */
export function rateParameters(question, item) {
  const { meter, filters } = question;
  return [...windowOfCosts(question), ...filterPairs(meter, new Map([...filters, ["line_item", [item]]]))];
}

/** What of the address a filter on a dimension is. */
export function filterParameter(meter, name) {
  return meter.dimensions.find((dimension) => dimension.name === name)?.filter ?? null;
}

/** The question as a line for a shell. */
export function curlLine(question, origin) {
  const query = new URLSearchParams(apiParameters(question)).toString();
  return `curl -s -g '${origin}${question.meter.path}?${query}' \\\n  -H "Authorization: Bearer $USAGELEDGER_ADMIN_KEY"`;
}

/** The question as a program: with the official client, where what its methods do not know goes beside; with ours for a kind that it lacks. */
export function pythonProgram(question, origin) {
  const { meter } = question;
  const own = meter.extension;
  const lists = new Map();
  for (const [name, value] of apiParameters(question)) lists.set(bare(name), [...(lists.get(bare(name)) ?? []), value]);
  const several = new Set(["group_by", ...meter.dimensions.filter((d) => !d.flag).map((d) => d.filter)]);
  const beside = new Set(own ? [] : ["timezone", ...(meter.priced ? meter.dimensions.map((d) => d.filter) : [])]);
  const lines = [];
  const extra = [];
  for (const [name, values] of lists) {
    const text = several.has(name) ? `[${values.map(python).join(", ")}]` : python(values[0]);
    if (beside.has(name)) extra.push(`"${name}": ${text}`);
    else lines.push(`    ${name}=${text},`);
  }
  if (extra.length) lines.push(`    extra_query={${extra.join(", ")}},`);
  return [
    "import os",
    own ? "from usageledger import UsageAPI" : "from openai import OpenAI",
    "",
    `client = ${own ? "UsageAPI" : "OpenAI"}(base_url="${origin}/v1", ${own ? "api_key" : "admin_api_key"}=os.environ["USAGELEDGER_ADMIN_KEY"])`,
    `page = client.${own ? "usage_" : "admin.organization.usage."}${meter.kind}(`,
    ...lines,
    ")",
    "for bucket in page.data:",
    "    for result in bucket.results:",
    "        print(bucket.start_time, result)",
  ].join("\n");
}

const bare = (name) => name.replace(/\[\]$/, "");

function python(value) {
  if (typeof value === "number") return String(value);
  if (value === "true" || value === "false") return value === "true" ? "True" : "False";
  return JSON.stringify(value);
}
