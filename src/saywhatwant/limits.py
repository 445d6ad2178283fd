"""The bounds of the contract: of messages, of calls, and of the queue object's data."""

ID_LENGTH = 10
"""Characters of an id that the server makes."""
MIN_ID = 4
"""Characters of the shortest id that a client may choose."""
MAX_ID = 32
"""Characters of the longest id that a client may choose."""
MAX_USERNAME = 32
"""Characters of a username."""
MAX_TEXT_SETTING = 20_000
"""The largest value of ``SWW_MAX_TEXT``; any such message fits into one storage value."""
MAX_PRIORITY = 99
"""The least urgent priority; 0 is the most urgent."""
MAX_ENTITY = 64
"""Characters of an entity's name."""
MAX_WORKER_ID = 128
"""Characters of a worker's name."""
MAX_SESSION_ID = 64
"""Characters of a ``sessionId``."""
MAX_CONTEXT_STRINGS = 200
"""Strings that the ``context`` of a post may have."""
MAX_CONTEXT_BYTES_SETTING = 120_000
"""The largest value of ``SWW_MAX_CONTEXT_BYTES``; any such context fits into one storage value."""
MAX_CONTEXTS_BYTES = 256 * 1024 * 1024
"""Bytes of disk for the contexts of unfinished messages, each counted as the longest; beyond it posts with one get 503."""
MAX_ORIGINAL_FIELD = 200
"""Characters of each field that only the original's clients send."""
MAX_ATTEMPT = 1_000_000
"""The highest attempt number that a call may name."""
MAX_ERROR = 1_000
"""Characters of a failure's reason; more is cut."""
MAX_DETAIL = 1_000
"""Characters of a failure's detail, which only operators see; more is cut."""

MAX_CLAIM = 100
"""Messages that one claim may take."""
MAX_ENTITIES = 64
"""Entities that one claim may name."""
MAX_WAIT_SECONDS = 60
"""Seconds that a claim may wait for work (long poll)."""
MAX_TICKETS = 10_000
"""Claims that wait for work at one object, of all gateways; beyond it further ones get 503."""
MAX_HANDS = 256
"""Messages that a bot on one socket may hold."""
MAX_SOCKET_ENTITIES = 256
"""Entities that a bot on one socket may name."""
MAX_TALK_TURNS = 1_000
"""Messages of a talk that a claim may ask for."""
MAX_TALK_BYTES = 1024 * 1024
"""Bytes of the messages of one talk in a claim's answer; the newest are kept."""
MAX_BATCH = 100
"""Messages that one call of an operator changes."""
MAX_VERSION = 64
"""Characters of a bot's version."""
MAX_PAGE = 1_000
"""The largest ``limit`` of a list."""
MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Bytes of the messages in one answer; a longer list is cut at a whole message and links to the rest."""

MAX_PROVIDER = 200
"""Characters of a provider's name in a circuit report."""
MAX_CIRCUIT_ENTITIES = 32
"""Entities that a circuit report may name."""
MAX_CIRCUIT_REASON = 200
"""Characters of a circuit report's reason."""
MAX_CIRCUIT_SECONDS = 3_600
"""Seconds that a circuit may be reported to stay open."""
MAX_CIRCUITS = 20
"""Circuit reports kept; beyond it the one that ends first is dropped."""

MAX_DUE_PER_CALL = 100
"""Leases, backoffs and waits that one call ends; the alarm ends the next ones."""
MAX_PRUNED_AT_ONCE = 3
"""Finished messages removed when another one finishes; a lowered retention is reached step by step."""
KEPT_BYTES = 2_048
"""Encoded bytes for each of which a finished message counts once more towards ``SWW_MAX_KEPT``."""
MAX_ENDED_ATTEMPTS = 256
"""Attempts that ended without an answer, of which an object remembers this many for operators."""
MAX_SHOWN_ATTEMPTS = 20
"""Those of them in an overview."""
MAX_STATS_ENTITIES = 50
"""Entities named in the figures."""
MAX_CACHED_READS = 4
"""Answers of reads kept until the next commit."""

MAX_REPLAYED = 1_000
"""Messages that one page of missed events brings to a listener."""

MAX_BANS = 1_000
"""Bans in force; beyond it new ones are refused."""
MAX_BAN_SECONDS = 315_360_000
"""Seconds that a ban may last: ten years."""
MIN_PREFIX_V4 = 8
"""Bits of the shortest IPv4 prefix that may be banned."""
MIN_PREFIX_V6 = 16
"""Bits of the shortest IPv6 prefix that may be banned."""
MAX_FILTERS = 1_000
"""Word filters; beyond it new ones are refused."""
MAX_PHRASE = 100
"""Characters of a filter's phrase."""
MAX_PHRASE_WORDS = 10
"""Words of a filter's phrase."""
MAX_SLOW_SECONDS = 3_600
"""The longest pause between two posts that slow mode may ask for."""
MAX_HELD = 1_000
"""Posts that wait for review; beyond it further ones are refused, except those on their way at that moment."""
MAX_HELD_BYTES = 120 * 1024
"""Bytes of a post that waits for review, with its context, as JSON; a longer one is refused."""
MAX_DECISIONS = 100
"""Reviewed posts whose decision is remembered, so that a repeated one is recognized; beyond it the oldest are forgotten."""
MAX_REVIEW = 100
"""Posts for review, and messages with reports, in one answer; the others follow once some of these are done."""
MAX_REPORTED = 1_000
"""Messages with reports; beyond it reports of further ones are refused."""
MAX_REPORTS_OF_ONE = 100
"""Reports of one message; beyond it further ones are refused."""
MAX_REPORT_REASON = 200
"""Characters of a report's reason."""
REPORT_SECONDS = 2_592_000
"""Seconds after which the reports of a message are dropped, counted from the first one: 30 days."""
MAX_REPORTS_DROPPED = 10
"""Messages whose reports one call drops for their age; the alarm drops those of the next ones."""
MAX_AUDIT = 5_000
"""Entries of the audit log; beyond it the oldest are dropped."""
MAX_AUDIT_PAGE = 200
"""Entries of the audit log in one answer."""
MAX_REASON = 500
"""Characters of the reason that an operator gives."""
MAX_CALLER = 64
"""Characters of an operator's name."""

MAX_QUEUES = 128
"""Objects of a wall that has one for each entity; the others share the object of the messages that name none."""
MAX_IDS = 1_000_000
"""Ids made by clients that a wall of several objects remembers, on disk; beyond it new ones are refused."""
MAX_IDS_FORGOTTEN = 2
"""Ids of removed messages that one post with an id forgets, a day after the removal."""

HISTORY_HOURS = 7 * 24
"""Hours of which the figures of each minute are kept; hours without any do not count."""
HISTORY_DAYS = 366
"""Days of which the figures of each hour are kept; days without any do not count."""
MAX_HISTORY_POINTS = 1_500
"""Minutes or hours in one answer with figures: more than a day of minutes."""
MAX_STEPS_TOGETHER = 60
"""Minutes or hours in one point."""
MAX_REPORTING_GATEWAYS = 128
"""Gateways whose reports are recognised when they come twice; beyond it the one that reported longest ago is forgotten."""
