/**
 * Puts the parts of the page together.
 *
 * @import { Bookmark, Changes, ConnectionState, Draft, Entry, Message, Posted, Spot, View } from "./types"
 */

import { Announcer } from "./announcer.js";
import { post } from "./api.js";
import { AskedLine, withAsked, withOwnName } from "./asked.js";
import { Chips } from "./chips.js";
import { Composer } from "./composer.js";
import { Conditions } from "./conditions.js";
import { Connection } from "./connection.js";
import { find } from "./dom.js";
import { Embed } from "./embed.js";
import { Entities } from "./entities.js";
import { Feed, KEPT, MOST } from "./feed.js";
import { Filters } from "./filters.js";
import { batched } from "./frame.js";
import { Gesture } from "./gesture.js";
import { Identity } from "./identity.js";
import { List } from "./list.js";
import { MessageMenu } from "./message-menu.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { asPanel } from "./panel.js";
import { Place } from "./place.js";
import { Save } from "./save.js";
import { Share } from "./share.js";
import { Source } from "./source.js";
import { Status } from "./status.js";
import { noAnswer, timeline } from "./timeline.js";
import { Unread } from "./unread.js";
import { Version } from "./version.js";
import { isFiltered, isWhole, personOf, WHOLE } from "./view.js";
import { emptiness, Welcome } from "./welcome.js";

const TITLE = document.title;
const wall = find("wall", HTMLElement);
const jumpButton = find("jump", HTMLButtonElement);

const feed = new Feed();
const entities = new Entities();
const unread = new Unread();
const announcer = new Announcer(find("announcer", HTMLElement));
const draw = batched(show);
const source = new Source(feed, entities, find("older", HTMLElement), olderLoaded, talkRead);
const place = new Place(arrived, () => list.spot);
const chips = new Chips(find("filter", HTMLElement), (entity) => go({ ...WHOLE, entity }));
const filters = new Filters(WHOLE, () => source.persons(), filtersChanged);
const conditions = new Conditions(go, (sentence) => announcer.say(sentence));
const welcome = new Welcome(find("empty", HTMLElement), suggested, () => source.history.more(MOST));
const askedLine = new AskedLine(() => {
  identity.goBack();
  forgetAsked();
  composer.focus();
});
const list = new List(wall, find("rows", HTMLElement), { open, menu, edit: takeBack, discard }, looked);
const gesture = new Gesture(wall, looked);
const outbox = new Outbox({ send: post, newestKnown, changed: outboxChanged, acknowledged, refused, held });
const identity = new Identity(find("name", HTMLInputElement), find("color", HTMLInputElement), showAsked);
const composer = new Composer(find("composer", HTMLFormElement), identity, submitted, addressed);
const connection = new Connection(feed, feedChanged, connectionChanged);
const messageMenu = new MessageMenu(source, announcer);
const notices = new Notices(feed, identity, (key) => list.reveal(key));
const version = new Version(isBusy, (sentence) => announcer.say(sentence));
const embed = new Embed(document.querySelector("meta[name=frame-ancestors]")?.getAttribute("content") ?? "");
const status = new Status(find("connection", HTMLElement), announcer, () => connection.wake());
/** Names of parameters in the link that are not understood. @type {string[]} */
let unknown = [];
let loaded = false;
let reachable = false;
/** Whether the entities are known. */
let introduced = false;
/** Whether the server was ever reachable. */
let visited = false;

new Save(source, entities, announcer);
asPanel(find("more", HTMLDetailsElement));
new Share(
  () => place.link,
  (sentence) => announcer.say(sentence),
);
jumpButton.addEventListener("click", jump);
document.addEventListener("visibilitychange", looked);
addEventListener("focus", () => outbox.flush());
// The address is for the view.
find("skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  composer.focus();
});
find("color", HTMLInputElement).addEventListener("change", () => embed.recolored(identity.color));
outbox.start();
place.arrive();
connection.start();
entities.start(entitiesLoaded);

function show() {
  list.show(timeline(source.rows(), source.feed, entities, source.view, unread.firstKey));
}

function isSeen() {
  return list.atNewest && !document.hidden;
}

// -- The view

/** A link was opened, or the browser went back or forth. @param {Bookmark} bookmark @param {Spot | null} spot what was read there */
function arrived(bookmark, spot) {
  unknown = bookmark.unknown;
  if (bookmark.identity) identity.become(bookmark.identity);
  if (bookmark.asked.entity) composer.address(bookmark.asked.entity);
  viewChanged();
  list.returnTo(spot);
}

/** @param {View} view */
function go(view) {
  place.go(view);
  viewChanged();
}

/** @param {View} view @param {boolean} typed */
function filtersChanged(view, typed) {
  if (typed) place.amend(view);
  else place.go(view);
  viewChanged();
}

function viewChanged() {
  showView();
  if (source.view.entity) composer.address(source.view.entity);
  gesture.begin();
  list.toNewest();
}

