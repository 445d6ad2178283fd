/**
 * The dashboard: signs in, follows the figures, and shows them.
 *
 * @import { Entity, Figures } from "./types"
 * @import { LiveState } from "./live.js"
 */

import { find } from "../dom.js";
import { noticesOf, show as showNotices, toModerate } from "./attention.js";
import { entities as readEntities } from "./calls.js";
import { Live } from "./live.js";
import { Moderation } from "./moderation.js";
import { Plots } from "./plots.js";
import { SignIn } from "./sign-in.js";
import { StoryDialog } from "./story.js";
import { showBots, showEntities } from "./tables.js";
import { Work } from "./work.js";

const ENTITIES_MS = 30_000;
/** @type {Record<LiveState, string>} */
const STATES = {
  connecting: "Connecting",
  live: "Live",
  polling: "Every 2 s",
  offline: "The server does not answer",
  hidden: "Paused",
};

/** @type {Entity[]} */
let entities = [];
/** @param {string} name */
const named = (name) => entities.find((entity) => entity.name === name)?.displayName ?? name;

const connection = find("connection", HTMLElement);
const plots = new Plots(find("plots", HTMLElement), find("spans", HTMLElement));
const signIn = new SignIn(() => {
  if (signIn.current) live.start();
  else live.stop();
});
const work = new Work(
  () => signIn.mayChange,
  (messageId) => story.open(messageId),
  named,
);
const story = new StoryDialog(
  () => signIn.mayChange,
  (action, messageId) => work.act(action, messageId),
  named,
);
const moderation = new Moderation(
  () => signIn.mayChange,
  (messageId) => story.open(messageId),
  named,
);
const live = new Live(showFigures, showState, () => signIn.look());

find("find", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  story.open(find("message-id", HTMLInputElement).value.trim());
});

/** @param {Figures} figures */
function showFigures(figures) {
  plots.show(figures);
  showNotices(find("notices", HTMLElement), find("all-well", HTMLElement), [
    ...noticesOf(figures, named),
    ...toModerate(moderation.current),
  ]);
  showEntities(find("entities", HTMLTableElement), figures, entities);
  showBots(find("bots", HTMLTableElement), figures, named);
  find("no-bots", HTMLElement).hidden = figures.bots.length > 0;
  work.show(figures);
  moderation.follow();
}

/** @param {LiveState} state */
function showState(state) {
  connection.dataset.state = state;
  if (connection.textContent !== STATES[state]) connection.textContent = STATES[state];
}

async function readNames() {
  entities = await readEntities().then(
    (found) => found.entities,
    () => entities,
  );
}

readNames();
setInterval(() => document.hidden || readNames(), ENTITIES_MS);
signIn.look();
