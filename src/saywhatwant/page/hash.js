/**
 * The view in the address, behind "#": parameters joined with "&", lists with "+", values URI-encoded. The grammar and most
 * names are those of the original page, so that its links work here; `talk` and `with` are new.
 *
 *   talk=HEX             one talk
 *   with=zen             everything to and from this entity
 *   u=Ada:210120040+…    only these people
 *   mt=human|AI|ALL      only people, only AI, or both
 *   word=a+b  -word=c    with one of these words, without any of those
 *   filteractive=false   people and words are listed, but not applied
 *   entity, ais, priority, nom, model   what posts ask for
 *   uis=Ada:210120040    who the visitor is; read, never written
 *
 * @import { Asked, Bookmark, Person, View } from "./types"
 */

import { randomColor } from "./color.js";
import { NOTHING_ASKED, WHOLE } from "./view.js";

/** The color that a person without one has in a link of the original. */
const DEFAULT_COLOR = "096165250";
const COLOR = /^([01]\d\d|2[0-4]\d|25[0-5]){3}(-[A-Za-z0-9]{10})?$/;
const ENTITY = /^[a-z0-9-]{1,64}$/;
const TALK = /^[0-9a-f]{16}$/;
const MAX_NAME = 32;
const MAX_WORD = 100;
/** The longest list that is read. */
const MOST = 50;
const MAX_PRIORITY = 99;
/** The server takes no more strings as context. */
const MAX_CONTEXT = 200;
const KNOWN = new Set("talk with u mt word -word filteractive entity ais priority nom model uis".split(" "));

/**
 * What `hash` asks for. Whatever is not understood is listed by its name in `unknown`.
 * @param {string} hash with or without "#"
 * @returns {Bookmark}
 */
export function read(hash) {
  const given = parametersOf(hash);
  /** @type {string[]} */
  const unknown = [...given.keys()].filter((name) => !KNOWN.has(name));
  /** The value of a parameter if it has the right form. @param {string} name @param {RegExp} form */
  const checked = (name, form) => {
    const value = decoded(given.get(name) ?? "");
    if (form.test(value)) return value;
    if (value) unknown.push(name);
    return "";
  };
  const kind = checked("mt", /^(human|AI|ALL)$/i).toLowerCase();
  /** @type {View} */
  const view = {
    ...WHOLE,
    talk: checked("talk", TALK),
    entity: checked("with", ENTITY),
    people: listOf(given.get("u")).map(personOf).filter(isPerson),
    kind: kind === "human" ? "human" : kind === "ai" ? "AI" : "",
    words: wordsOf(given.get("word")),
    without: wordsOf(given.get("-word")),
    paused: checked("filteractive", /^(true|false)$/i).toLowerCase() === "false",
  };
  /** @type {Asked} */
  const asked = {
    ...NOTHING_ASKED,
    entity: checked("entity", ENTITY),
    ais: aliasOf(given.get("ais")),
    priority: numberOf(checked("priority", /^\d{1,2}$/), MAX_PRIORITY),
    context: contextOf(checked("nom", /^(\d{1,9}|ALL)$/i)),
    model: decoded(given.get("model") ?? "").slice(0, MAX_WORD),
  };
  return { view, asked, identity: identityOf(given.get("uis")), unknown: [...new Set(unknown)] };
}

/** The hash for a view and what posts ask for, with "#"; empty for the whole wall. @param {View} view @param {Asked} asked */
export function write(view, asked) {
  const { talk, entity, people, kind, words, without, paused } = view;
  /** @type {[string, string][]} */
  const parts = [
    ["talk", talk],
    ["with", entity],
    ["u", people.map(({ name, color }) => `${encoded(name)}:${color}`).join("+")],
    ["mt", kind],
    ["word", words.map(encoded).join("+")],
    ["-word", without.map(encoded).join("+")],
    ["filteractive", paused ? "false" : ""],
    ["entity", asked.entity],
    ["ais", asked.ais && writtenAlias(asked.ais)],
    ["priority", asked.priority === null ? "" : String(asked.priority)],
    ["nom", asked.context === null ? "" : String(asked.context)],
    ["model", encoded(asked.model)],
  ];
  const written = parts.filter(([, value]) => value).map(([name, value]) => `${name}=${value}`);
  return written.length ? `#${written.join("&")}` : "";
}

/** The raw values by their names; the last one counts. @param {string} hash @returns {Map<string, string>} */
function parametersOf(hash) {
  const parts = hash.replace(/^#/, "").split("&");
  const pairs = parts.filter(Boolean).map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? [decoded(part), ""] : [decoded(part.slice(0, at)), part.slice(at + 1)];
  });
  return new Map(/** @type {[string, string][]} */ (pairs));
}

/** The raw items of a list. @param {string} [raw] */
function listOf(raw = "") {
  return raw.split("+").filter(Boolean).slice(0, MOST);
}

/** @param {string} [raw] */
function wordsOf(raw) {
  const words = listOf(raw).map((word) => cut(decoded(word), MAX_WORD));
  return [...new Set(words.filter(Boolean))];
}

/** "Name:color"; a color is random, or the original's default, if it is none. @param {string} raw @returns {Person} */
function personOf(raw) {
  const at = raw.lastIndexOf(":");
  const name = cut(decoded(at < 0 ? raw : raw.slice(0, at)), MAX_NAME);
  const color = at < 0 ? "" : decoded(raw.slice(at + 1));
  if (COLOR.test(color)) return { name, color };
  return { name, color: color === "random" ? randomColor() : DEFAULT_COLOR };
}

/** @param {Person} person */
function isPerson({ name }) {
  return name !== "";
}

/** @param {string} [raw] */
function identityOf(raw) {
  const person = raw ? personOf(raw) : null;
  return person && isPerson(person) ? person : null;
}

/** "Name:color" as the server takes it, whose color may be the word random. @param {string} [raw] */
function aliasOf(raw) {
  const person = identityOf(raw);
  if (!raw || !person || person.name.includes(":")) return "";
  return `${person.name}:${raw.endsWith(":random") ? "random" : person.color}`;
}

/** @param {string} alias */
function writtenAlias(alias) {
  const at = alias.lastIndexOf(":");
  return `${encoded(alias.slice(0, at))}${alias.slice(at)}`;
}

/** @param {string} value @param {number} most */
function numberOf(value, most) {
  return value === "" ? null : Math.min(Number(value), most);
}

/** @param {string} value */
function contextOf(value) {
  return /^all$/i.test(value) ? MAX_CONTEXT : numberOf(value, MAX_CONTEXT);
}

/** @param {string} text */
function encoded(text) {
  // Half a character cannot be encoded.
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\ufffd"));
}

/** @param {string} raw */
function decoded(raw) {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

/** The first characters, trimmed. @param {string} text @param {number} most */
function cut(text, most) {
  return [...text.trim()].slice(0, most).join("").trim();
}
