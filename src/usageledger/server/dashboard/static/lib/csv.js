// A question's results as CSV: a row for each bucket and group, all digits kept.

import { buckets } from "./api.js";
import { download } from "./dom.js";
import { apiParameters } from "./question.js";

const NAMED = { project_id: "project_name", user_id: "user_name", api_key_id: "api_key_name" };

export async function downloadCsv(question, names) {
  const { meter, groupBy, measures } = question;
  const [{ data }] = await Promise.all([buckets(meter.path, apiParameters(question)), names.load(groupBy)]);
  const dimensions = groupBy.flatMap((name) => (NAMED[name] ? [name, NAMED[name]] : [name]));
  const figures = meter.priced ? ["amount", "currency", "quantity", "quantity_unit"] : measures;
  const lines = [["start_time", "end_time", "start_time_iso", "end_time_iso", ...dimensions, ...figures]];
  for (const bucket of data) {
    for (const result of bucket.results) {
      lines.push([
        bucket.start_time, bucket.end_time, bucket.start_time_iso, bucket.end_time_iso,
        ...groupBy.flatMap((name) => {
          const value = result[name];
          return NAMED[name] ? [text(value), text(value === null ? null : names.of(name, value))] : [text(value)];
        }),
        ...figures.map((name) => figure(result, name)),
      ]);
    }
  }
  const body = lines.map((line) => line.map(quoted).join(",")).join("\r\n");
  const days = [question.start, question.end].map((seconds) => new Date(seconds * 1000).toISOString().slice(0, 10));
  download(`usageledger-${meter.kind}-${days.join("-to-")}.csv`, `${body}\r\n`, "text/csv;charset=utf-8");
}

function figure(result, name) {
  if (name === "amount") return result.amount.value;
  if (name === "currency") return result.amount.currency;
  return result[name] ?? "";
}

/** Text of events; a spreadsheet must not take it for a formula. */
function text(value) {
  if (value === null) return "";
  return /^[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value);
}

function quoted(value) {
  return /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
}
