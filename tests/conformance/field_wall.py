"""A wall with a bot whose models are scripted, and its visitors: black box over HTTP, on both sides of the product."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from calls import Json, read, said
from scripted_models import ScriptedModel
from scripted_server import Asked, ScriptedServer

from conftest import MakeServer
from servers import Server, until

Keys = Mapping[str, object]
"""Keys of an entity, beyond those that every one needs."""

_colors = (f"{100 + number // 10_000:03d}{number // 100 % 100:03d}{number % 100:03d}" for number in count(1))


class FieldWall:
    """A server and a bot in one process, whose entities all have a scripted model of their own name."""

    def __init__(self, server: Server, models: ScriptedServer) -> None:
        self.server = server
        self.models = models
        self._posted_at: dict[str, int] = {}

    def visitor(self, model: ScriptedModel, entity: str = "probe") -> "Visitor":
        """A new visitor of the entity, whose model is this one from now on."""
        self.models.scripts[entity] = model
        return Visitor(self, entity)

    def post(self, body: Json) -> str:
        """Post a message; returns its id."""
        posted = said(self.server.http.post("/api/comments", json=body))
        self._posted_at[posted["id"]] = posted["timestamp"]
        return str(posted["id"])

    def message(self, message_id: str) -> Json:
        """The message as it stands now."""
        query: dict[str, str | int] = {"since": self._posted_at[message_id] - 1, "limit": 1, "order": "asc"}
        found = {message["id"]: message for message in said(self.server.http.get("/api/comments", params=query))}
        return dict(found[message_id])

    def answers_to(self, message_id: str) -> list[Json]:
        """The answers to a message."""
        return [message for message in read(self.server, since=self._posted_at[message_id]) if message["replyTo"] == message_id]

    def until_ended(self, message_id: str) -> Json:
        """The message, once it is complete or failed."""

        def ended() -> Json | None:
            message = self.message(message_id)
            return message if message["botParams"]["status"] in {"complete", "failed"} else None

        return until(ended, f"the end of {message_id}")

    def answer_to(self, message_id: str) -> str:
        """The text of its one answer, once it is there."""
        message = self.until_ended(message_id)
        assert message["botParams"]["status"] == "complete", message["botParams"]["error"]
        (answer,) = self.answers_to(message_id)
        return str(answer["text"])

    def asked(self, model: str) -> Asked:
        """The last request for a model."""
        return self.models.of(model)[-1]


class Visitor:
    """Somebody with a name and a color, which together nobody else has."""

    def __init__(self, wall: FieldWall, entity: str, username: str = "Human") -> None:
        self.wall = wall
        self.entity = entity
        self.username = username
        self.color = next(_colors)

    def body(self, text: str, **params: object) -> Json:
        """The JSON body of a post to the entity."""
        return {"text": text, "username": self.username, "color": self.color, "botParams": {"entity": self.entity} | params}

    def post(self, text: str, **params: object) -> str:
        """Post to the entity; returns the message's id."""
        return self.wall.post(self.body(text, **params))

    def ask(self, text: str, **params: object) -> str:
        """Post, and wait for the text of the answer."""
        return self.wall.answer_to(self.post(text, **params))


def toml_value(value: object) -> str:
    """A value in TOML; a JSON string, number or list is the same there."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_value(other)}" for key, other in value.items()) + "}"
    return json.dumps(value)


def entities_toml(base_url: str, entities: Mapping[str, Keys]) -> str:
    """An entities file; each entity's model has its name unless it says otherwise."""

    def table(name: str, keys: Keys) -> str:
        usual = {"display_name": name.capitalize(), "color": "070140180", "model": name, "base_url": base_url}
        return "\n".join([f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in (usual | dict(keys)).items())])

    return "\n".join(table(name, keys) for name, keys in entities.items()) + "\n"


@contextmanager
def field_wall(directory: Path, make_server: MakeServer, entities: Mapping[str, Keys], **settings: Any) -> Iterator[FieldWall]:
    """The wall and its bot, until the end of the block."""
    with ScriptedServer() as models:
        file = directory / "entities.toml"
        file.write_text(entities_toml(models.base_url, entities))
        wanted = {"retention": 100_000, "backoff_seconds": 0.001, "lease_seconds": 600, "entities": file} | settings
        with make_server(directory, command="up", **wanted) as server:
            yield FieldWall(server, models)
