"""A talk as exchanges: what was said to an entity, and what it answered."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from saywhatwant.limits import MAX_USERNAME
from saywhatwant.message import Message


class Exchange(NamedTuple):
    """What was said, and the answer; either may be empty."""

    said: str
    answer: str = ""


def of_talk(messages: Sequence[Message]) -> list[Exchange]:
    """The exchanges of a talk: each question, in the order in which they were asked, with its answer if there is one."""
    answers = {message.reply_to: message.text for message in messages if message.message_type == "AI"}
    return [Exchange(said.text, answers.get(said.id, "")) for said in messages if said.message_type == "human"]


def of_wall(messages: Sequence[Message], own: Collection[str]) -> list[Exchange]:
    """The exchanges of an entity that reads the whole wall: everybody's words with their names, and its own answers.

    ``own`` are the names that it answers under.
    """
    answers: dict[str | None, str] = {}
    others: list[Message] = []
    for message in messages:
        if message.message_type == "AI" and message.username in own:
            answers[message.reply_to] = message.text
        else:
            others.append(message)
    return [Exchange(f"{said.username}: {said.text}", answers.get(said.id, "")) for said in others]


def of_strings(strings: Iterable[str], own: Collection[str], asker: str, question: str) -> list[Exchange]:
    """The exchanges in what a client sent as ``context``: strings like ``name: text``, oldest first.

    Those of ``own`` names are answers, those of ``asker`` are left without their name, all others keep theirs. If the last
    one is the question, it is left out.
    """
    lines = [_speaker_and_text(string) for string in strings if string.strip()]
    if lines and lines[-1] in {(asker, question), ("", question)}:
        lines.pop()
    exchanges: list[Exchange] = []
    for speaker, text in lines:
        if speaker not in own:
            exchanges.append(Exchange(f"{speaker}: {text}" if speaker and speaker != asker else text))
        elif exchanges:
            said, answer = exchanges[-1]
            exchanges[-1] = Exchange(said, f"{answer}\n{text}" if answer else text)
    return exchanges


def _speaker_and_text(string: str) -> tuple[str, str]:
    """The two parts of ``name: text``; an empty name if there is none."""
    name, colon, text = string.partition(":")
    name, text = name.strip(), text.strip()
    is_named = colon and text and 0 < len(name) <= MAX_USERNAME and "\n" not in name
    return (name, text) if is_named else ("", string.strip())
