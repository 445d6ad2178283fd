// The newest messages as one array under one key: simple, in memory after the first call, rewritten whole at each write.

import { checkHeld, later, RETENTION, Wall } from "./wall.js";

export { default } from "./wall.js";

export class ArrayWall extends Wall {
  #messages; // oldest first
  #seq;

  async post(message) {
    await this.#load();
    this.#add(message);
    await this.#save();
    return { id: message.id, timestamp: message.timestamp, status: "success" };
  }

  async list(since, limit) {
    await this.#load();
    const first = this.#messages.findLastIndex(({ timestamp }) => timestamp <= since) + 1;
    return this.#messages.slice(first).reverse().slice(0, limit);
  }

  async claim(workerId, limit) {
    await this.#load();
    // The sort is stable and the array ordered by age, so ties go to the older message.
    const claimed = this.#messages
      .filter(({ botParams }) => botParams.status === "pending")
      .sort((a, b) => a.botParams.priority - b.botParams.priority)
      .slice(0, limit);
    for (const { botParams } of claimed) {
      botParams.status = "processing";
      botParams.claimedBy = workerId;
      botParams.claimedAt = Date.now();
      botParams.attempt += 1;
    }
    if (claimed.length) await this.#save();
    return claimed;
  }

  async complete(messageId, workerId, attempt, reply) {
    await this.#load();
    const { botParams } = this.#messages.findLast(({ id }) => id === messageId) ?? {};
    checkHeld(botParams, workerId, attempt);
    this.#add(reply);
    botParams.status = "complete";
    botParams.completedAt = reply.botParams.completedAt = reply.timestamp;
    await this.#save();
    return { id: reply.id, timestamp: reply.timestamp };
  }

  async stats() {
    await this.#load();
    return { seq: this.#seq, messages: this.#messages.length };
  }

  async #load() {
    if (this.#messages) return;
    // No other call begins while this waits for storage: the input gate is closed.
    const stored = await this.ctx.storage.get(["messages", "seq"]);
    this.#messages = stored.get("messages") ?? [];
    this.#seq = stored.get("seq") ?? 0;
  }

  #add(message) {
    message.timestamp = later(this.#messages.at(-1)?.timestamp ?? 0);
    this.#messages.push(message);
    if (this.#messages.length > RETENTION) this.#messages.shift();
  }

  async #save() {
    this.#seq += 1;
    try {
      // Both keys are one write. The output gate holds the answers until it is on disk.
      await this.ctx.storage.put({ messages: this.#messages, seq: this.#seq });
    } catch (error) {
      this.#messages = undefined; // beyond the size limit of a value, say: what is stored counts
      throw error;
    }
  }
}
