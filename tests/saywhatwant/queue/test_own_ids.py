"""A client's own id for its message: P7 without a header."""

from typing import Any

import pytest
from queue_wall import Wall

from durable_objects import KeyReused
from saywhatwant.errors import IdTaken
from saywhatwant.message import NewMessage


def test_p7_a_clients_own_id_makes_one_message_and_gets_the_first_answer_again() -> None:
    wall = Wall(backlog_limit=1_000_000)
    new = NewMessage(text="Why?", username="Human", color="169080199", entity="zen", id="k3x9w2ab")
    first = wall.post(new)
    assert (first.id, first.repeated) == ("k3x9w2ab", False)
    for n in range(10_000):
        wall.post(NewMessage(text="Why?", username="Human", color="169080199", id=f"other{n}"))
    for _ in range(2):
        again = wall.post(new)
        assert (again.id, again.timestamp, again.repeated) == (first.id, first.timestamp, True)
        wall.runtime.crash()
    assert sum(message.id == "k3x9w2ab" for message in wall.messages()) == 1


CONTENT: dict[str, Any] = {"text": "Why?", "username": "Human", "color": "169080199", "entity": "zen", "id": "k3x9w2ab"}
OTHER_CONTENT: list[dict[str, Any]] = [
    {"text": "How?"},
    {"entity": None},
    {"answer": False},
    {"ais": "MyAI:255069000"},
    {"session_id": "s1"},
    {"context": ()},
    {"context": ("a",)},
    {"color_tail": "Ab3dE5gH1j"},
]


@pytest.mark.parametrize("other", OTHER_CONTENT, ids=str)
def test_p7_the_same_id_with_other_content_is_refused(other: dict[str, Any]) -> None:
    wall = Wall()
    wall.post(NewMessage(**CONTENT))
    with pytest.raises(KeyReused, match="this id was used for another message") as refused:
        wall.post(NewMessage(**(CONTENT | other)))
    assert refused.value.fields == {"field": "id"}
    assert len(wall.messages()) == 1


def test_p7_the_id_of_somebody_elses_message_is_refused() -> None:
    wall = Wall()
    others = wall.ask()
    with pytest.raises(IdTaken):
        wall.post(NewMessage(**(CONTENT | {"id": others})))
    assert wall.post(NewMessage(**CONTENT)).id == "k3x9w2ab"


def test_p7_an_id_and_an_idempotency_key_of_the_same_letters_are_two_keys() -> None:
    wall = Wall()
    first = wall.post(NewMessage(**CONTENT))
    second = wall.post(NewMessage(**(CONTENT | {"id": None})), "k3x9w2ab")
    assert first.id != second.id
