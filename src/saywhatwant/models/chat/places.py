"""The addresses of models: which one is called next, and what is known of a model there."""

import time
from collections.abc import Collection
from itertools import count
from urllib.parse import urlsplit, urlunsplit

from saywhatwant.entities import Entity
from saywhatwant.models.chat.circuit import Circuit
from saywhatwant.models.chat.parameters import Learnt

COLD_AFTER_SECONDS = 60.0
"""A model that has not answered for this long may have been unloaded (Ollama's default is five minutes, but another model may
take its memory at any time)."""


class Place:
    """One model at one address."""

    def __init__(self, model: str, base_url: str | None) -> None:
        self.model = model
        self.base_url = base_url
        self.circuit = Circuit()
        self.learnt = Learnt()
        self.window: int | None = None
        """Tokens that prompt and answer may have, by a refusal or the server's own word."""
        self.reports_progress = False
        """Whether its server is llama.cpp, which reports how it reads a prompt."""
        self.calls = 0
        """Requests that are under way."""
        self.turn = 0
        """When it was last called, as a number that rises with each call to any place."""
        self.is_probed = False
        """Whether a small request is under way that finds out whether it works again."""
        self._answered = float("-inf")

    def __str__(self) -> str:
        return f"{self.model} at {self.address}"

    @property
    def address(self) -> str:
        """The address without user name and password; only for the log and the operator."""
        if self.base_url is None:
            return "OpenAI"
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def is_cold(self) -> bool:
        """Whether it has not answered lately, so that the model may have to be loaded first."""
        return time.monotonic() - self._answered > COLD_AFTER_SECONDS

    def answered(self) -> None:
        """The model sends an answer."""
        self._answered = time.monotonic()

    def fell_silent(self) -> None:
        """The model sent nothing for too long: it may have been unloaded."""
        self._answered = float("-inf")


class Places:
    """All places of the entities of this process."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str | None], Place] = {}
        self._turns = count(1)

    def of(self, entity: Entity) -> list[Place]:
        """The places of an entity's model."""
        urls: tuple[str | None, ...] = entity.base_urls or (None,)
        return [self._places.setdefault((entity.model, url), Place(entity.model, url)) for url in dict.fromkeys(urls)]

    def next(self, entity: Entity, failed: Collection[Place] = ()) -> Place:
        """The place to call: the healthy ones in turn, else the one whose pause ends first.

        ``failed`` are those that have failed for this message; they are the last resort.
        """

        def preference(place: Place) -> tuple[bool, bool, float, bool, int]:
            circuit = place.circuit
            return place in failed, not circuit.is_healthy, circuit.seconds_left, not circuit.is_rested, place.turn

        place = min(self.of(entity), key=preference)
        place.turn = next(self._turns)
        return place

    def to_probe(self, entity: Entity) -> list[Place]:
        """The places that should be tried again with a small request, since another one answers for them."""
        places = self.of(entity)
        if not any(place.circuit.is_healthy for place in places):
            return []
        return [place for place in places if not place.circuit.is_healthy and place.circuit.is_rested and not place.is_probed]

    def open_circuit(self, entity: Entity) -> Place | None:
        """The place whose pause ends first, if all of the entity's places pause."""
        place = min(self.of(entity), key=lambda place: place.circuit.seconds_left)
        return place if place.circuit.seconds_left else None
