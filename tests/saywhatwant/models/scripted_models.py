"""Scripts that behave as models on real servers do: they load, have a window and a template, and answer from their prompt."""

import re
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

from scripted_server import Asked, Exchange, Refusal, tokens_in
from server_streams import Streaming, openai
from server_words import LLAMA_CPP, Words

Answer = Callable[[Asked], str]

_FACT = re.compile(r"\b[Mm]y ([a-z][a-z ]*?) is ([A-Za-z0-9][\w-]*)\.")
_QUESTION = re.compile(r"\b[Ww]hat is my ([a-z][a-z ]*?)\?")
_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")
UNKNOWN = "I do not know your {}."


def recalls(asked: Asked) -> str:
    """Answer "What is my X?" from the user's own turns, and anything else with a word.

    It knows "My X is Y." only from its prompt; of two it believes the later one.
    """
    questions = _QUESTION.findall(asked.said[-1]) if asked.said else []
    if not questions:
        return "I see."
    wanted = questions[-1]
    known = [value for text in asked.said for name, value in _FACT.findall(text) if name == wanted]
    return f"Your {wanted} is {known[-1]}." if known else UNKNOWN.format(wanted)


def plays_both_sides(asked: Asked) -> str:  # noqa: ARG001 - it always does
    """Go on with the dialogue as a model without stop sequences does."""
    return "Fine.\nHuman: And you?\nProbe: I am fine too.\nHuman: Good."


class Loading:
    """A model that is cold until a test has it loaded. What hangs up meanwhile has to begin again, as with Ollama.

    Ollama logs "client connection closed before server finished loading, aborting load" (issues 8006 and 7408).
    """

    def __init__(self) -> None:
        self.begun = 0
        """How many times loading has begun."""
        self.loaded = threading.Event()
        self.waiting = threading.Event()
        """Set while a request waits for the model."""
        self._waiting = 0
        self._lock = threading.Lock()

    def finish(self) -> None:
        """Let the load that runs end, and all requests that wait for it go on."""
        assert self.waiting.is_set(), "nothing is loading"
        self.loaded.set()

    def evict(self) -> None:
        """Make it cold again, as a server does with a model that was idle."""
        self.loaded.clear()

    def wait(self, exchange: Exchange) -> bool:
        """Wait for the model; returns False when the client hung up."""
        if self.loaded.is_set():
            return True
        self.begun += 1
        self._count(1)
        done = exchange.wait_for(self.loaded)
        self._count(-1)
        return done

    def _count(self, more: int) -> None:
        # The next request may have come before it was seen that the last one hung up.
        with self._lock:
            self._waiting += more
            if self._waiting:
                self.waiting.set()
            else:
                self.waiting.clear()


@dataclass
class ScriptedModel:
    """A model behind a server that speaks ``words``. It is a script."""

    answer: str | Answer = recalls
    words: Words = LLAMA_CPP
    stream: Streaming = openai
    window: int | None = None
    """Tokens; a longer prompt is refused, or loses its oldest turns where the server does that."""
    cost: int = 1
    """What its tokens are short of: a text has this many times as many as ``tokens_in`` counts."""
    alternates: bool = False
    """Whether its template wants user and assistant to alternate, as those of Mistral and Gemma do."""
    refused: Collection[str] = ()
    """Parameters that it does not take."""
    honours_stop: bool = True
    loading: Loading | None = None
    before: list[Refusal] = field(default_factory=list)
    """Refusals of the next requests, in order, whatever they are."""
    piece_length: int | None = None
    """Characters of a piece; words without it."""
    lock: ClassVar[threading.Lock] = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        """Refuse or answer."""
        if refusal := self._refusal(exchange.asked):
            exchange.send_refusal(refusal)
            return
        if self.loading is not None and not self.loading.wait(exchange):
            exchange.close_connection = True
            return
        pieces, finish = self._cut(self._text(self._seen(exchange.asked)), exchange.asked)
        exchange.begin()
        for part in self.stream(pieces, finish):
            exchange.send(part)
        exchange.end("")

    def _refusal(self, asked: Asked) -> Refusal | None:
        with self.lock:
            if self.before:
                return self.before.pop(0)
        if self.loading is not None and self.words.loading is not None and not self.loading.loaded.is_set():
            self.loading.waiting.set()
            return self.words.loading
        for parameter in self.refused:
            if parameter in asked.parameters:
                return self.words.unknown(parameter)
        answer = (asked.max_tokens or 0) if self.words.counts_answer else 0
        tokens = asked.tokens * self.cost
        if self.window is not None and self.words.too_long is not None and tokens + answer > self.window:
            return self.words.too_long(tokens, answer, self.window)
        if self.alternates and not _alternate(asked.roles):
            return self.words.roles
        return None

    def _seen(self, asked: Asked) -> Asked:
        """The part of the prompt that the model sees."""
        if self.window is None or self.words.too_long is not None:
            return asked
        system, turns = [turn for turn in asked.turns if turn[0] == "system"], asked.turns
        turns = turns[len(system) :]
        while len(turns) > 1 and asked._replace(turns=[*system, *turns]).tokens * self.cost > self.window:
            turns = turns[1:]
        return asked._replace(turns=[*system, *turns])

    def _text(self, asked: Asked) -> str:
        return self.answer if isinstance(self.answer, str) else self.answer(asked)

    def _cut(self, text: str, asked: Asked) -> tuple[Sequence[str], str]:
        """The pieces of the answer, and why it ends."""
        if self.honours_stop:
            stops = asked.parameters.get("stop") or []
            for stop in [stops] if isinstance(stops, str) else stops:
                text = text.partition(stop)[0]
        finish, limit = "stop", asked.max_tokens
        if limit is not None and tokens_in(text) > limit:
            text, finish = text.encode()[: 4 * limit].decode(errors="ignore"), "length"
        if self.piece_length is None:
            return _WORD.findall(text) or [text], finish
        return [text[at : at + self.piece_length] for at in range(0, len(text), self.piece_length)], finish


def _alternate(roles: Sequence[str]) -> bool:
    """Whether they do, behind one system turn at most, from a user's turn to a user's turn."""
    roles = roles[1:] if roles[:1] == ["system"] else roles
    return (
        bool(roles)
        and roles[0] == roles[-1] == "user"
        and set(roles) <= {"user", "assistant"}
        and all(one != other for one, other in pairwise(roles))
    )
