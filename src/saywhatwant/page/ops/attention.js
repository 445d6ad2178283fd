/**
 * What needs attention, and why: rules on the figures, in the order of urgency.
 *
 * @import { Bot, EndedAttempt, Figures, Moderated, Notice, Stats } from "./types"
 */

import { button, element, keep } from "./element.js";
import { ago, counted, duration, roughly } from "./words.js";

/** Trouble is shown for this long. */
const LATELY_MS = 60_000;
/** A bot that has left is shown for this long. */
const LEFT_MS = 600_000;
/** A model that says nothing is reported after this. */
const SILENT_MS = 10_000;
const NEARLY_FULL = 0.8;
const LONG_MS = 120_000;
const MOST = 8;

/** Whether a bot that is here answers for this entity. @param {Bot[]} bots @param {string} entity */
export function served(bots, entity) {
  return bots.filter((bot) => bot.here && (bot.entities === null || bot.entities.includes(entity)));
}

/** The bots that would answer for this entity, but leave its provider alone for a while. @param {Stats} stats @param {string} entity */
export function resting({ circuits = [] }, entity) {
  return circuits
    .filter(({ entities }) => entities.includes(entity))
    .map(({ workerId }) => workerId)
    .join(", ");
}

/**
 * @param {Figures} figures
 * @param {(entity: string) => string} named
 * @returns {Notice[]}
 */
export function noticesOf(figures, named) {
  return [
    ...unserved(figures, named),
    ...circuits(figures, named),
    ...silent(figures, named),
    ...troubles(figures, named),
    ...left(figures, named),
    ...conflicts(figures, named),
    ...queue(figures),
  ];
}

/** @param {Figures} figures @param {(entity: string) => string} named @returns {Notice[]} */
function unserved({ at, bots, overview: { stats, oldest } }, named) {
  return Object.entries(oldest)
    .filter(([name]) => name !== "" && (stats.entities[name]?.pending ?? 0) > 0)
    .filter(([name]) => served(bots, name).length === 0 && !stats.waitedFor.includes(name) && !resting(stats, name))
    .map(([name, since]) => {
      const waiting = stats.entities[name]?.pending ?? 0;
      const words = `Nobody answers for ${named(name)}: ${counted(waiting, "message")} ${waiting === 1 ? "waits" : "wait"}, the oldest for ${roughly(at - since)}`;
      return { key: `unserved ${name}`, urgent: true, words };
    });
}

/** @param {Figures} figures @param {(entity: string) => string} named @returns {Notice[]} */
function circuits({ at, overview: { stats } }, named) {
  return (stats.circuits ?? [])
    .filter(({ openUntil }) => openUntil > at)
    .map(({ workerId, provider, entities, openUntil, reason }) => ({
      key: `circuit ${workerId} ${provider}`,
      urgent: true,
      words: `The model ${provider} does not answer: ${workerId} leaves it alone for ${roughly(openUntil - at)}${entities.length ? ` and does not answer for ${entities.map(named).join(", ")}` : ""}: ${reason}`,
    }));
}

/** Models that have not said a word for a while. @param {Figures} figures @param {(entity: string) => string} named @returns {Notice[]} */
function silent({ at, atWork }, named) {
  return atWork
    .filter(({ state, since }) => state === "waking" && at - since > SILENT_MS)
    .map(({ id, entity, since }) => ({
      key: `silent ${id}`,
      urgent: false,
      words: `The model of ${entity ? named(entity) : "an entity"} says nothing for ${roughly(at - since)} now: it loads, is busy, or hangs`,
    }));
}

/** The latest trouble of each entity. @param {Figures} figures @param {(entity: string) => string} named @returns {Notice[]} */
function troubles({ at, overview: { latest } }, named) {
  /** @type {Map<string, EndedAttempt[]>} */
  const byEntity = new Map();
  for (const attempt of latest) {
    if (attempt.reason === null || at - attempt.endedAt > LATELY_MS) continue;
    const name = attempt.entity ?? "";
    byEntity.set(name, [...(byEntity.get(name) ?? []), attempt]);
  }
  return [...byEntity].map(([name, attempts]) => ({
    key: `trouble ${name}`,
    urgent: false,
    words: `${name ? named(name) : "A message to anyone"}: ${counted(attempts.length, "attempt")} without an answer in the last minute, the latest because ${attempts[0]?.reason}`,
  }));
}

