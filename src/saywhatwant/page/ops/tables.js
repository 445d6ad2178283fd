/**
 * The tables: entities, and bots.
 *
 * @import { Bot, Entity, Figures } from "./types"
 */

import { readable } from "../color.js";
import { resting, served } from "./attention.js";
import { element, keep } from "./element.js";
import { ago, roughly } from "./words.js";

const DIGEST_CHARS = 6;

/**
 * @param {HTMLTableElement} table
 * @param {Figures} figures
 * @param {Entity[]} entities
 */
export function showEntities(table, { at, bots, overview }, entities) {
  const { stats, oldest, latest } = overview;
  const known = new Map(entities.map((entity) => [entity.name, entity]));
  const names = [...new Set([...entities.map(({ name }) => name), ...Object.keys(stats.entities)])];
  const field = getComputedStyle(document.documentElement).getPropertyValue("--field");
  rows(
    table,
    names.map((name) => {
      const depth = stats.entities[name];
      const by = served(bots, name).map(({ workerId }) => workerId);
      const [waiting, held, failed] = [depth?.pending ?? 0, depth?.processing ?? 0, depth?.failed ?? 0];
      const trouble = latest.find((attempt) => (attempt.entity ?? "") === name && attempt.reason !== null);
      const since = oldest[name];
      const elsewhere = stats.waitedFor.includes(name) ? "a bot elsewhere" : "nobody";
      const paused = resting(stats, name);
      const others = paused ? `nobody: ${paused} leaves its model alone` : elsewhere;
      const answeredBy = name === "" ? "any bot" : by.join(", ") || others;
      return {
        key: `entity ${name}`,
        state: answeredBy.startsWith("nobody") ? (waiting || paused ? "bad" : "idle") : "good",
        cells: [
          nameCell(name, known.get(name), field),
          answeredBy,
          count(waiting),
          since === undefined ? "" : roughly(at - since),
          count(held),
          count(failed),
          trouble ? `${ago(trouble.endedAt, at)}: ${trouble.reason}` : "",
        ],
      };
    }),
    [2, 3, 4, 5],
  );
}

/** @param {string} name @param {Entity | undefined} entity @param {string} field */
function nameCell(name, entity, field) {
  const words = element("span", { class: "entity" }, name === "" ? "to anyone" : (entity?.displayName ?? name));
  if (entity) words.style.color = readable(entity.color, field.trim());
  return words;
}

/** @param {number} value */
function count(value) {
  return value ? String(value) : "";
}

/** @param {HTMLTableElement} table @param {Figures} figures @param {(entity: string) => string} named */
export function showBots(table, { at, bots, overview: { stats } }, named) {
  rows(
    table,
    bots.map((bot) => {
      const circuits = (stats.circuits ?? []).filter(({ workerId, openUntil }) => workerId === bot.workerId && openUntil > at);
      return {
        key: `bot ${bot.workerId}`,
        state: bot.here ? (circuits.length ? "bad" : "good") : "gone",
        cells: [
          bot.workerId,
          bot.here ? "here" : `left ${ago(bot.lastSeen, at)}`,
          answersFor(bot, named),
          bot.version ?? "unknown",
          circuits.map(({ provider, openUntil }) => `${provider} for ${roughly(openUntil - at)}`).join(", "),
        ],
      };
    }),
    [],
  );
}

/** The entities with the beginnings of their personas' digests. @param {Bot} bot @param {(entity: string) => string} named */
function answersFor({ entities, personas }, named) {
  if (entities === null) return "all";
  return element(
    "span",
    {},
    ...entities.flatMap((entity, at) => {
      const digest = personas[entity];
      const mark = digest ? element("code", { title: `persona ${digest}` }, digest.slice(0, DIGEST_CHARS)) : null;
      return [at ? ", " : "", named(entity), mark ? " " : "", mark];
    }),
  );
}

/**
 * @param {HTMLTableElement} table
 * @param {{ key: string, state: string, cells: (string | HTMLElement)[] }[]} found
 * @param {number[]} numbers the columns with numbers
 */
function rows(table, found, numbers) {
  const [body] = table.tBodies;
  if (!body) return;
  keep(
    body,
    found.map(({ key, state, cells }) => ({
      key,
      version: [state, ...cells.map((cell) => (typeof cell === "string" ? cell : cell.outerHTML))].join("\n"),
      make: () => {
        const [first, ...others] = cells;
        const head = element("th", { scope: "row" }, element("span", { class: "dot", title: state }), first ?? "");
        const made = others.map((cell, at) => element("td", numbers.includes(at + 1) ? { class: "number" } : {}, cell));
        return element("tr", { data: { state } }, head, ...made);
      },
    })),
  );
}
