/** Puts the parts of the page together. */

import { Announcer } from "./announcer.js";
import { post } from "./api.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
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
import { concerns, conversation, failure, timeline } from "./timeline.js";
import { Unread } from "./unread.js";

const TITLE = document.title;
const find = (id) => document.getElementById(id);

const feed = new Feed();
const entities = new Entities();
const unread = new Unread();
const announcer = new Announcer(find("announcer"));
const draw = batched(show);
const filter = new Filter(find("filter"), chooseConversation);
const list = new List(find("wall"), find("rows"), { edit: takeBack, discard }, looked);
const gesture = new Gesture(find("wall"), looked);
const history = new History(find("older"), feed, showOlder);
const outbox = new Outbox({ send: post, newestKnown, changed: outboxChanged, acknowledged, refused });
const composer = new Composer(find("composer"), new Identity(find("name"), find("color")), submit);
const connection = new Connection(feed, feedChanged, connectionChanged);
const status = new Status(find("connection"), announcer, () => connection.wake());
let loaded = false;
let reachable = false;

find("jump").addEventListener("click", jump);
document.addEventListener("visibilitychange", looked);
addEventListener("focus", () => outbox.flush());
outbox.start();
connection.start();
entities.load(entitiesKnown);

function show() {
  const rows = conversation(feed.rows(), filter.entity, feed, entities);
  list.show(timeline(rows, feed, entities, unread.firstKey));
}

function isSeen() {
  return list.atNewest && !document.hidden;
}

// -- What happens

function feedChanged({ fresh, failed }) {
  if (!loaded) firstLoaded();
  const concerning = fresh.filter((message) => concerns(message, filter.entity, feed, entities));
  if (!isSeen()) unread.add(concerning.map((message) => feed.keyOf(message)));
  announcer.messages(concerning, ({ replyTo }) => feed.get(replyTo)?.username);
  for (const { botParams } of failed) announcer.say(`Your message stays without an answer. ${failure(botParams, entities)}`);
  feed.trim(isSeen() && !filter.entity ? KEPT : MOST);
  // Nothing is drawn in a hidden tab, but its title counts.
  if (document.hidden) showUnread();
  draw();
}

function firstLoaded() {
  loaded = true;
  unread.startWith(feed.rows());
  outbox.flush();
}

function connectionChanged(state) {
  status.show(state);
  const wasReachable = reachable;
  reachable = state.name === "live" || state.name === "polling";
  if (reachable && !wasReachable) outbox.flush();
}

function entitiesKnown() {
  filter.offer(entities);
  composer.offer(entities, entities.maxText);
  draw();
}

function newestKnown() {
  return loaded ? feed.newest() : null;
}

function outboxChanged() {
  feed.setOutbox(outbox.entries);
  draw();
}

function acknowledged(entry, answer) {
  feed.acknowledge(entry, answer);
  connection.expect();
  draw();
}

function refused({ reason }) {
  announcer.say(`Your message was not posted: ${reason}`);
}

function submit(message) {
  unread.forgetLine();
  if (message.entity !== filter.entity) filter.clear();
  outbox.add(message);
  list.toNewest();
}

function takeBack(key) {
  const entry = outbox.get(key);
  outbox.discard(key);
  composer.takeBack(entry);
}

function discard(key) {
  outbox.discard(key);
  composer.focus();
}

function chooseConversation() {
  gesture.begin();
  composer.address(filter.entity);
  list.toNewest();
  draw();
}

function showOlder() {
  show();
  list.growUp();
}

function jump() {
  list.toNewest();
  find("wall").focus({ preventScroll: true });
}

// -- What is seen

function looked() {
  if (loaded && isSeen()) unread.look(feed.newest());
  if (loaded && list.isNearTop) lookBack();
  history.show();
  showEmpty();
  showUnread();
}

/** One conversation may be short however much is loaded: there, nothing is loaded that nobody has asked for. */
function lookBack() {
  if (!filter.entity) history.more(MOST);
  else if (gesture.use()) history.more(KEPT);
}

function showEmpty() {
  find("empty").hidden = !loaded || !list.isEmpty;
  find("empty").textContent = emptyWords(entities.nameOf(filter.entity, ""));
}

function emptyWords(who) {
  if (!who) return "The wall is bare. Say the first thing.";
  if (!feed.complete) return `Nobody has spoken with ${who} lately. Scroll up to look further back.`;
  return `Nobody has spoken with ${who} yet. Begin.`;
}

function showUnread() {
  const button = find("jump");
  const { count } = unread;
  button.hidden = list.atNewest;
  button.textContent = count ? `${count} new` : "Newest";
  document.title = document.hidden && count ? `(${count}) ${TITLE}` : TITLE;
}
