// Numbers of the API without loss: JSON's doubles would round amounts of 18 decimals and counts above 2^53.
// Inside, every number is a BigInt of 10^-18, whatever it measures, so that all of them add up alike.

export const DECIMALS = 18;
export const ONE = 10n ** BigInt(DECIMALS);

// A key before a number that a double may not hold: with decimals, an exponent, or 16 digits and more. A quoted name
// and a colon cannot stand inside a JSON string, where quotes are escaped.
const INEXACT = /"(\w+)":\s*(-?(?:\d{16,}(?:\.\d+)?|\d+\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?)/g;

/** Parses JSON; numbers that a double may not hold come as the text they were written as. */
export function parseJson(text) {
  return JSON.parse(text.replace(INEXACT, '"$1":"$2"'));
}

/** The BigInt of 10^-18 that a number of `parseJson` stands for; `null` stands for nothing at all. */
export function exact(value) {
  if (value === null) return 0n;
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(String(value));
  const shift = DECIMALS - fraction.length + Number(exponent);
  const digits = BigInt(whole + fraction);
  const scaled = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
  return sign ? -scaled : scaled;
}

/** All digits of a BigInt of 10^-18, as JSON writes them. */
export function decimalText(value) {
  const negative = value < 0n;
  const digits = String(negative ? -value : value).padStart(DECIMALS + 1, "0");
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, "");
  return `${negative ? "-" : ""}${digits.slice(0, -DECIMALS)}${fraction ? `.${fraction}` : ""}`;
}

/** The nearest double: for lengths of bars and nothing else. */
export function approximate(value) {
  return Number(decimalText(value));
}

/** `value` with `decimals` decimals, halves rounded away from zero, as text. */
export function rounded(value, decimals) {
  const step = 10n ** BigInt(DECIMALS - decimals);
  const size = value < 0n ? -value : value;
  const text = String((size + step / 2n) / step).padStart(decimals + 1, "0");
  const whole = decimals ? text.slice(0, -decimals) : text;
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${value < 0n ? "-" : ""}${grouped}${decimals ? `.${text.slice(-decimals)}` : ""}`;
}

export function sum(values) {
  let total = 0n;
  for (const value of values) total += value;
  return total;
}

/** `part` of `whole` as a double from 0 to 1; 0 where there is no whole. */
export function share(part, whole) {
  return whole === 0n ? 0 : Number((part * 1_000_000n) / whole) / 1_000_000;
}
