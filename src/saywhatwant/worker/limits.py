"""The worker's bounds: what a client can make it store, and for how long."""

MAX_KEY_CHARS = 255
"""Characters of the header Idempotency-Key: 1 to 255, printable ASCII."""

MAX_CACHED_QUERY_BYTES = 256
"""Bytes of a query string whose parsed form is cached; 1,024 are cached for each operation."""

LARGE_BODY_BYTES = 64 * 1024
"""Bytes above which a body is large: a post with a long context."""

MAX_LARGE_BODIES = 128
"""Large bodies of one call that may be on their way at one time, half of them from one client; further ones get 503."""

MAX_SINCE = 2**53 - 1
"""Largest time or token in a query: the largest integer that every JSON reader accepts."""

MAX_RATE_ADDRESSES = 65_536
"""Client addresses (IPv6: /64 networks) whose posts are counted; beyond it the ones that posted longest ago are dropped."""

MAX_WRONG_TOKENS = 10
"""Wrong tokens with which one client may try to sign in within a minute."""

MAX_REPORTS_PER_MINUTE = 10
"""Reports of messages that one client may make within a minute, where posts are limited too."""

SESSION_SECONDS = 12 * 3_600
"""Seconds after which an operator signs in again."""

REVOKED_SECONDS = 1.0
"""Seconds, at most, after which the open sockets of a revoked token end."""

FIGURES_SECONDS = 1.0
"""Seconds between the figures that an operator's socket gets."""

LOOK_SECONDS = 15.0
"""Seconds after the last look at the figures until posts and answers are not counted any more."""

MAX_LOOKING = 32
"""Operators' sockets; further ones get 429."""

MAX_COUNTED = 20_000
"""Messages that are remembered meanwhile so that each is counted once."""

MEASURED_SECONDS = 60
"""Seconds in which the times from posts to answers are those of now."""

MAX_MEASURED = 20_000
"""Such times that are remembered; beyond it the oldest are forgotten."""

MAX_WAITING_CLAIMS = 1_000
"""Claims that wait for work at one server."""

MAX_BOT_CALLS = 256
"""Text frames of one bot's socket that are being answered; beyond it the next ones are not read yet."""

MAX_FRAME_LINES = 256
"""Lines of one such text frame; a frame with more is refused."""

MAX_BEHIND_BOT_CHARS = 16 * 1024 * 1024
"""Frames that wait for one bot's socket, in characters; beyond it the socket is closed with 4008. A talk may have a MiB."""

RETRIES = 5
"""How often the end of a bot's socket, or the question for a message that was handed to it, is tried."""

RETRY_SECONDS = 0.1
"""Seconds before the second try; doubled each time."""

LEAVE_SECONDS = 5.0
"""Seconds between further tries to end a bot's socket, while the object cannot be changed."""

MAX_BOTS = 256
"""Bots that the server remembers; beyond it the ones unseen for longest are forgotten."""

MAX_BOT_ENTITIES = 256
"""Entities remembered for each of them."""

UNCLAIMED_SECONDS = 1.0
"""Seconds, up to twice as many, after which an unclaimed message wakes a claim that waits here, whichever it woke before."""

MAX_LOOKS = 5
"""How many claims such a message may wake, one after another."""

MAX_MISSED = 100
"""Missed messages in one frame of a WebSocket, unless one commit changed more."""

MAX_BEHIND_CHARS = 1024 * 1024
"""Frames that wait for one WebSocket, in characters; beyond it the socket is closed with 4008."""

MAX_PROGRESS_CHARS = 256 * 1024
"""Unfinished replies that the server remembers, in characters; beyond it the ones unchanged for longest are dropped."""

CLOSE_SECONDS = 2.0
"""Seconds in which a WebSocket that the server closes must read the close frame."""

FIRST_RESUME_SECONDS = 0.05
"""Seconds before the wall's events are followed again after an error; doubled each time."""

LONGEST_RESUME_SECONDS = 5.0
"""The longest such pause."""

HEARTBEAT_SECONDS = 25.0
"""Seconds between frames without events on a WebSocket (browsers do not show pings to scripts)."""

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of request target, header fields and trailer fields of one request; beyond it 431. Trailer fields are dropped."""

MAX_DISCARDED_BYTES = 64 * 1024 * 1024
"""Body bytes read and discarded after their request was refused; beyond it the connection is aborted."""

MAX_PIPELINED = 16
"""Requests that wait behind the one being answered on a connection; beyond it reading pauses (in pieces of 256 KiB)."""

MAX_LINGERING = 256
"""Refused connections kept open so that their clients can read the answer; further ones are closed at once."""

REQUEST_SECONDS = 30.0
"""Seconds for a request to arrive, from first to last byte, and for a connection's first byte; beyond it 408."""

WRITE_SECONDS = 30.0
"""Seconds that a client may read nothing of an answer; then its connection is aborted."""

LINGER_SECONDS = 10.0
"""Seconds that input of a refused client is still read and discarded."""

KEEP_ALIVE_SECONDS = 65.0
"""Seconds that a connection may be idle: longer than the minute of most proxies, so that they close it first."""

CHECK_SECONDS = 5.0
"""Seconds between checks of a connection's deadlines."""

MAX_FRAGMENTS = 64
"""Fragments of one message that a WebSocket may send; beyond it the connection is aborted."""

MAX_SOCKET_MESSAGE_BYTES = 1_024
"""Bytes of a message that a WebSocket may send; a longer one closes it with 1009, and any other with 1008."""

PING_SECONDS = 20.0
"""Seconds between pings of a WebSocket, and seconds in which it must answer one."""

GRACE_SECONDS = 5.0
"""Seconds that a stop waits for requests that are being answered."""

IDLE_GRACE_SECONDS = 1.0
"""Seconds that it then waits for the next request of each connection, if clients may connect again meanwhile."""

FAREWELL_SECONDS = 0.5
"""Seconds in which clients of a server that stops should have seen the end of their connection."""

STOP_CHECK_SECONDS = 0.01
"""Seconds between looks at the connections that are left then."""

MAX_TRANSLATED = 1_000
"""Messages kept in the form of the original's clients; beyond it the ones read longest ago are translated again."""

REPORT_SECONDS = 60.0
"""Seconds between a server's reports to the history of figures; a minute in which nobody has come has none."""

LAST_REPORT_SECONDS = 2.0
"""Seconds that a stop waits until its last report is stored."""
