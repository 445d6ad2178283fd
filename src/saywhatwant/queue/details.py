"""Details of failures: a provider's own words, which are for operators and in no feed.

A detail has a storage entry of its own, so that it is in no encoded message, and costs nothing while nothing fails. It lives as
long as its reason is part of the message's ``error``.
"""

import msgspec
from msgspec import Raw

from durable_objects import Storage
from saywhatwant.limits import MAX_DETAIL
from saywhatwant.message import Message


class Details:
    """The details of one queue's failed attempts."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def keep(self, message: Message, detail: str) -> None:
        """Store the detail of the failure that ``message`` has now, cut to ``MAX_DETAIL`` characters; none if it is empty."""
        detail = detail.strip()[:MAX_DETAIL]
        if detail and message.bot_params.error is not None:
            self._storage.put(_key_at(message.timestamp), msgspec.json.encode(detail))

    def on_change(self, old: Message, new: Message) -> None:
        """Drop the detail of a failure that ``new`` no longer shows."""
        reason = old.bot_params.error
        if reason is not None and reason not in (new.bot_params.error or ""):
            self.drop(old)

    def drop(self, message: Message) -> None:
        """Drop the message's detail, if it may have one."""
        if message.bot_params.error is not None:
            self._storage.delete(_key_at(message.timestamp))

    def drop_at(self, timestamp: int) -> None:
        """Drop the detail of the message with this timestamp, if it has one."""
        self._storage.delete(_key_at(timestamp))

    def beside(self, message: Message, encoded: bytes) -> Raw:
        """The encoded message with its detail as one more member, for operators."""
        detail = None if message.bot_params.error is None else self._storage.get(_key_at(message.timestamp))
        return Raw(encoded if detail is None else encoded[:-1] + b',"detail":' + detail + b"}")


def _key_at(timestamp: int) -> str:
    return f"detail/{timestamp:015d}"
