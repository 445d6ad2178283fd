/** Numbers and times as people read them. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS = /** @type {const} */ ([
  [DAY, "d"],
  [HOUR, "h"],
  [MINUTE, "min"],
]);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const clockMinutes = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const weekdays = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
/** The server's days are those of UTC. */
const days = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" });

/** "12 s", "3 min", "2 h": how long something takes. @param {number} ms */
export function duration(ms) {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const unit = UNITS.find(([size]) => seconds >= size);
  return unit ? `${Math.floor(seconds / unit[0])} ${unit[1]}` : `${Math.floor(seconds)} s`;
}

/** The same in whole seconds, for what is shown while it grows. @param {number} ms */
export function roughly(ms) {
  return ms < 1_000 ? "0 s" : duration(Math.max(10_000, ms)).replace(/^10 s$/, `${Math.floor(ms / 1_000)} s`);
}

/** @param {number} at @param {number} now */
export function ago(at, now) {
  return now - at < 2_000 ? "now" : `${roughly(now - at)} ago`;
}

/** "0", "0.4", "3.2", "48", "1,200". @param {number} value */
export function number(value) {
  return Number.isInteger(value) || value >= 10 ? whole.format(value) : value.toFixed(value < 0.1 ? 2 : 1);
}

/** @param {number} value */
export function dollars(value) {
  if (value === 0) return "$0";
  return value < 0.01 ? `$${value.toPrecision(1)}` : `$${value.toFixed(2)}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${whole.format(count)} ${count === 1 ? one : many}`;
}

/** The time of day. @param {number} at */
export function time(at) {
  return clock.format(at);
}

/** With the date. @param {number} at */
export function moment(at) {
  return date.format(at);
}

/** The time of day without seconds. @param {number} at */
export function clockTime(at) {
  return clockMinutes.format(at);
}

/** "Thu 26 Nov". @param {number} at */
export function weekday(at) {
  return weekdays.format(at);
}

/** The date in UTC. @param {number} at */
export function day(at) {
  return days.format(at);
}
