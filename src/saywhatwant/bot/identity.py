"""The name and color that an answer appears under."""

from hashlib import blake2b
from typing import NamedTuple

from msgspec import UNSET

from saywhatwant.entities import Entity
from saywhatwant.message import Message, conversation_of

RANDOM = "random"
"""The color of an alias that may be any, but the same in all of a talk."""
_BRIGHT, _SPAN, _DARK = 150, 81, 80
"""Two channels of such a color are 150 to 230, the third is 80: as the original chose them."""


class Identity(NamedTuple):
    """Who an answer is from."""

    username: str
    color: str


def identity_of(entity: Entity, message: Message) -> Identity:
    """The entity's own, or the alias that the message asks for if the entity allows it."""
    alias = message.bot_params.ais
    if not entity.alias or alias is UNSET:
        return Identity(entity.display_name, entity.color)
    username, _, color = alias.rpartition(":")
    username = username.strip() or entity.display_name
    return Identity(username, _color_in(message, entity, username) if color == RANDOM else color)


def talk_of(message: Message, entity: str) -> str:
    """The conversation that a message is part of once this entity answers it."""
    if message.conversation is not UNSET:
        return message.conversation
    tail, session = (None if value is UNSET else value for value in (message.color_tail, message.bot_params.session_id))
    return conversation_of(entity, message.username, message.color, tail, session)


def _color_in(message: Message, entity: Entity, username: str) -> str:
    """A color that is the same whenever this name answers in this talk."""
    talk = talk_of(message, entity.display_name)
    drawn = blake2b(f"{talk}\0{username}".encode(errors="surrogatepass"), digest_size=3).digest()
    channels = [_BRIGHT + byte % _SPAN for byte in drawn[:2]]
    channels.insert(drawn[2] % 3, _DARK)
    return "".join(f"{channel:03}" for channel in channels)
