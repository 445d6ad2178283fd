/** Types of the dashboard's modules. Only the type checker reads this file; it is never served. */

export interface Depth {
  pending: number;
  processing: number;
  complete: number;
  failed: number;
}

export interface Circuit {
  workerId: string;
  provider: string;
  entities: string[];
  openUntil: number;
  reason: string;
}

export interface Stats {
  seq: number;
  messages: number;
  backlog: number;
  backlogLimit: number;
  backingOff: number;
  depth: Depth;
  /** The empty name is for messages that name no entity. */
  entities: Record<string, Depth>;
  waitedFor: string[];
  failures: number;
  leaseExpiries: number;
  circuits?: Circuit[];
}

/** An attempt that ended without an answer. */
export interface EndedAttempt {
  number: number;
  messageId: string;
  entity: string | null;
  attempt: number;
  workerId: string | null;
  claimedAt: number | null;
  endedAt: number;
  /** Null if the bot gave the message back. */
  reason: string | null;
}

export interface Bot {
  workerId: string;
  version: string | null;
  /** Null answers for all. */
  entities: string[] | null;
  personas: Record<string, string>;
  lastSeen: number;
  here: boolean;
  conflicts: { entity: string; workerId: string }[];
}

/** What a bot does for a message that it holds. */
export interface AtWork {
  id: string;
  state: "waking" | "thinking" | "writing";
  characters: number;
  since: number;
  entity: string | null;
}

/** What the server sends once a second. Counters only grow; they begin again when `since` or `countingSince` changes. */
export interface Figures {
  type: "figures";
  at: number;
  since: number;
  countingSince: number;
  posts: number;
  answers: number;
  commits: number;
  commitCalls: number;
  rowsWritten: number;
  requests: number;
  errors: number;
  readers: number;
  botSockets: number;
  waitingClaims: number;
  overview: { stats: Stats; oldest: Record<string, number>; ended: number; latest: EndedAttempt[] };
  bots: Bot[];
  atWork: AtWork[];
  latency?: { p50: number; p99: number };
  dollars?: number;
}

export interface Entity {
  name: string;
  displayName: string;
  color: string;
}

/** A message as operators see it. */
export interface Message {
  id: string;
  timestamp: number;
  text: string;
  username: string;
  color: string;
  messageType: "human" | "AI";
  detail?: string;
  /** An operator has hidden it: its text is empty here. */
  hidden?: true;
  /** Its text is gone for good. */
  erased?: true;
  botParams: {
    status: "pending" | "processing" | "complete" | "failed";
    priority: number;
    entity: string | null;
    assignedEntity?: string;
    claimedBy: string | null;
    claimedAt: number | null;
    completedAt: number | null;
    attempt: number;
    leaseExpiresAt: number | null;
    retryAt: number | null;
    expiresAt: number | null;
    error: string | null;
  };
}

export interface Story {
  message: Message;
  attempts: EndedAttempt[];
  answer?: Message;
}

export interface Session {
  name: string;
  scopes: string[];
  mayChange: boolean;
}

/** A list of messages. */
export type State = "held" | "pending" | "waiting" | "failed";

/** What an operator can do with messages. */
export type Action = "retry" | "fail" | "discard";

/** A post that waits for review. */
export interface HeldPost {
  id: string;
  at: number;
  /** What it is held for. */
  phrase: string;
  text: string;
  username: string;
  color: string;
  entity: string | null;
}

/** What visitors say of a message. */
export interface Report {
  messageId: string;
  firstAt: number;
  lastAt: number;
  count: number;
  reasons: string[];
  /** Null if the wall has removed it. */
  message: Message | null;
}

/** A ban of a person, or of addresses. */
export interface Ban {
  id: string;
  username?: string;
  color?: string;
  colorTail?: string;
  address?: string;
  until: number;
  at: number;
  by: string;
  reason?: string;
}

export interface Filter {
  phrase: string;
  action: "refuse" | "hold";
  at: number;
  by: string;
  reason?: string;
}

/** The rules in force, and what there is to look at. */
export interface Moderated {
  bans: Ban[];
  filters: Filter[];
  slowSeconds: number;
  review: HeldPost[];
  reviewCount: number;
  reports: Report[];
  reportCount: number;
}

/** Something that an operator has done. */
export interface AuditEntry {
  number: number;
  at: number;
  by: string;
  action: string;
  about: string;
  reason: string;
}

/** A moment of the plots, or a time of `ms` milliseconds with `at` in its middle. */
export interface Sample {
  at: number;
  ms: number;
  /** Nothing is known of the time before it. */
  begins: boolean;
  /** By the keys of lines; null where it is not known. */
  values: Record<string, number | null>;
}

/** The figures of a minute or an hour, or of several. */
export interface Point {
  at: number;
  since: number | null;
  posts: number;
  answers: number;
  failures: number;
  leaseExpiries: number;
  /** In seconds. */
  p50: number | null;
  p99: number | null;
  requests: number;
  errors: number;
  commits: number;
  commitCalls: number;
  rowsWritten: number;
  pending: number;
  held: number;
  readers: number;
  bots: number;
  dollars: number | null;
}

export type Step = "minute" | "hour";

/** How much the plots show, and of how many steps each point is. */
export interface Span {
  name: string;
  words: string;
  ms: number;
  step: Step;
  every: number;
  stepMs: number;
  /** Rates are told in this unit. */
  unit: string;
  unitMs: number;
}

/** What of the time a plot shows, and how it tells it. */
export interface View {
  from: number;
  to: number;
  unit: string;
  timeOf: (at: number) => string;
  /** Whether the time before the first sample is shown as a gap. */
  showsStart: boolean;
}

/** One line of a plot. */
export interface Line {
  key: string;
  name: string;
}

export interface PlotKind {
  title: string;
  lines: Line[];
  /** How a value reads. */
  shown: (value: number, unit: string) => string;
  hint?: string;
}

/** Something that needs attention; the most urgent ones come first. */
export interface Notice {
  key: string;
  urgent: boolean;
  words: string;
  /** The id of the tab behind which it is dealt with. */
  tab?: string;
}
