/**
 * What a link asks of the posts that are made with it, and who it says the visitor is: shown above the form, so that no link
 * does either unseen. What it asks is put into each post.
 *
 * @import { Entities } from "./entities.js"
 * @import { Asked, Draft, FeedRow, Person, View } from "./types"
 */

import { find } from "./dom.js";
import { isSame } from "./view.js";

/** Bytes of context that go with a post; the server's own bound is a setting. */
const MAX_BYTES = 60_000;

export class AskedLine {
  #line = find("asked", HTMLElement);
  #words = /** @type {HTMLElement} */ (this.#line.firstElementChild);

  /** @param {() => void} forget */
  constructor(forget) {
    find("ask-nothing", HTMLButtonElement).addEventListener("click", forget);
  }

  /**
   * @param {Asked} asked
   * @param {string} self the visitor's name if the link named it, else empty
   * @param {Entities} entities
   * @param {string[]} unknown names of parameters that are not understood
   */
  show(asked, self, entities, unknown) {
    const words = [...(self ? [`you write as ${self}`] : []), ...inWords(asked, entities, unknown)];
    this.#line.hidden = words.length === 0;
    this.#words.textContent = words.join(" · ");
  }
}

/**
 * The draft with what the link asks for. It counts only for the addressee that the link names, if it names one.
 * @param {Draft} draft
 * @param {Asked} asked
 * @param {Entities} entities
 * @param {FeedRow[]} rows those shown
 * @returns {Draft}
 */
export function withAsked(draft, asked, entities, rows) {
  if (draft.answer === false || (asked.entity && asked.entity !== draft.entity)) return draft;
  return {
    ...draft,
    ...(asked.ais && mayBeAlias(draft.entity, entities) ? { ais: asked.ais } : {}),
    ...(asked.priority === null ? {} : { priority: asked.priority }),
    ...(asked.context === null ? {} : { context: contextOf(rows, asked.context) }),
  };
}

/**
 * The view of a link that shows only a person and the alias of an entity: where the entity answers under its own name, that
 * name takes the alias's place, so that its answers are not hidden.
 * @param {View} view
 * @param {Asked} asked
 * @param {Entities} entities
 * @returns {View}
 */
export function withOwnName(view, { entity, ais }, entities) {
  const own = entities.get(entity);
  if (!own || !ais || mayBeAlias(entity, entities)) return view;
  const alias = aliasOf(ais);
  const people = view.people.map((person) => (isSame(person, alias) ? { name: own.displayName, color: own.color } : person));
  return { ...view, people };
}

/** @param {string} ais @returns {Person} */
function aliasOf(ais) {
  const at = ais.lastIndexOf(":");
  return { name: ais.slice(0, at), color: ais.slice(at + 1) };
}

/** The last `most` messages shown, as "name: text", without the oldest ones if they are too long. @param {FeedRow[]} rows @param {number} most */
function contextOf(rows, most) {
  const isSaid = (/** @type {FeedRow} */ { kind, message }) => (kind === "human" || kind === "AI") && !message.hidden;
  const said = rows.filter(isSaid).slice(-most || rows.length);
  const encoder = new TextEncoder();
  /** @type {string[]} */
  const context = [];
  let bytes = 0;
  for (const { message } of said.reverse()) {
    const line = `${message.username}: ${message.text}`;
    bytes += encoder.encode(JSON.stringify(line)).length;
    if (bytes > MAX_BYTES) break;
    context.unshift(line);
  }
  return context;
}

/** @param {Asked} asked @param {Entities} entities @param {string[]} unknown */
function inWords({ entity, ais, priority, context, model }, entities, unknown) {
  const { name } = aliasOf(ais);
  const answerer = entities.nameOf(entity, "the entity");
  return [
    ...(entity && !entities.get(entity) ? [`nobody called ${entity} answers here`] : []),
    ...(ais && mayBeAlias(entity, entities) ? [`${answerer} answers as ${name}`] : []),
    ...(ais && !mayBeAlias(entity, entities) ? [`${answerer} answers under its own name, not as ${name}`] : []),
    ...(priority === null ? [] : [`urgency ${priority}`]),
    ...(context === null ? [] : [`memory: ${context ? `the last ${context} messages shown` : "none"}`]),
    ...(model ? [`the model is this wall's, not ${model}`] : []),
    ...(unknown.length ? [`not understood in the link: ${unknown.join(", ")}`] : []),
  ];
}

/** Without an entity, the one that answers decides. @param {string} entity @param {Entities} entities */
function mayBeAlias(entity, entities) {
  return !entity || Boolean(entities.get(entity)?.alias);
}
