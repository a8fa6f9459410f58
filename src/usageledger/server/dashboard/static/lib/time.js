// Time zones, ranges and buckets. Times are Unix seconds; days are days of a zone, by the browser's own calendar.

export const MINUTE = 60;
export const HOUR = 3600;
export const DAY = 86_400;
export const WIDTH_SECONDS = { "1m": MINUTE, "1h": HOUR, "1d": DAY };
const BUCKETS_MAX = { "1m": 1440, "1h": 24 * 31, "1d": 400 };

export const RANGES = [
  ["1h", "Last hour"],
  ["24h", "Last 24 hours"],
  ["today", "Today"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
  ["90d", "Last 90 days"],
  ["month", "This month"],
  ["last-month", "Last month"],
  ["year", "Last 12 months"],
];

const readers = new Map();
function reader(zone) {
  if (!readers.has(zone)) {
    readers.set(zone, new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    }));
  }
  return readers.get(zone);
}

/** What the clocks of `zone` show: {year, month, day, hour, minute, second}. */
export function clock(seconds, zone) {
  const parts = reader(zone).formatToParts(seconds * 1000);
  return Object.fromEntries(parts.filter((part) => part.type !== "literal").map((part) => [part.type, Number(part.value)]));
}

/** How far the clocks of `zone` are ahead of UTC, in seconds. */
function offset(seconds, zone) {
  const { year, month, day, hour, minute, second } = clock(seconds, zone);
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - seconds;
}

/** When the clocks of `zone` show this; days and months may be outside of their range. */
export function instant(zone, year, month, day, hour = 0, minute = 0) {
  const wall = Date.UTC(year, month - 1, day, hour, minute) / 1000;
  const first = wall - offset(wall, zone);
  return wall - offset(first, zone);
}

export function startOfDay(seconds, zone, days = 0) {
  const { year, month, day } = clock(seconds, zone);
  return instant(zone, year, month, day + days);
}

export function startOfMonth(seconds, zone, months = 0) {
  const { year, month } = clock(seconds, zone);
  return instant(zone, year, month + months, 1);
}

/** {start, end} of a range by its name. The end is that of the bucket under way, so that answers can be remembered. */
export function rangeOf(name, now, zone) {
  const tomorrow = startOfDay(now, zone, 1);
  const nextHour = now - (now % HOUR) + HOUR;
  const nextMinute = now - (now % MINUTE) + MINUTE;
  switch (name) {
    case "1h": return { start: nextMinute - HOUR, end: nextMinute };
    case "24h": return { start: nextHour - DAY, end: nextHour };
    case "today": return { start: startOfDay(now, zone), end: tomorrow };
    case "7d": return { start: startOfDay(now, zone, -6), end: tomorrow };
    case "90d": return { start: startOfDay(now, zone, -89), end: tomorrow };
    case "month": return { start: startOfMonth(now, zone), end: tomorrow };
    case "last-month": return { start: startOfMonth(now, zone, -1), end: startOfMonth(now, zone) };
    case "year": return { start: startOfDay(now, zone, -364), end: tomorrow };
    default: return { start: startOfDay(now, zone, -29), end: tomorrow };
  }
}

/** The widths, of those that a meter has, that a range can be shown in without too many buckets. */
export function widthsFor({ start, end }, names) {
  const fitting = names.filter((name) => name in WIDTH_SECONDS && (end - start) / WIDTH_SECONDS[name] <= BUCKETS_MAX[name]);
  return fitting.length ? fitting : ["1d"];
}

/** The width that shows a range best. */
export function naturalWidth({ start, end }, names) {
  const length = end - start;
  const wish = length <= 3 * HOUR ? "1m" : length <= 3 * DAY ? "1h" : "1d";
  const allowed = widthsFor({ start, end }, names);
  return allowed.includes(wish) ? wish : allowed.includes("1h") && wish === "1m" ? "1h" : allowed.at(-1);
}

const formats = new Map();
function formatted(seconds, zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  return formats.get(key).format(seconds * 1000);
}

export const dayText = (seconds, zone) => formatted(seconds, zone, { day: "numeric", month: "short" });
export const dateText = (seconds, zone) => formatted(seconds, zone, { day: "numeric", month: "short", year: "numeric" });
export const timeText = (seconds, zone) => formatted(seconds, zone, { hour: "2-digit", minute: "2-digit" });
export const secondsText = (seconds, zone) => formatted(seconds, zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const monthText = (seconds, zone) => formatted(seconds, zone, { month: "long" });
export const momentText = (seconds, zone) => `${dateText(seconds, zone)}, ${timeText(seconds, zone)}`;

/** The name of a bucket on the axis. */
export function bucketTick(start, width, zone) {
  if (width === "1d") return dayText(start, zone);
  const { hour, minute } = clock(start, zone);
  return hour === 0 && minute === 0 ? dayText(start, zone) : timeText(start, zone);
}

/** The whole name of a bucket. */
export function bucketText(start, end, width, zone) {
  if (width === "1d") return formatted(start, zone, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  return `${formatted(start, zone, { weekday: "short", day: "numeric", month: "short" })}, ${timeText(start, zone)} – ${timeText(end, zone)}`;
}

/** A range as people write it: whole days without their hours. */
export function rangeText({ start, end }, zone) {
  const whole = startOfDay(start, zone) === start && startOfDay(end, zone) === end;
  if (!whole) return `${momentText(start, zone)} – ${startOfDay(start, zone) === startOfDay(end, zone) ? timeText(end, zone) : momentText(end, zone)}`;
  const [first, last] = [dateText(start, zone), dateText(end - 1, zone)];
  return first === last ? first : `${first} – ${last}`;
}

/** The value of an input of type `datetime-local`, and back. */
export function toInput(seconds, zone) {
  const { year, month, day, hour, minute } = clock(seconds, zone);
  const pad = (number, length = 2) => String(number).padStart(length, "0");
  return `${pad(year, 4)}-${pad(month)}-${pad(day)}T${pad(hour)}:${pad(minute)}`;
}

export function fromInput(text, zone) {
  const [, year, month, day, hour, minute] = /^(\d+)-(\d+)-(\d+)T(\d+):(\d+)/.exec(text).map(Number);
  return instant(zone, year, month, day, hour, minute);
}

/** The zone of this browser. */
export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export function isZone(name) {
  try {
    reader(name);
    return true;
  } catch {
    return false;
  }
}

export const nowSeconds = () => Math.floor(Date.now() / 1000);
