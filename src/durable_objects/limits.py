"""A stated bound on everything; ``LimitExceeded`` or ``Overloaded`` beyond it.

Key and value follow what every backend can carry: Cloudflare's storage takes keys of 2 KiB and, on its older backend,
values of 128 KiB.
"""

MAX_NAME_CHARS = 256
"""The name of a namespace or an object, 1 to 256 characters."""

MAX_KEY_BYTES = 2_048
"""A storage key, 1 to 2,048 bytes of UTF-8."""

MAX_VALUE_BYTES = 128 * 1024
"""A storage value, 0 to 131,072 bytes."""

MAX_LIST_PAGE = 1_000
"""Entries in one answer of ``Storage.list``."""

MAX_CALL_WRITES = 1_000
"""Keys that one call may put or delete."""

MAX_WAITING_CALLS = 10_000
"""Calls of one runtime that wait for the next commit; also the most that one commit carries."""

MAX_TIME_MS = 2**53 - 1
"""The latest alarm: the largest integer that every runtime's numbers can carry."""
