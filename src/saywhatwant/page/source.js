/**
 * The list that the visitor looks at, the wall's or one talk's, and the rows of it that the view lets through.
 *
 * @import { Entities } from "./entities.js"
 * @import { Feed } from "./feed.js"
 * @import { Draft, Entry, FeedRow, Message, Person, Posted, View } from "./types"
 */

import { older, talkBefore } from "./api.js";
import { History } from "./history.js";
import { Talk } from "./talk.js";
import { authorOf, isSame, shows, WHOLE } from "./view.js";

/** The most persons that a filter offers. */
const PERSONS = 100;

export class Source {
  /** @type {View} */
  view = WHOLE;
  /** The talk that is looked at; null for the wall. @type {Talk | null} */
  talk = null;
  #wall;
  #entities;
  #element;
  #olderLoaded;
  #changed;
  #wallHistory;
  #history;
  /** @type {Entry[]} */
  #outbox = [];

  /**
   * @param {Feed} wall
   * @param {Entities} entities
   * @param {HTMLElement} element above the list, for what is known about older messages
   * @param {() => void} olderLoaded called when older messages are in the list
   * @param {() => void} changed called when a talk was read, or could not be
   */
  constructor(wall, entities, element, olderLoaded, changed) {
    this.#wall = wall;
    this.#entities = entities;
    this.#element = element;
    this.#olderLoaded = olderLoaded;
    this.#changed = changed;
    this.#wallHistory = new History(element, wall, older, olderLoaded, "The wall begins here");
    this.#history = this.#wallHistory;
    wall.follow(
      (events) => this.talk?.take(events),
      () => this.#readAgain(),
    );
  }

  get feed() {
    return this.talk?.feed ?? this.#wall;
  }

  get history() {
    return this.#history;
  }

  /** Looks at what `view` names. @param {View} view */
  look(view) {
    this.view = view;
    if (view.talk === (this.talk?.id ?? "")) return;
    this.talk?.close();
    this.talk = view.talk ? new Talk(view.talk, this.#changed) : null;
    this.talk?.setOutbox(this.#outbox);
    this.#history = this.talk ? this.#historyOf(this.talk) : this.#wallHistory;
  }

  /** The talk that is looked at is of another time. */
  #readAgain() {
    const view = this.view;
    if (!this.talk) return;
    this.look(WHOLE);
    this.look(view);
  }

  /** Whose messages are shown, where no chip shows it: of a talk, or of an entity that does not answer here. */
  title() {
    const { entity } = this.view;
    if (this.talk) return this.talk.title(this.#entities);
    return entity && !this.#entities.get(entity) ? `To and from ${entity}` : "";
  }

  /** The rows that the view lets through, in reading order. @returns {FeedRow[]} */
  rows() {
    return this.feed.rows().filter((row) => shows(row, this.view, this.feed, this.#entities));
  }

  /** Whether the view lets a message of the wall through. @param {Message} message */
  shows(message) {
    const row = { key: message.id, kind: message.messageType, message };
    return shows(row, this.view, this.#wall, this.#entities) && (!this.talk || message.conversation === this.talk.id);
  }

  /** Whether a post will be in the view. @param {Draft} draft */
  willShow(draft) {
    const row = /** @type {FeedRow} */ ({ key: "", kind: "outbox", message: draft });
    return shows(row, this.view, this.#wall, this.#entities) && (!this.talk || this.talk.isJoinedBy(draft));
  }

  /** The row with `key`. @param {string} key */
  find(key) {
    return this.feed.rows().find((row) => row.key === key);
  }

  /** Who has written lately, the last one first. @returns {Person[]} */
  persons() {
    /** @type {Person[]} */
    const persons = [];
    for (const row of this.feed.rows().reverse()) {
      const author = authorOf(row, this.#entities);
      if (persons.length < PERSONS && !persons.some((person) => isSame(person, author))) persons.push(author);
    }
    return persons;
  }

  /** @param {Entry[]} entries */
  setOutbox(entries) {
    this.#outbox = entries;
    this.#wall.setOutbox(entries);
    this.talk?.setOutbox(entries);
  }

  /** @param {Entry} entry @param {Posted} posted */
  acknowledge(entry, posted) {
    this.#wall.acknowledge(entry, posted);
    this.talk?.acknowledge(entry, posted);
  }

  /** @param {Talk} talk */
  #historyOf({ id, feed }) {
    const load = (/** @type {number} */ before, /** @type {number} */ limit) => talkBefore(id, before, limit);
    return new History(this.#element, feed, load, this.#olderLoaded, "The talk begins here");
  }
}