function showView() {
  const view = withOwnName(place.view, place.asked, entities);
  source.look(view);
  chips.show(view);
  filters.show(view);
  showAsked();
  draw();
}

/** Opens the talk of a message; if it has none, all that its author wrote, or all to its addressee. @param {string} key @param {"author" | "addressee"} whose */
function open(key, whose) {
  const row = source.find(key);
  if (!row || !("messageType" in row.message)) return;
  const { conversation, botParams } = row.message;
  filters.close();
  if (conversation && conversation !== source.view.talk) go({ ...WHOLE, talk: conversation });
  else if (whose === "author") go({ ...WHOLE, people: [personOf(row.message)] });
  else if (botParams.entity) go({ ...WHOLE, entity: botParams.entity });
}

function talkRead() {
  if (source.talk?.entity) composer.address(source.talk.entity);
  draw();
}

/** @param {string} key @param {HTMLButtonElement} button */
function menu(key, button) {
  messageMenu.open(key, button);
}

function forgetAsked() {
  unknown = [];
  place.askNothing();
  showAsked();
}

function showAsked() {
  askedLine.show(place.asked, identity.isFromLink ? identity.username : "", entities, unknown);
}

/** @param {string} entity */
function addressed(entity) {
  if (place.asked.entity && place.asked.entity !== entity) forgetAsked();
}

/** @param {string} entity @param {string} question */
function suggested(entity, question) {
  composer.suggest(entity, question);
}

// -- Events

/** @param {Changes} changes */
function feedChanged({ fresh, failed, hidden }) {
  if (!loaded) firstLoaded();
  outbox.settle((id) => feed.get(id) !== undefined);
  const concerning = fresh.filter((message) => source.shows(message));
  if (!isSeen()) unread.add(concerning.map((message) => feed.keyOf(message)));
  if (hidden.length) takeBackWhatWasHidden(hidden);
  announcer.messages(concerning, ({ replyTo }) => feed.get(replyTo)?.username);
  notices.tell(fresh, failed);
  for (const { botParams } of failed) announcer.say(`Your message got ${noAnswer(botParams, entities)}`);
  feed.trim(isSeen() && isWhole(source.view) ? KEPT : MOST);
  // A hidden tab draws nothing, but shows the count in its title.
  if (document.hidden) showUnread();
  draw();
}

/** @param {Message[]} hidden */
function takeBackWhatWasHidden(hidden) {
  announcer.forget();
  notices.withdraw(hidden);
  if (hidden.some(({ id }) => feed.isOwn(id))) announcer.say("An operator has hidden your message");
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
  if (!reachable || wasReachable) return;
  outbox.flush();
  if (visited) entities.refresh();
  visited = true;
}

/** Whether a reload would lose something: words, a post, or the reader's place. */
function isBusy() {
  return !composer.isEmpty || !outbox.isKept || !list.atNewest;
}

function entitiesLoaded() {
  version.see(entities.page);
  chips.offer(entities);
  composer.offer(entities);
  const addressee = place.asked.entity || source.view.entity || source.talk?.entity;
  if (addressee && !introduced) composer.address(addressee);
  introduced = true;
  showView();
}

function newestKnown() {
  return loaded ? feed.newest() : null;
}

function outboxChanged() {
  source.setOutbox(outbox.entries);
  draw();
}

/** @param {Entry} entry @param {Posted} posted */
function acknowledged(entry, posted) {
  source.acknowledge(entry, posted);
  connection.posted();
  embed.sent(entry, posted);
  draw();
}

/** @param {Entry} entry */
function refused({ reason }) {
  announcer.say(`Your message was not posted: ${reason}`);
}

function held() {
  announcer.say("Your message waits for review: it appears when an operator approves it.");
}

/** @param {Draft} draft */
function submitted(draft) {
  unread.forgetLine();
  const entry = withAsked(draft, place.asked, entities, source.rows());
  if (!source.willShow(entry)) go(WHOLE);
  outbox.add(entry);
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

function olderLoaded() {
  show();
  list.growUp();
}

function jump() {
  list.toNewest();
  wall.focus({ preventScroll: true });
}

// -- What is seen

function looked() {
  if (loaded && isSeen()) unread.look(feed.newest());
  if (loaded && list.isNearTop) lookBack();
  conditions.show(source.view, source.title());
  source.history.show();
  showEmpty();
  showUnread();
}

/** A filtered list may stay short however much is loaded, so there only scrolling loads more. */
function lookBack() {
  if (!isFiltered(source.view)) source.history.more(MOST);
  else if (gesture.use()) source.history.more(KEPT);
}

function showEmpty() {
  if (loaded && list.isEmpty) welcome.show(emptiness(source, entities), entities);
  else welcome.hide();
}

function showUnread() {
  const { count } = unread;
  jumpButton.hidden = list.atNewest;
  jumpButton.textContent = count ? `${count} new` : "Newest";
  document.title = document.hidden && count ? `(${count}) ${TITLE}` : TITLE;
}
