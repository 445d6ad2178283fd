// A row for each message in the object's own SQLite. Statements without an await between them are one transaction.

import { checkHeld, later, RETENTION, Wall } from "./wall.js";

export { default } from "./wall.js";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    timestamp INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    username TEXT NOT NULL,
    color TEXT NOT NULL,
    messageType TEXT NOT NULL,
    replyTo TEXT,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    entity TEXT,
    claimedBy TEXT,
    claimedAt INTEGER,
    completedAt INTEGER,
    attempt INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS pending ON messages (priority, timestamp) WHERE status = 'pending';
  CREATE TABLE IF NOT EXISTS writes (seq INTEGER NOT NULL);
  INSERT INTO writes SELECT 0 WHERE NOT EXISTS (SELECT * FROM writes);
`;

const COLUMNS = [
  "timestamp",
  "id",
  "text",
  "username",
  "color",
  "messageType",
  "replyTo",
  "status",
  "priority",
  "entity",
  "claimedBy",
  "claimedAt",
  "completedAt",
  "attempt",
];
const INSERT = `INSERT INTO messages (${COLUMNS}) VALUES (${COLUMNS.map(() => "?")})`;

export class RowsWall extends Wall {
  #sql;
  #newest;
  #count;

  constructor(ctx, env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(SCHEMA);
    const { newest, count } = this.#sql.exec("SELECT max(timestamp) AS newest, count(*) AS count FROM messages").one();
    this.#newest = newest ?? 0;
    this.#count = count;
  }

  post(message) {
    this.#add(message);
    this.#wrote();
    return { id: message.id, timestamp: message.timestamp, status: "success" };
  }

  list(since, limit) {
    const rows = this.#sql.exec("SELECT * FROM messages WHERE timestamp > ? ORDER BY timestamp DESC LIMIT ?", since, limit);
    return Array.from(rows, fromRow);
  }

  claim(workerId, limit) {
    const claimed = this.#sql
      .exec(
        `UPDATE messages SET status = 'processing', claimedBy = ?, claimedAt = ?, attempt = attempt + 1
         WHERE timestamp IN (SELECT timestamp FROM messages WHERE status = 'pending' ORDER BY priority, timestamp LIMIT ?)
         RETURNING *`,
        workerId,
        Date.now(),
        limit,
      )
      .toArray();
    if (claimed.length) this.#wrote();
    // RETURNING promises no order.
    return claimed.sort((a, b) => a.priority - b.priority || a.timestamp - b.timestamp).map(fromRow);
  }

  complete(messageId, workerId, attempt, reply) {
    const [held] = this.#sql.exec("SELECT * FROM messages WHERE id = ?", messageId).toArray();
    checkHeld(held, workerId, attempt);
    this.#add(reply);
    this.#sql.exec(
      "UPDATE messages SET status = 'complete', completedAt = ?1 WHERE timestamp IN (?1, ?2)",
      reply.timestamp,
      held.timestamp,
    );
    this.#wrote();
    return { id: reply.id, timestamp: reply.timestamp };
  }

  stats() {
    const { seq } = this.#sql.exec("SELECT seq FROM writes").one();
    return { seq, messages: this.#count };
  }

  #add(message) {
    this.#newest = message.timestamp = later(this.#newest);
    const row = { ...message, ...message.botParams };
    this.#sql.exec(INSERT, ...COLUMNS.map((column) => row[column]));
    this.#count += 1;
    if (this.#count <= RETENTION) return;
    this.#sql.exec("DELETE FROM messages WHERE timestamp = (SELECT min(timestamp) FROM messages)");
    this.#count -= 1;
  }

  #wrote() {
    this.#sql.exec("UPDATE writes SET seq = seq + 1");
  }
}

function fromRow({ id, timestamp, text, username, color, messageType, replyTo, ...botParams }) {
  return { id, timestamp, text, username, color, messageType, replyTo, botParams };
}
