/**
 * Puts the parts of the page together.
 *
 * @import { Changes, ConnectionState, Draft, Entry, Posted } from "./types"
 */

import { Announcer } from "./announcer.js";
import { post } from "./api.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { find } from "./dom.js";
import { Entities } from "./entities.js";
import { Feed, KEPT, MOST } from "./feed.js";
import { Filter } from "./filter.js";
import { batched } from "./frame.js";
import { Gesture } from "./gesture.js";
import { History } from "./history.js";
import { Identity } from "./identity.js";
import { List } from "./list.js";
import { Outbox } from "./outbox.js";
import { Status } from "./status.js";
import { concerns, conversation, noAnswer, timeline } from "./timeline.js";
import { Unread } from "./unread.js";

const TITLE = document.title;
const wall = find("wall", HTMLElement);
const jumpButton = find("jump", HTMLButtonElement);
const empty = find("empty", HTMLElement);

const feed = new Feed();
const entities = new Entities();
const unread = new Unread();
const announcer = new Announcer(find("announcer", HTMLElement));
const draw = batched(show);
const filter = new Filter(find("filter", HTMLElement), conversationChosen);
const list = new List(wall, find("rows", HTMLElement), { edit: takeBack, discard }, looked);
const gesture = new Gesture(wall, looked);
const history = new History(find("older", HTMLElement), feed, olderLoaded);
const outbox = new Outbox({ send: post, newestKnown, changed: outboxChanged, acknowledged, refused });
const identity = new Identity(find("name", HTMLInputElement), find("color", HTMLInputElement));
const composer = new Composer(find("composer", HTMLFormElement), identity, submitted);
const connection = new Connection(feed, feedChanged, connectionChanged);
const status = new Status(find("connection", HTMLElement), announcer, () => connection.wake());
let loaded = false;
let reachable = false;

jumpButton.addEventListener("click", jump);
document.addEventListener("visibilitychange", looked);
addEventListener("focus", () => outbox.flush());
outbox.start();
connection.start();
entities.load(entitiesLoaded);

function show() {
  const rows = conversation(feed.rows(), filter.entity, feed, entities);
  list.show(timeline(rows, feed, entities, unread.firstKey));
}

function isSeen() {
  return list.atNewest && !document.hidden;
}

// -- Events

/** @param {Changes} changes */
function feedChanged({ fresh, failed }) {
  if (!loaded) firstLoaded();
  const concerning = fresh.filter((message) => concerns(message, filter.entity, feed, entities));
  if (!isSeen()) unread.add(concerning.map((message) => feed.keyOf(message)));
  announcer.messages(concerning, ({ replyTo }) => feed.get(replyTo)?.username);
  for (const { botParams } of failed) announcer.say(`Your message got ${noAnswer(botParams, entities)}`);
  feed.trim(isSeen() && !filter.entity ? KEPT : MOST);
  // A hidden tab draws nothing, but shows the count in its title.
  if (document.hidden) showUnread();
  draw();
}

function firstLoaded() {
  loaded = true;
  unread.startWith(feed.rows());
  outbox.flush();
}

/** @param {ConnectionState} state */
function connectionChanged(state) {
  status.show(state);
  const wasReachable = reachable;
  reachable = state.name === "live" || state.name === "polling";
  if (reachable && !wasReachable) outbox.flush();
}

function entitiesLoaded() {
  filter.offer(entities);
  composer.offer(entities);
  draw();
}

function newestKnown() {
  return loaded ? feed.newest() : null;
}

function outboxChanged() {
  feed.setOutbox(outbox.entries);
  draw();
}

/** @param {Entry} entry @param {Posted} posted */
function acknowledged(entry, posted) {
  feed.acknowledge(entry, posted);
  connection.posted();
  draw();
}

/** @param {Entry} entry */
function refused({ reason }) {
  announcer.say(`Your message was not posted: ${reason}`);
}

/** @param {Draft} draft */
function submitted(draft) {
  unread.forgetLine();
  if (draft.entity !== filter.entity) filter.clear();
  outbox.add(draft);
  list.toNewest();
}

/** @param {string} key */
function takeBack(key) {
  const entry = outbox.discard(key);
  if (entry) composer.takeBack(entry);
}

/** @param {string} key */
function discard(key) {
  outbox.discard(key);
  composer.focus();
}

function conversationChosen() {
  gesture.begin();
  composer.address(filter.entity);
  list.toNewest();
  draw();
}

function olderLoaded() {
  show();
  list.growUp();
}

function jump() {
  list.toNewest();
  wall.focus({ preventScroll: true });
}

// -- View

function looked() {
  if (loaded && isSeen()) unread.look(feed.newest());
  if (loaded && list.isNearTop) lookBack();
  history.show();
  showEmpty();
  showUnread();
}

/** A single conversation may stay short however much is loaded, so there only scrolling loads more. */
function lookBack() {
  if (!filter.entity) history.more(MOST);
  else if (gesture.use()) history.more(KEPT);
}

function showEmpty() {
  empty.hidden = !loaded || !list.isEmpty;
  empty.textContent = emptyWords(entities.nameOf(filter.entity, ""));
}

/** @param {string} name */
function emptyWords(name) {
  if (!name) return "Nothing here yet. Say the first thing.";
  if (!feed.complete) return `Nobody has talked with ${name} lately. Scroll up to look further back.`;
  return `Nobody has talked with ${name} yet. Start.`;
}

function showUnread() {
  const { count } = unread;
  jumpButton.hidden = list.atNewest;
  jumpButton.textContent = count ? `${count} new` : "Newest";
  document.title = document.hidden && count ? `(${count}) ${TITLE}` : TITLE;
}
