"""Hidden messages: what everybody sees of them, and what is kept for operators.

A hidden message has no text. Its text lies in a storage entry of its own, which no feed, talk or event is made from; an erased
message has none. So readers of messages need to know nothing of this.
"""

from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from durable_objects import Storage
from saywhatwant.limits import MAX_REASON
from saywhatwant.message import Message, OriginalFields

NAMELESS: Final = "hidden"
"""The username that is shown where the real one is hidden or erased."""
ENDED: Final = "hidden by an operator"
"""Why a message that was hidden before its answer has none."""


class Hidden(Struct, frozen=True, omit_defaults=True):
    """What is kept of a hidden message besides what everybody sees."""

    text: str
    at: int
    """When it was hidden, in milliseconds since 1970."""
    reason: str = ""
    """For operators."""
    name: "Name | None" = None
    """Who wrote it, if that is hidden too."""
    original: OriginalFields | None = None


class Name(Struct, frozen=True, omit_defaults=True):
    """What tells who wrote a message."""

    username: str
    color_tail: str | UnsetType = UNSET
    ais: str | UnsetType = UNSET
    session_id: str | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Hidden).decode


class HiddenTexts:
    """The texts of one object's hidden messages."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, message: Message) -> Hidden | None:
        """What is kept of a message; None if it is not hidden, or erased."""
        if message.hidden is UNSET or message.erased is not UNSET:
            return None
        stored = self._storage.get(_key_at(message.timestamp))
        return None if stored is None else _decode(stored)

    def hide(self, message: Message, now: int, reason: str = "", *, name: bool = False) -> Message:
        """The message without its text and, with ``name``, without who wrote it; stores both.

        If it is hidden already, only what is still shown is added to what is stored.
        """
        known = self.get(message)
        shown = _without_text(message)
        if known is None:
            original = None if message.original is UNSET else message.original
            known = Hidden(message.text, now, reason.strip()[:MAX_REASON], original=original)
        if name and known.name is None:
            known = replace(known, name=_name_of(message))
        if known.name is not None:
            shown = _without_name(shown)
        self._storage.put(_key_at(message.timestamp), _encode(known))
        return shown

    def restore(self, message: Message) -> Message:
        """A hidden message as it was before; nothing is kept of it any more."""
        known = self.get(message)
        assert known is not None  # noqa: S101 - the caller has checked it
        self.drop_at(message.timestamp)
        shown = replace(message, text=known.text, hidden=UNSET, original=known.original or UNSET)
        name = known.name
        if name is None:
            return shown
        params = replace(message.bot_params, ais=name.ais, session_id=name.session_id)
        return replace(shown, username=name.username, color_tail=name.color_tail, bot_params=params)

    def erase(self, message: Message, *, name: bool = False) -> Message:
        """The message without its text and, with ``name`` or if that is hidden, without who wrote it; nothing is kept."""
        known = self.get(message)
        if known is not None:
            self.drop_at(message.timestamp)
        shown = replace(_without_text(message), erased=True)
        return _without_name(shown) if name or (known is not None and known.name is not None) else shown

    def drop_at(self, timestamp: int) -> None:
        """Keep nothing of the message with this timestamp."""
        self._storage.delete(_key_at(timestamp))


def _without_text(message: Message) -> Message:
    return replace(message, text="", original=UNSET, hidden=True)


def _without_name(message: Message) -> Message:
    params = replace(message.bot_params, ais=UNSET, session_id=UNSET)
    return replace(message, username=NAMELESS, color_tail=UNSET, bot_params=params)


def _name_of(message: Message) -> Name:
    params = message.bot_params
    return Name(message.username, message.color_tail, params.ais, params.session_id)


def _key_at(timestamp: int) -> str:
    return f"hidden/{timestamp:015d}"
