"""Decodes the frames of bots; every refusal names the field and the rule (P8)."""

from typing import Any

import msgspec
from msgspec import Struct

from saywhatwant import frames
from saywhatwant.errors import InvalidField, MalformedBody
from saywhatwant.worker.problems import invalid

_KINDS: dict[str, type[frames.Frame]] = {
    "hello": frames.HelloFrame,
    "hands": frames.HandsFrame,
    "complete": frames.CompleteFrame,
    "extend": frames.ExtendFrame,
    "fail": frames.FailFrame,
    "release": frames.ReleaseFrame,
    "progress": frames.ProgressFrame,
}


class _Envelope(Struct, frozen=True):
    """What is needed to refuse a frame that breaks a rule."""

    type: Any = None
    id: Any = None


_decode = msgspec.json.Decoder(frames.BotFrame).decode
_envelope = msgspec.json.Decoder(_Envelope).decode


def decoded(line: str) -> frames.BotFrame:
    """The frame in one line of a text; raises ``MalformedBody`` or ``InvalidField``."""
    try:
        frame: frames.BotFrame = _decode(line)
    except msgspec.ValidationError as error:
        kind = _KINDS.get(str(_envelope_of(line).type))
        if kind is None:
            raise InvalidField("type", f"must be one of {', '.join(_KINDS)}") from None
        raise invalid(error, kind, "frame") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise MalformedBody(f"the frame is not JSON in UTF-8: {error}") from None
    except RecursionError:
        raise MalformedBody("the frame is JSON nested too deep") from None
    return frame


def id_of(line: str) -> frames.FrameId | None:
    """The ``id`` of a frame that was refused, if it has one."""
    try:
        return msgspec.convert(_envelope_of(line).id, frames.FrameId | None)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None


def _envelope_of(line: str) -> _Envelope:
    try:
        return _envelope(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Envelope()
