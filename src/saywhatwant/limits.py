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
MAX_STATS_ENTITIES = 50
"""Entities named in the figures."""
MAX_CACHED_READS = 4
"""Answers of reads kept until the next commit."""

MAX_REPLAYED = 1_000
"""Messages that one page of missed events brings to a listener."""

MAX_QUEUES = 128
"""Objects of a wall that has one for each entity; the others share the object of the messages that name none."""
MAX_IDS = 1_000_000
"""Ids made by clients that a wall of several objects remembers, on disk; beyond it new ones are refused."""
MAX_IDS_FORGOTTEN = 2
"""Ids of removed messages that one post with an id forgets, a day after the removal."""
