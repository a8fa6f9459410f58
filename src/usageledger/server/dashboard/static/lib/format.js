// Numbers and units as people read them. Every figure's full value is kept in its title.

import { DECIMALS, ONE, decimalText, rounded } from "./exact.js";

const STEPS = [
  [1_000_000_000_000n, "T"],
  [1_000_000_000n, "B"],
  [1_000_000n, "M"],
  [1_000n, "K"],
];
const BYTE_STEPS = [
  [1n << 50n, "PiB"],
  [1n << 40n, "TiB"],
  [1n << 30n, "GiB"],
  [1n << 20n, "MiB"],
  [1n << 10n, "KiB"],
];
const SMALL_DECIMALS = 4; // of the digits of an amount below a cent

/** `$1,234.57`; an amount below a cent shows its first digits. */
export function money(value) {
  const size = value < 0n ? -value : value;
  let decimals = 2;
  if (size > 0n && size < ONE / 100n) {
    const zeros = /^0\.(0*)/.exec(decimalText(size))[1].length;
    decimals = Math.min(18, Math.max(SMALL_DECIMALS, zeros + 2));
  }
  const text = rounded(size, decimals);
  return `${value < 0n ? "-" : ""}$${text}`;
}

/** All digits of an amount. */
export function moneyInFull(value) {
  return `$${decimalText(value)}`;
}

/** `1,755,596,495`; decimals only where there are any. */
export function count(value) {
  return rounded(value, value % ONE === 0n ? 0 : 2);
}

/** `1.76B`: three digits. */
export function compact(value) {
  return scaled(value, STEPS, "") ?? rounded(value, value % ONE === 0n ? 0 : 2);
}

function scaled(value, steps, gap) {
  for (const [step, name] of steps) {
    const size = value / step;
    if (size >= ONE) {
      const decimals = size >= 100n * ONE ? 0 : size >= 10n * ONE ? 1 : 2;
      return `${rounded(size, decimals)}${gap}${name}`;
    }
  }
  return null;
}

export function bytes(value) {
  return scaled(value, BYTE_STEPS, " ") ?? `${rounded(value, 0)} B`;
}

export function percent(ratio) {
  const value = ratio * 100;
  const decimals = value > 0 && value < 10 ? 1 : 0;
  return value > 0 && value < 0.1 ? "<0.1%" : `${value.toFixed(decimals)}%`;
}

/** A measure's value in its table cell. */
export function inUnit(value, unit) {
  if (unit === "usd") return money(value);
  if (unit === "bytes") return bytes(value);
  return count(value);
}

/** A label of an axis, from the double that the chart has. */
export function tick(number, unit) {
  const value = BigInt(Math.round(number * 1e6)) * (ONE / 1_000_000n);
  const plain = (text) => text.replace(/\.0+(?=\D|$)|(\.\d*?[1-9])0+(?=\D|$)/, "$1");
  if (unit === "bytes") return plain(bytes(value));
  return `${unit === "usd" ? "$" : ""}${number >= 1000 ? plain(compact(value)) : trim(number)}`;
}

function trim(number) {
  return String(Number(number.toPrecision(4)));
}

/** The whole value, for titles. */
export function inFull(value, unit) {
  if (unit === "usd") return moneyInFull(value);
  return `${decimalText(value)} ${unit}`;
}

/** `input_tokens` → `Input tokens`; ids and API keep their capitals. */
export function label(name) {
  const known = { project_id: "Project", user_id: "User", api_key_id: "API key", vector_store_id: "Vector store", api_source: "API source" };
  if (known[name]) return known[name];
  const words = name.replace(/^num_/, "").replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

/** `label` in the plural, for groups. */
export function plural(name) {
  const text = label(name);
  return text.endsWith("y") && !text.endsWith("ey") ? `${text.slice(0, -1)}ies` : `${text}s`;
}

/** A unit of quantities as people write it. */
export const unitName = (unit) => ({ duration_seconds: "seconds", gibibyte_hours: "GiB-hours" })[unit] ?? unit;

/** A price of one unit; of tokens and characters, of a million, as price lists have it. */
export function unitPrice(amount, quantity, unit) {
  const million = unit === "tokens" || unit === "characters";
  const per = million ? `1M ${unit}` : unitName(unit).replace(/s$/, "");
  if (quantity === 0n) return { text: "–", per };
  const value = (amount * ONE * (million ? 1_000_000n : 1n)) / quantity;
  const zeros = value >= ONE ? 0 : /^0\.(0*)/.exec(`${decimalText(value)}.`)?.[1].length ?? 0;
  const digits = rounded(value, value >= ONE ? 2 : Math.min(DECIMALS, zeros + 4));
  return { text: `$${digits.replace(/(\.\d\d\d*?)0+$/, "$1")}`, per };
}

/** What an event says that its price may depend on, beside its tier. */
export function caseWords(entry) {
  return [
    entry.size,
    entry.quality,
    entry.context_level && `context ${entry.context_level}`,
    entry.tool,
    entry.memory_gb && `${entry.memory_gb} GB`,
    entry.session_minutes && `${entry.session_minutes} minutes`,
    entry.region && `region ${entry.region}`,
  ].filter(Boolean);
}
