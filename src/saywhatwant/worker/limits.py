"""The worker's bounds: what a client may make it hold, and for how long."""

MAX_KEY_CHARS = 255
"""The header Idempotency-Key, 1 to 255 printable ASCII characters."""

MAX_CACHED_QUERY_BYTES = 256
"""A query string whose parsed form is kept; 1,024 are kept for each operation."""

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
"""How long a WebSocket that is closed for being too slow may take to read so."""

HEARTBEAT_SECONDS = 25.0
"""How often a WebSocket gets a frame without events: browsers do not show pings to scripts."""