/** @param {Figures} figures @param {(entity: string) => string} named @returns {Notice[]} */
function left({ at, bots }, named) {
  return bots
    .filter(({ here, lastSeen }) => !here && at - lastSeen < LEFT_MS)
    .map(({ workerId, entities, lastSeen }) => {
      const alone = (entities ?? []).filter((entity) => served(bots, entity).length === 0);
      const nobody = alone.length ? `; nobody answers for ${alone.map(named).join(", ")} now` : "; others answer in its place";
      return {
        key: `left ${workerId}`,
        urgent: alone.length > 0,
        words: `The bot ${workerId} left ${ago(lastSeen, at)}${nobody}`,
      };
    });
}

/** @param {Figures} figures @param {(entity: string) => string} named @returns {Notice[]} */
function conflicts({ bots }, named) {
  return bots
    .flatMap((bot) => bot.conflicts.map(({ entity, workerId }) => ({ entity, pair: [bot.workerId, workerId].sort() })))
    .filter(
      ({ entity, pair }, at, all) => all.findIndex((other) => other.entity === entity && `${other.pair}` === `${pair}`) === at,
    )
    .map(({ entity, pair }) => ({
      key: `conflict ${entity} ${pair}`,
      urgent: false,
      words: `${named(entity)} has two personas: ${pair.join(" and ")} answer from different files`,
    }));
}

/** @param {Moderated | null} moderated @returns {Notice[]} */
export function toModerate(moderated) {
  /** @type {Notice[]} */
  const found = [];
  const { reviewCount, reportCount } = moderated ?? { reviewCount: 0, reportCount: 0 };
  if (reviewCount > 0) {
    const words = `${counted(reviewCount, "post")} ${reviewCount === 1 ? "waits" : "wait"} for review`;
    found.push({ key: "review", urgent: false, words, tab: "tab-review" });
  }
  if (reportCount > 0) {
    const words = `Visitors have reported ${counted(reportCount, "message")}`;
    found.push({ key: "reports", urgent: false, words, tab: "tab-reports" });
  }
  return found;
}

/** @param {Figures} figures @returns {Notice[]} */
function queue({ at, overview: { stats, oldest } }) {
  /** @type {Notice[]} */
  const found = [];
  if (stats.backlog >= stats.backlogLimit * NEARLY_FULL) {
    found.push({
      key: "full",
      urgent: true,
      words: `${counted(stats.backlog, "message")} are unfinished; at ${stats.backlogLimit} new ones are refused`,
    });
  }
  const longest = Math.min(...Object.values(oldest));
  if (at - longest > LONG_MS) {
    found.push({ key: "long", urgent: false, words: `A message waits for its answer since ${duration(at - longest)}` });
  }
  if (stats.depth.failed > 0) {
    const words = `${counted(stats.depth.failed, "message")} ${stats.depth.failed === 1 ? "has" : "have"} failed for good`;
    found.push({ key: "failed", urgent: false, words, tab: "tab-failed" });
  }
  return found;
}

/**
 * @param {Element} list
 * @param {HTMLElement} allWell shown when there is nothing
 * @param {Notice[]} notices
 */
export function show(list, allWell, notices) {
  const first = [...notices].sort((one, other) => Number(other.urgent) - Number(one.urgent));
  const shown = first.slice(0, MOST);
  if (first.length > MOST) shown.push({ key: "more", urgent: false, words: `and ${first.length - MOST} more` });
  keep(
    list,
    shown.map(({ key, urgent, words, tab }) => ({
      key,
      version: `${urgent} ${words}`,
      make: () => element("li", { data: { urgent: String(urgent) } }, tab === undefined ? words : linkTo(tab, words)),
    })),
  );
  allWell.hidden = notices.length > 0;
}

/** @param {string} tab @param {string} words */
function linkTo(tab, words) {
  return button(words, () => {
    const found = document.getElementById(tab);
    found?.click();
    found?.focus();
  });
}
