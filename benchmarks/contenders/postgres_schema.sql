-- Run at each start.

CREATE SEQUENCE IF NOT EXISTS write;

CREATE TABLE IF NOT EXISTS message (
    id            text PRIMARY KEY,
    seq           bigint NOT NULL DEFAULT nextval('write'), -- a number for each write: its post, its claim
    timestamp     bigint NOT NULL UNIQUE,
    text          text NOT NULL,
    username      text NOT NULL,
    color         text NOT NULL,
    message_type  text NOT NULL,
    reply_to      text,
    status        text NOT NULL,
    priority      smallint NOT NULL,
    entity        text,
    claimed_by    text,
    claimed_at    bigint,
    completed_at  bigint,
    attempt       integer NOT NULL DEFAULT 0,
    lease_ends_at bigint
);

CREATE INDEX IF NOT EXISTS message_seq ON message (seq);
CREATE INDEX IF NOT EXISTS message_pending ON message (priority, timestamp) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS message_lease ON message (lease_ends_at) WHERE status = 'processing';

-- A crash makes a sequence skip up to 32 numbers; the one process of the app has written nothing yet.
SELECT setval('write', max(seq)) FROM message HAVING max(seq) IS NOT NULL;

CREATE OR REPLACE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Returns the timestamp. The lock is held until the commit, so that messages become visible in the order of their timestamps and a
-- reader that pages by them skips none. A row that a bot is updating is removed by the next post.
CREATE OR REPLACE FUNCTION post_message(
    new_id text, new_text text, new_username text, new_color text, new_type text, new_reply_to text, new_status text,
    new_priority integer, new_entity text, retention integer
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stamp bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1);
    SELECT greatest(now_ms(), max(timestamp) + 1) INTO stamp FROM message;
    INSERT INTO message (id, timestamp, text, username, color, message_type, reply_to, status, priority, entity, completed_at)
    VALUES (new_id, stamp, new_text, new_username, new_color, new_type, new_reply_to, new_status, new_priority, new_entity,
            CASE new_status WHEN 'complete' THEN stamp END);
    DELETE FROM message WHERE id IN (
        SELECT id FROM message
        WHERE timestamp <= (SELECT timestamp FROM message ORDER BY timestamp DESC OFFSET retention LIMIT 1)
        FOR UPDATE SKIP LOCKED
    );
    RETURN stamp;
END
$$;

-- Returns the messages that the worker holds now.
CREATE OR REPLACE FUNCTION claim_messages(worker text, most integer, lease_ms integer) RETURNS SETOF message LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := now_ms();
BEGIN
    UPDATE message SET status = 'pending'
    WHERE id IN (
        SELECT m.id FROM message m WHERE m.status = 'processing' AND m.lease_ends_at <= moment FOR UPDATE SKIP LOCKED
    );
    RETURN QUERY
    WITH next AS MATERIALIZED (
        SELECT m.id FROM message m WHERE m.status = 'pending' ORDER BY m.priority, m.timestamp LIMIT most FOR UPDATE SKIP LOCKED
    ), held AS (
        UPDATE message
        SET status = 'processing', claimed_by = worker, claimed_at = moment, attempt = message.attempt + 1,
            lease_ends_at = moment + lease_ms, seq = (SELECT nextval('write')) -- the same for all
        FROM next WHERE message.id = next.id
        RETURNING message.*
    )
    SELECT * FROM held ORDER BY held.priority, held.timestamp;
END
$$;
