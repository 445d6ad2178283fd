"""The body of a request, and what a model has refused of it."""

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from saywhatwant.entities import NOT_EXTRA, Entity
from saywhatwant.models.chat.refusals import Refusal
from saywhatwant.models.model import Request, Turn

TOKENS, NEW_TOKENS = "max_tokens", "max_completion_tokens"


class Learnt(Struct, frozen=True):
    """What one model at one address does not take."""

    left_out: frozenset[str] = frozenset()
    most_tokens: int | None = None
    most_stops: int | None = None
    has_no_system: bool = False

    def after(self, refusal: Refusal, body: Mapping[str, Any]) -> Self | None:
        """What is known after this refusal of ``body``; None if it refuses nothing that could be left out."""
        if refusal.refuses_system_turns and not self.has_no_system:
            return replace(self, has_no_system=True)
        refused = refusal.refused(key for key in body if key not in NOT_EXTRA)
        if refused is None:
            return None
        most = refusal.most_tokens
        if refused in {TOKENS, NEW_TOKENS} and most and most < body[refused]:
            return replace(self, most_tokens=most)
        stops = refusal.most_stops
        if refused == "stop" and stops and stops < len(body["stop"]):
            return replace(self, most_stops=stops)
        return replace(self, left_out=self.left_out | {refused})

    def body(self, entity: Entity, request: Request, max_tokens: int, *, progress: bool = False) -> dict[str, Any]:
        """The body of the request, without what was refused. ``progress`` asks llama.cpp to report how it reads the prompt."""
        turns = _without_system(request.turns) if self.has_no_system else request.turns
        if self.most_tokens:
            max_tokens = min(max_tokens, self.most_tokens)
        asked = {
            "temperature": entity.temperature,
            "top_p": entity.top_p,
            "seed": entity.seed,
            "stop": entity.stop[: self.most_stops] or None,
            # The rest is not OpenAI's, but most other servers take it.
            "top_k": entity.top_k,
            "min_p": entity.min_p,
            "repeat_penalty": entity.repeat_penalty,  # llama.cpp, LM Studio
            "repetition_penalty": entity.repeat_penalty,  # vLLM, SGLang, TGI, OpenRouter
            self._tokens: max_tokens,
            "return_progress": progress or None,
            **entity.extra_body,
        }
        if NEW_TOKENS in entity.extra_body:
            asked.pop(TOKENS, None)
        asked = {key: value for key, value in asked.items() if value is not None and key not in self.left_out}
        return {"model": entity.model, "messages": [turn._asdict() for turn in turns], "stream": True, **asked}

    @property
    def _tokens(self) -> str:
        """The name under which the model takes the bound on its answer (OpenAI's reasoning models want the new one)."""
        return NEW_TOKENS if TOKENS in self.left_out else TOKENS


def _without_system(turns: list[Turn]) -> list[Turn]:
    """The turns with the system's text at the head of the first turn after it."""
    if not turns[1:] or turns[0].role != "system":
        return turns
    system, first, *rest = turns
    return [Turn(first.role, f"{system.content}\n\n{first.content}"), *rest]
