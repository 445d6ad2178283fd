/** Shapes that the page's modules share. Only the type checker reads this file; it is never served. */

/** `removed` is the page's own: the server finished the message, and removed it before this page saw how. */
export type Status = "pending" | "processing" | "complete" | "failed" | "removed";

export interface BotParams {
  status: Status;
  entity: string | null;
  attempt: number;
  claimedAt?: number | null;
  retryAt?: number | null;
  error?: string | null;
  answeredBy?: string | null;
}

/** A message as the server sends it: the fields that the page uses. */
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
}

/** What the server answers to a post. */
export interface Posted {
  id: string;
  timestamp: number;
}

export type ServerEvent =
  | { type: "message"; message: Message }
  | { type: "progress"; id: string; attempt: number; text: string; offset?: number }
  | { type: "leaseEnded"; id: string };

/** One frame of the WebSocket. `more` marks all but the last frame of what was missed. */
export interface Frame {
  seq: number;
  events: ServerEvent[];
  more?: boolean;
}

export interface Entity {
  name: string;
  displayName: string;
  color: string;
}

export interface WallSummary {
  entities: Entity[];
  maxText?: number;
}

/** What somebody wrote, before it is posted; `entity` is empty where nobody is addressed. */
export interface Draft {
  text: string;
  username: string;
  color: string;
  entity: string;
}

/** A post on its way, as it is kept in localStorage. */
export interface Entry extends Draft {
  /** Its Idempotency-Key. */
  key: string;
  createdAt: number;
  /** The timestamp of the newest message known when it was first sent. */
  sentAfter: number | null;
  attempt: number;
  state: "queued" | "sending" | "refused";
  /** Why the last attempt failed. */
  reason: string;
}

/** What a batch of events changed in the feed. */
export interface Changes {
  /** Messages that were not known, our own left out. */
  fresh: Message[];
  /** Our own messages that have failed now. */
  failed: Message[];
  /** Whether any message is different. */
  changed: boolean;
}

export type FeedRow =
  | { key: string; kind: "human" | "AI"; message: Message }
  | { key: string; kind: "outbox"; message: Entry }
  | { key: string; kind: "provisional"; message: Message; text: string };

/** What one row of the list shows; flat, so that two can be compared. */
export interface Model {
  key: string;
  kind: "human" | "AI" | "outbox" | "provisional" | "day" | "unread";
  timestamp: number;
  id?: string;
  status?: string;
  text?: string;
  name?: string;
  color?: string;
  /** Whom it is addressed to. */
  to?: string;
  /** The row that it answers. */
  originalKey?: string;
  quotedName?: string;
  quotedText?: string;
  /** Whether it stands directly below the row that it answers. */
  follows?: boolean;
  /** A word in the header, as "waiting". */
  state?: string;
  /** A sentence below the text. */
  note?: string;
  tone?: "bad" | "calm";
  /** Whether the note offers to edit and to discard. */
  editable?: boolean;
}

/** How the page is connected, as it is shown. */
export interface ConnectionState {
  name: "connecting" | "live" | "polling" | "offline";
  everyMs?: number;
  retryAt?: number;
}
