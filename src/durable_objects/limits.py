"""The bounds of this package; beyond them calls raise ``LimitExceeded``, ``Overloaded`` or ``OutcomeUnknown``.

Each constant is one row of the table in docs/reliability.md, with the line below it as its text. The bounds of keys and values
fit every backend: Cloudflare's storage takes keys of 2 KiB and, on its older backend, values of 128 KiB. Alarms in memory have
no bound: each takes one name and one time.
"""

MAX_NAME_CHARS = 256
"""Characters in the name of a namespace or an object."""

MAX_KEY_BYTES = 2_048
"""Bytes of UTF-8 in a storage key."""

MAX_VALUE_BYTES = 128 * 1024
"""Bytes in a storage value."""

MAX_LIST_PAGE = 1_000
"""Entries in one answer of ``Storage.list``."""

MAX_CALL_WRITES = 1_000
"""Keys that one call may put or delete."""

MAX_TIME_MS = 2**53 - 1
"""Latest alarm, in milliseconds since 1970: the largest integer that every runtime's numbers can carry."""

MAX_WAITING_CALLS = 10_000
"""Calls of one runtime that may wait for a commit; further ones are refused."""

MAX_COMMIT_WAIT_SECONDS = 30
"""Seconds that a call waits for its commit before it fails with ``OutcomeUnknown``."""

MAX_IDEMPOTENCY_KEY_CHARS = 256
"""Characters in an idempotency key."""

MAX_FINGERPRINT_BYTES = 32
"""Bytes in the fingerprint of a call with an idempotency key."""

MAX_IDEMPOTENCY_KEYS = 1_000_000
"""Idempotency keys that an object remembers, on disk; beyond it new ones are refused, and none is forgotten early."""

KEY_SECONDS = 26 * 60 * 60
"""Seconds that an idempotency key is remembered at least: a day, plus two hours for clocks that step forward."""

MAX_KEY_CLOCK_SECONDS = 60 * 60
"""Seconds that idempotency keys can age at one step of the clock, so that a step forward forgets none early."""

MAX_KEYS_FORGOTTEN = 2
"""Expired idempotency keys that one keyed call removes."""

MAX_SENDS = 1_000
"""Calls that one call may send to other objects."""

MAX_UNTAKEN_SENDS = 10_000
"""Calls that one object has sent and that are not taken; at this bound its calls that send are refused (``Overloaded``)."""

MAX_DELIVERIES = 1_000
"""Pairs of sender and receiver with a delivery under way; others wait, so that callers find room (``MAX_WAITING_CALLS``)."""

MAX_BYTES_BEHIND = 64 * 1024 * 1024
"""Bytes of events that wait for one listener, and 128 for each call that published some; beyond it, ``EventsLost``."""

MAX_LIVE_OBJECTS = 10_000
"""Objects in memory; beyond it the ones that were idle longest are dropped."""

IDLE_SECONDS = 10.0
"""Seconds without a call after which an object is dropped from memory; it stays at most twice as long."""

READS_PER_TURN = 1_000
"""Entries read at a wake for which an object stays ``IDLE_SECONDS`` longer, because another wake would hold up all calls."""

MAX_ALARMS_PER_TURN = 10
"""Alarms that run, and failed deliveries that start again, before other calls may run."""

ALARM_RETRY_MS = 1_000
"""Milliseconds until a failed alarm, or a delivery that failed, is retried; doubles with each failure in a row."""

MAX_ALARM_RETRY_MS = 300_000
"""Milliseconds at which the delay between such retries stops doubling."""

PROBE_MS = 1_000
"""Milliseconds between two attempts to write to a disk that has failed."""

READ_BUSY_SECONDS = 0.05
"""Seconds that a read waits for a data file locked by another program; all calls wait with it."""

WRITE_BUSY_SECONDS = 5.0
"""Seconds that a commit waits for a data file locked by another program."""

MAX_IDLE_LOG_BYTES = 64 * 1024 * 1024
"""Bytes to which SQLite's write-ahead log is truncated once no other program's long read pins it."""
