"""Every call of the queue can cross a network: JSON can carry all arguments and results."""

from typing import Any, get_type_hints

import msgspec
from msgspec.structs import replace
from queue_wall import Wall

from durable_objects.methods import functions_of
from saywhatwant.message import NewMessage, Ruling
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.standing import Hold, Stand
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import BatchRequest, CircuitReport, Reply

NEW = NewMessage(text="Why is space black?", username="Human", color="169080199", entity="zen")
CIRCUIT = CircuitReport(worker_id="bot", provider="a provider", entities=["zen"], seconds=60, reason="no answer")
STAND = Stand("0123456789abcdef", "gateway", 1, "bot", 2, {"joy": 1}, also=("zen",))
FENCE = {"worker_id": "bot", "attempt": 1}

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("post", {"new": NEW}),
    ("post", {"new": NEW}),
    ("post", {"new": replace(NEW, context=("Eve: I am Eve.",), ais="MyAI:255069000", session_id="s")}),
    ("post", {"new": NEW}),
    ("report_circuit", {"report": CIRCUIT}),
    ("claim", {"message_id": "first", "worker_id": "bot", "entities": ("zen",), "also": (), "context": 10, "unfenced": False}),
    ("claim_next", {"worker_id": "bot", "entities": ("zen",), "limit": 2, "also": ("joy",), "context": 10, "unfenced": True}),
    ("listing", {"state": "held", "limit": 10}),
    ("extend", {"message_id": "first", **FENCE}),
    ("progress", {"message_id": "first", **FENCE, "text": "Because", "state": "writing"}),
    ("complete", {"message_id": "first", **FENCE, "reply": Reply(text="Because.", username="Zen")}),
    ("fail", {"message_id": "second", **FENCE, "error": "no words", "retry": False, "detail": "out of memory"}),
    ("listing", {"state": "failed", "limit": 10}),
    ("retry", {"message_id": "second"}),
    ("batch", {"request": BatchRequest(action="fail", entity="nobody", reason="no bot")}),
    ("fail", {"message_id": "third", **FENCE, "error": "no words"}),
    ("listing", {"state": "waiting", "limit": 10}),
    ("claim", {"message_id": "fourth", "worker_id": "bot"}),
    ("held", {"message_id": "fourth", "attempt": 1, "context": 10}),
    ("stand", {"stand": STAND, "holds": (Hold("first", 1),), "resumes": "89abcdef01234567"}),
    ("sockets", {}),
    ("stand_at", {"socket": "0123456789abcdef"}),
    ("leave", {"socket": "0123456789abcdef", "give_back": False}),
    ("claim_next", {"worker_id": "bot", "entities": ("joy",), "wait": Wait("ticket", 1_000, since=1, woken_for=("a",))}),
    ("cancel", {"ticket": "ticket", "woken_for": ("a",)}),
    ("release", {"message_id": "fourth", **FENCE}),
    ("hide", {"message_id": "first", "reason": "rude", "name": True}),
    ("hidden", {"message_id": "first"}),
    ("restore", {"message_id": "first"}),
    ("forget_in_contexts", {"text": "I am Eve", "after": 0}),
    ("erase", {"message_id": "third", "name": True}),
    ("pending", {"limit": 10, "entity": None}),
    ("read", {"since": 0, "limit": 2, "newest_first": False, "before": None}),
    ("read", {"conversation": "0123456789abcdef"}),
    ("changes", {"since": 0, "limit": 1}),
    ("stats", {"entities": ("zen",)}),
    ("post_held", {"new": replace(NEW, id="fifth", ruling=Ruling("hold", "space"))}),
    ("end_held", {"message_id": "first"}),
    ("message", {"message_id": "first"}),
    ("tally", {}),
    ("overview", {"entities": ("zen",)}),
    ("story", {"message_id": "first"}),
    ("replay", {"since": 0}),
]


def crossed(value: object, kind: object) -> Any:
    """``value`` as the other side of a network gets it."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def test_every_call_and_its_result_can_cross_a_network() -> None:
    wall = Wall()
    ids: dict[str, str] = {}
    methods = {name: method for method, name in functions_of(MessageQueue).items()}
    for name, given in CALLS:
        method: Any = methods[name]
        hints = get_type_hints(method)
        arguments = given | ({"message_id": ids[given["message_id"]]} if "message_id" in given else {})
        arrived = {argument: crossed(value, hints[argument]) for argument, value in arguments.items()}
        assert arrived == arguments, name
        result = wall.call(method, **arrived)
        assert msgspec.json.encode(crossed(result, hints["return"])) == msgspec.json.encode(result), name
        if name == "post":
            ids[["first", "second", "third", "fourth"][len(ids)]] = result.id
    assert {name for name, _ in CALLS} == set(methods), "every public method is among them"
