"""The prompt: what an entity is, what it remembers, and the question, as turns that any chat template takes.

Templates (Mistral's, Gemma's) refuse turns that do not alternate; small windows refuse what is too long. So the system prompt
comes first, then user and assistant take turns, beginning with a user and ending with the question. What does not fit is left
out: the oldest first, except that a quarter of the room is for older exchanges that share rare words with the question.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from msgspec import UNSET

from saywhatwant.entities import Entity
from saywhatwant.message import Message
from saywhatwant.models.model import Turn
from saywhatwant.models.prompt.exchanges import Exchange, of_strings, of_talk, of_wall
from saywhatwant.models.prompt.recall import cost_of, recall
from saywhatwant.models.prompt.tokens import PER_TURN, cut_end, cut_middle, tokens_of

RECALLED = 4
"""One part of this many of the room for the talk is for older exchanges."""
KEPT_OF_SYSTEM = 4
"""One part of this many of the whole room stays for a long system prompt when the question is long too."""


class Memory(NamedTuple):
    """What an entity may remember for one answer."""

    messages: Sequence[Message] = ()
    """Earlier ones, oldest first: of the talk, or of the wall for an entity that reads it."""
    strings: Sequence[str] | None = None
    """What the client sent instead, each like ``name: text``."""


def build(
    entity: Entity,
    question: Message,
    memory: Memory | None = None,
    *,
    own: Collection[str] = (),
    room: int | None = None,
) -> list[Turn]:
    """The turns of one request.

    Args:
        entity: what answers.
        question: the message that it answers.
        memory: what was said before.
        own: the names that it answers under; the one of its file is always one of them.
        room: estimated tokens that the turns may have; None is no bound. The question is never left out, and shortened only
            if it leaves no room for the system prompt.
    """
    own = {entity.display_name, *own}
    said = f"{question.username}: {question.text}" if _reads_wall(entity, memory) else question.text
    exchanges = _exchanges(entity, question, memory or Memory(), own)
    system = entity.system_prompt
    if room is not None:
        said_room = tokens_of(said) + PER_TURN
        if system:
            system = cut_end(system, max(room - said_room, room // KEPT_OF_SYSTEM) - PER_TURN)
            room -= tokens_of(system) + PER_TURN
        said = cut_middle(said, max(room - PER_TURN, 1))
        exchanges = fitting(exchanges, question.text, room - tokens_of(said) - PER_TURN)
    turns = [Turn("system", system)] if system else []
    for exchange in exchanges:
        _add(turns, Turn("user", exchange.said))
        _add(turns, Turn("assistant", exchange.answer))
    _add(turns, Turn("user", said))
    return turns


def tokens_of_turns(turns: Sequence[Turn]) -> int:
    """The estimated tokens of a prompt."""
    return sum(tokens_of(turn.content) + PER_TURN for turn in turns)


def fitting(exchanges: Sequence[Exchange], question: str, room: int) -> list[Exchange]:
    """The exchanges that fit ``room`` tokens: the newest, and some older ones that share rare words with ``question``."""
    first, _ = _newest_fitting(exchanges, len(exchanges), room)
    if first == 0:
        return list(exchanges)
    kept = room // RECALLED
    older, left = _newest_fitting(exchanges, len(exchanges), room - kept)
    recalled = recall(exchanges, question, older, kept)
    left += kept - sum(map(cost_of, recalled.values()))
    first, _ = _newest_fitting(exchanges, older, left, stop=max(recalled, default=-1))
    return [*(recalled[place] for place in sorted(recalled)), *exchanges[first:]]


def _newest_fitting(exchanges: Sequence[Exchange], end: int, room: int, stop: int = -1) -> tuple[int, int]:
    """The place of the first of the newest exchanges before ``end`` and behind ``stop`` that fit, and the room that is left."""
    while end - 1 > stop and (cost := cost_of(exchanges[end - 1])) <= room:
        end -= 1
        room -= cost
    return end, room


def _exchanges(entity: Entity, question: Message, memory: Memory, own: Collection[str]) -> list[Exchange]:
    if memory.strings is not None:
        return of_strings(memory.strings, own, question.username, question.text)
    earlier = [message for message in memory.messages if message.id != question.id and message.hidden is UNSET]
    return of_wall(earlier, own) if entity.reads == "wall" else of_talk(earlier)


def _reads_wall(entity: Entity, memory: Memory | None) -> bool:
    return entity.reads == "wall" and memory is not None and memory.strings is None


def _add(turns: list[Turn], turn: Turn) -> None:
    """Add a turn, joined with the last one if both have the same role."""
    if not turn.content:
        return
    if turns and turns[-1].role == turn.role:
        turns[-1] = Turn(turn.role, f"{turns[-1].content}\n{turn.content}")
    else:
        turns.append(turn)
