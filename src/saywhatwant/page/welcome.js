/**
 * What an empty list shows: who answers here and a few first questions, or why there is nothing to see.
 *
 * @import { Entities } from "./entities.js"
 * @import { Source } from "./source.js"
 * @import { Entity } from "./types"
 */

import { awayReason } from "./entities.js";
import { isFiltered } from "./view.js";

const QUESTIONS = 3;

/**
 * @typedef {object} Emptiness
 * @property {string} words why there is nothing
 * @property {string} entity introduces only this one; empty for all
 * @property {boolean} introduces whether to introduce anybody
 * @property {boolean} mayLookBack whether there is more to load
 */

export class Welcome {
  #element;
  #ask;
  #lookBack;
  #shown = "";

  /**
   * @param {HTMLElement} element
   * @param {(entity: string, question: string) => void} ask called with an entity that was chosen, and the question, if any
   * @param {() => void} lookBack
   */
  constructor(element, ask, lookBack) {
    this.#element = element;
    this.#ask = ask;
    this.#lookBack = lookBack;
  }

  hide() {
    this.#element.hidden = true;
  }

  /** @param {Emptiness} emptiness @param {Entities} entities */
  show(emptiness, entities) {
    this.#element.hidden = false;
    const introduced = emptiness.introduces
      ? [...entities].filter(({ name }) => !emptiness.entity || name === emptiness.entity)
      : [];
    const shown = JSON.stringify([emptiness, introduced]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const { words, mayLookBack } = emptiness;
    const questions = questionsOf(introduced);
    this.#element.replaceChildren(
      make("p", "lead", words),
      ...(mayLookBack ? [this.#button("Look further back", this.#lookBack)] : []),
      ...(questions.length ? [this.#questions(questions)] : []),
      ...(introduced.some(({ about }) => about) ? [this.#introduction(introduced)] : []),
    );
  }

  /** @param {Entity[]} entities */
  #introduction(entities) {
    const items = entities.map((entity) => {
      const { name, displayName, about = "" } = entity;
      const reason = awayReason(entity);
      const away = reason ? make("span", "reason", ` (away: ${reason})`) : "";
      return [
        make(
          "dt",
          "",
          this.#button(displayName, () => this.#ask(name, "")),
        ),
        make("dd", "", about, away),
      ];
    });
    return make("dl", "", ...items.flat());
  }

  /** @param {{ entity: Entity, question: string }[]} questions */
  #questions(questions) {
    const items = questions.map(({ entity, question }) => {
      const button = this.#button(question, () => this.#ask(entity.name, question));
      return make("li", "", button, make("span", "to", ` to ${entity.displayName}`));
    });
    return make("div", "openers", make("p", "", "Ask, for example:"), make("ul", "", ...items));
  }

  /** @param {string} words @param {() => void} clicked */
  #button(words, clicked) {
    const button = make("button", "", words);
    button.setAttribute("type", "button");
    button.addEventListener("click", clicked);
    return button;
  }
}

/** Why a source has nothing to show. @param {Source} source @param {Entities} entities @returns {Emptiness} */
export function emptiness({ view, talk, feed }, entities) {
  const { entity } = view;
  const name = entities.nameOf(entity, "");
  const isOnlyEntity = entity !== "" && !isFiltered({ ...view, entity: "" });
  const words = () => {
    if (talk?.problem) return `This talk cannot be read: ${talk.problem}`;
    if (talk && !talk.loaded) return "Loading the talk…";
    if (talk && feed.size === 0) return "This talk is no longer on the wall.";
    if (isOnlyEntity && feed.complete) return `Nobody has talked with ${name} yet. Start.`;
    if (isOnlyEntity) return `Nobody has talked with ${name} lately.`;
    if (isFiltered(view)) return feed.complete ? "No message fits this view." : "None of the latest messages fits this view.";
    return "Nothing here yet. Say the first thing.";
  };
  const isBare = !talk && (isOnlyEntity || (feed.size === 0 && !isFiltered(view)));
  return { words: words(), entity, introduces: isBare, mayLookBack: !feed.complete && (!talk || talk.loaded) };
}

/** The first questions: all of one entity, or the first ones of several, of those who answer now if anybody does. @param {Entity[]} entities */
function questionsOf(entities) {
  const present = entities.filter((entity) => !awayReason(entity));
  const asked = present.length ? present : entities;
  const rounds = Array.from({ length: QUESTIONS }, (_, round) =>
    asked.flatMap((entity) => (entity.openers?.[round] ? [{ entity, question: entity.openers[round] }] : [])),
  );
  return rounds.flat().slice(0, QUESTIONS);
}

/** @param {string} tag @param {string} className @param {(Node | string)[]} children */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
