"""Between the dialect and the message: posts one way, messages the other."""

from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from saywhatwant.message import MessageType, NewMessage, OriginalFields, decode, encode
from saywhatwant.schemas import PostParams, PostRequest, Talk
from saywhatwant.worker.limits import MAX_TRANSLATED
from saywhatwant.worker.original.dialect import GivenMessage, SentParams, SentPost

ZERO_MEANS = 5
"""The priority that the original made of 0."""

_NO_PARAMS = SentParams()
_NO_FIELDS = OriginalFields()
_TOP_FIELDS = ("domain", "language", "misc")
_PARAM_FIELDS = ("model", "nom", "human_username", "human_color")

_decode = msgspec.json.Decoder(GivenMessage).decode


def to_request(sent: SentPost, entities: Container[str]) -> PostRequest:
    """The post as the clean interface takes it, when these ``entities`` answer here; ``completed`` adds the rest.

    When a human post names no entity, the later page wants no answer, and always sends ``context``; the earlier one means the
    entity of its ``domain``, and sends ``context`` only while its filters are on.
    """
    params, kind = sent.bot_params or _NO_PARAMS, _type_of(sent)
    named = params.entity is not None
    no_answer = kind == "human" and not named and sent.context is not None
    post = PostRequest(
        text=sent.text,
        username=sent.username,
        color=_split(sent.color)[0],
        message_type=kind,
        reply_to=sent.reply_to,
        worker_id=sent.worker_id,
        attempt=sent.attempt,
        id=sent.id,
    )
    if no_answer:
        return replace(post, bot_params=PostParams(answer=False))
    entity = params.entity if named or kind == "AI" else _entity_of(sent.domain, entities)
    wanted = PostParams(
        entity=entity,
        priority=_priority(params),
        ais=params.ais if kind == "human" else None,
    )
    return replace(post, bot_params=wanted, context=sent.context)


def completed(new: NewMessage, sent: SentPost) -> NewMessage:
    """The message with the fields that only the dialect has."""
    params = sent.bot_params or _NO_PARAMS
    original = OriginalFields(
        domain=sent.domain,
        language=sent.language,
        misc=sent.misc,
        model=params.model,
        nom=None if params.nom is None else str(params.nom),
        human_username=params.human_username,
        human_color=params.human_color,
    )
    priority = _priority(params)
    return replace(
        new,
        priority=new.priority if priority is None else priority,
        ais=params.ais,
        session_id=params.session_id,
        color_tail=_split(sent.color)[1],
        original=None if original == _NO_FIELDS else original,
    )


def to_original(encoded: bytes, talks: Mapping[str, Talk] | UnsetType = UNSET) -> GivenMessage:
    """A message of the queue as the original's clients read it; ``talks`` of a claim become its ``context``."""
    message = _decode(encoded)
    changed: dict[str, Any] = {"hyphenated_type": message.message_type}
    if message.color_tail is not UNSET:
        changed |= {"color": f"{message.color}-{message.color_tail}", "color_tail": UNSET}
    if message.original is not UNSET:
        params = replace(message.bot_params, **_given(message.original, _PARAM_FIELDS))
        changed |= {"original": UNSET, "bot_params": params, **_given(message.original, _TOP_FIELDS)}
    if talks is not UNSET:
        changed["context"] = _lines(talks[message.id])
    return replace(message, **changed)


@lru_cache(maxsize=MAX_TRANSLATED)
def translated(encoded: bytes) -> Raw:
    """``to_original``, encoded: many pages poll for the same few messages."""
    return Raw(encode(to_original(encoded)))


def _type_of(sent: SentPost) -> MessageType:
    return sent.hyphenated_type or sent.message_type or "human"


def _entity_of(domain: str | None, entities: Container[str]) -> str | None:
    label = (domain or "").partition(".")[0].lower()
    return label if label in entities else None


def _priority(params: SentParams) -> int | None:
    return ZERO_MEANS if params.priority == 0 else params.priority


def _split(color: str) -> tuple[str, str | None]:
    """Nine digits and the tail."""
    digits, _, tail = color.partition("-")
    return digits, tail or None


def _given(original: OriginalFields, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(original, name)) is not None}


def _lines(talk: Talk) -> list[str]:
    """What an entity remembers, in the form of ``context``."""
    if talk.context is not UNSET:
        return talk.context
    turns = [decode(turn) for turn in talk.turns]
    return [f"{turn.username}: {turn.text}" for turn in turns]
