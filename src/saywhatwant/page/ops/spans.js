/**
 * The spans of time that the plots can show. The page's address names one (`#span=week`), so a link can, too.
 *
 * @import { Span } from "./types"
 */

import { clockTime, day, weekday } from "./words.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Each has as many points as a plot can show. The first one is live. @type {[Span, ...Span[]]} */
export const SPANS = [
  { name: "minutes", words: "5 minutes", ms: 5 * MINUTE, step: "minute", every: 1, stepMs: MINUTE, unitMs: 1_000, unit: "s" },
  { name: "hour", words: "Hour", ms: HOUR, step: "minute", every: 1, stepMs: MINUTE, unitMs: MINUTE, unit: "min" },
  { name: "day", words: "Day", ms: DAY, step: "minute", every: 5, stepMs: 5 * MINUTE, unitMs: MINUTE, unit: "min" },
  { name: "week", words: "Week", ms: 7 * DAY, step: "hour", every: 1, stepMs: HOUR, unitMs: HOUR, unit: "h" },
  { name: "year", words: "Year", ms: 365 * DAY, step: "hour", every: 24, stepMs: DAY, unitMs: DAY, unit: "day" },
];

/** The span that an address names. @param {string} hash */
export function named(hash) {
  const name = new URLSearchParams(hash.slice(1)).get("span");
  return SPANS.find((span) => span.name === name);
}

/** A time in a span, as people read it. @param {Span} span @param {number} at */
export function timeIn({ ms, stepMs }, at) {
  if (stepMs >= DAY) return day(at);
  return ms > DAY ? `${weekday(at)} ${clockTime(at)}` : clockTime(at);
}
