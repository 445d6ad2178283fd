/** Types of the page's modules. Only the type checker reads this file; it is never served. */

/** `removed` exists only in the page: the server finished and removed the message before the page saw how it ended. */
export type Status = "pending" | "processing" | "complete" | "failed" | "removed";

export interface BotParams {
  status: Status;
  entity: string | null;
  attempt: number;
  claimedAt?: number | null;
  retryAt?: number | null;
  error?: string | null;
  answeredBy?: string | null;
  /** False if the post asked for no answer. */
  answer?: false;
  /** "Name:color": what the post asks to be answered as. */
  ais?: string;
  /** The entity that answers a message which names none. */
  assignedEntity?: string;
  sessionId?: string;
}

/** A message of the server, with the fields that the page uses. */
export interface Message {
  id: string;
  timestamp: number;
  text: string;
  username: string;
  color: string;
  messageType: "human" | "AI";
  replyTo: string | null;
  /** The commit that last changed it. */
  seq: number;
  botParams: BotParams;
  /** The talk that it belongs to. */
  conversation?: string;
  /** Tells apart people of one name and color. */
  colorTail?: string;
  /** An operator has hidden it: its text is empty. */
  hidden?: true;
  /** Its text is gone for good. */
  erased?: true;
}

/** The server's answer to a post. */
export interface Posted {
  id: string;
  timestamp: number;
  /** `held`: it waits for an operator's review, and its message will have this id. */
  status: "success" | "held";
}

/** What a bot does for a message that it holds. */
export type ProgressState = "waking" | "thinking" | "writing";

export type ServerEvent =
  | { type: "message"; message: Message }
  | { type: "progress"; id: string; attempt: number; text?: string; offset?: number; state?: ProgressState };

/**
 * One frame of the WebSocket. `seq` is a token to send back; `more` marks all but the last frame of what was missed; `reset`
 * says that our token was of another time, as when the wall was restored from a backup: what we have is not what is there.
 */
export interface Frame {
  seq: number | string;
  events: ServerEvent[];
  more?: boolean;
  reset?: boolean;
}

export interface Entity {
  name: string;
  displayName: string;
  color: string;
  /** What it is, in a line. */
  about?: string;
  /** First questions. */
  openers?: string[];
  /** False if nobody answers for it now; `reason` has the words. */
  served?: boolean;
  reason?: string | null;
  /** Whether a post may choose the name it answers under. */
  alias?: boolean;
}

/** A name and a color: nine digits, perhaps with "-" and a tail. */
export interface Person {
  name: string;
  color: string;
}

/** The part of the wall that is shown; see view.js. */
export interface View {
  /** Only this talk. */
  talk: string;
  /** Only what was written to or by this entity. */
  entity: string;
  /** Only what these wrote. */
  people: Person[];
  kind: "" | "human" | "AI";
  /** With one of these words. */
  words: string[];
  /** With none of these words. */
  without: string[];
  /** Whether people and words do not count for now. */
  paused: boolean;
}

/** What a link asks of the posts that are made with it. */
export interface Asked {
  entity: string;
  /** "Name:color". */
  ais: string;
  priority: number | null;
  /** How many of the messages shown go with a post, as its memory. */
  context: number | null;
  model: string;
}

/** A row, and how far below the top of the wall it begins, in pixels. */
export interface Spot {
  key: string;
  top: number;
}

/** All that the address may hold. */
export interface Bookmark {
  view: View;
  asked: Asked;
  identity: Person | null;
  /** Names of parameters that are not understood. */
  unknown: string[];
}

export interface WallSummary {
  entities: Entity[];
  maxText?: number;
  /** The version of the page that the server has. */
  page?: string;
}

/** A message before it is posted; `entity` is empty if it names none. */
export interface Draft {
  text: string;
  username: string;
  color: string;
  entity: string;
  /** False if no answer is wanted. */
  answer?: boolean;
  ais?: string;
  priority?: number;
  context?: string[];
}

/** A post on its way, as stored in localStorage. */
export interface Entry extends Draft {
  /** Its Idempotency-Key. */
  key: string;
  createdAt: number;
  /** The timestamp of the newest message known when it was first sent. */
  sentAfter: number | null;
  attempt: number;
  state: "queued" | "sending" | "refused" | "held";
  /** The id that its message will have, if it is held. */
  heldAs?: string;
  /** Why the last attempt failed. */
  reason: string;
}

/** The changes that a batch of events made to the feed. */
export interface Changes {
  /** New messages, without our own. */
  fresh: Message[];
  /** Our own messages that have failed now. */
  failed: Message[];
  /** Messages whose text was known, and is hidden now. */
  hidden: Message[];
  /** Whether any message has changed. */
  changed: boolean;
}

export type FeedRow =
  | { key: string; kind: "human" | "AI"; message: Message }
  | { key: string; kind: "outbox"; message: Entry }
  | { key: string; kind: "provisional"; message: Message; text: string; state: ProgressState };

/** The content of one row of the list; flat, so that two can be compared. */
export interface Model {
  key: string;
  kind: "human" | "AI" | "outbox" | "provisional" | "day" | "unread";
  timestamp: number;
  id?: string;
  status?: string;
  text?: string;
  name?: string;
  color?: string;
  /** The name of its addressee. */
  to?: string;
  /** What a click on the author's name shows. */
  opens?: "talk" | "person";
  /** What the author does while there is no text. */
  doing?: string;
  /** The row that it answers. */
  originalKey?: string;
  quotedName?: string;
  quotedText?: string;
  /** Whether it is directly below the row that it answers. */
  follows?: boolean;
  /** A word in the header, such as "waiting". */
  state?: string;
  /** A sentence below the text. */
  note?: string;
  tone?: "bad" | "calm";
  /** Whether the note offers to edit and to discard. */
  editable?: boolean;
  /** Whether it offers to discard only. */
  discardable?: boolean;
}

/** The state of the connection that the page shows. */
export interface ConnectionState {
  name: "connecting" | "live" | "polling" | "offline";
  everyMs?: number;
  retryAt?: number;
}
