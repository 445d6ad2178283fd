"""The worker's bounds: what a client may make it hold, and for how long."""

MAX_KEY_CHARS = 255
"""The header Idempotency-Key, 1 to 255 printable ASCII characters."""

MAX_CACHED_QUERY_BYTES = 256
"""A query string whose parsed form is kept; 1,024 are kept for each operation."""

MAX_SINCE = 2**53 - 1
"""A time or a token in a query: the largest integer that every JSON reader takes."""

MAX_RATE_ADDRESSES = 65_536
"""Client addresses (IPv6: /64 networks) whose posts are counted; beyond it those that posted longest ago are forgotten."""

MAX_WAITING_CLAIMS = 1_000
"""Claims that wait for work at one time."""

MAX_MISSED = 100
"""Missed messages in one frame of a WebSocket, unless one commit changed more."""

MAX_BEHIND_CHARS = 1024 * 1024
"""Frames that wait for one WebSocket, in characters; beyond it the socket is closed with 4008."""

MAX_PROGRESS_CHARS = 256 * 1024
"""Replies being written that the gateway remembers, in characters; beyond it the longest unchanged are forgotten."""

CLOSE_SECONDS = 2.0
"""How long a WebSocket that is closed for being too slow may take to read the close frame."""

HEARTBEAT_SECONDS = 25.0
"""How often a WebSocket gets a frame without events: browsers do not show pings to scripts."""

MAX_HEAD_BYTES = 64 * 1024
"""Request target, header fields and trailer fields of one request; beyond it 431. Trailer fields are never kept."""

MAX_DISCARDED_BYTES = 64 * 1024 * 1024
"""Body bytes read and discarded after their request was refused; beyond it the connection is aborted."""

MAX_PIPELINED = 16
"""Requests that wait behind the one being answered on a connection; beyond it, it is not read (in pieces of 256 KiB)."""

MAX_LINGERING = 256
"""Refused connections kept open for their clients to read why; those beyond it are closed at once."""

REQUEST_SECONDS = 30.0
"""For a request to arrive, from its first byte to its last, and for the first byte of a connection; beyond it 408."""

WRITE_SECONDS = 30.0
"""How long a client may read nothing of an answer; then its connection is aborted."""

LINGER_SECONDS = 10.0
"""How long what a refused client sends is still read and discarded."""

KEEP_ALIVE_SECONDS = 65.0
"""How long a connection may be idle: longer than the minute of most proxies, so that they close it first."""

CHECK_SECONDS = 5.0
"""How often a connection's deadlines are looked at."""

MAX_FRAGMENTS = 64
"""Fragments of one message that a WebSocket may send; beyond it the connection is aborted."""

MAX_SOCKET_MESSAGE_BYTES = 1_024
"""One message that a WebSocket may send before it is closed with 1009; any message closes it, with 1008."""

PING_SECONDS = 20.0
"""How often a WebSocket is pinged, and how long it may take to answer."""

GRACE_SECONDS = 5
"""How long a stop waits for requests that are being answered."""
