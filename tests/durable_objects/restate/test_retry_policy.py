"""What Restate does with calls while nobody can run them, and keeps of them when they are over."""

import asyncio
import json
import secrets
import urllib.request
from typing import Any

import pytest

from durable_objects import DurableObject
from durable_objects.restate.encoding import service_name
from durable_objects.restate.node import Node
from durable_objects.restate.objects import RestateObjects
from durable_objects.restate.ports import free_port
from scenario import run
from servers import DEADLINE_SECONDS

pytestmark = pytest.mark.one_deployment("they run on Restate alone")


class Idle(DurableObject):
    """It has no methods of its own."""


async def described(node: Node) -> dict[str, Any]:
    """A service, as Restate describes it once it is registered."""
    prefix = f"idle-{secrets.token_hex(4)}"
    objects = RestateObjects(prefix)
    objects.namespace("Idle", Idle)
    port, ready = free_port(), asyncio.Event()
    serving = asyncio.create_task(objects.serve("127.0.0.1", port, ready=ready.set))
    await ready.wait()
    try:
        await objects.register([node.admin_url], f"http://127.0.0.1:{port}")
        url = f"{node.admin_url}/services/{service_name(prefix, 'Idle')}"
        with await asyncio.to_thread(urllib.request.urlopen, url, timeout=DEADLINE_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    finally:
        objects.stop()
        await serving


def test_calls_wait_for_lost_objects_for_ever(restate: Node) -> None:
    """Restate's default is to pause a call after 70 attempts, and nothing else is called on its object until people help."""
    found = run(described(restate))
    assert found["retry_policy"]["max_attempts"] > 10**9
    own = {handler["name"]: handler["retry_policy"] for handler in found["handlers"]}
    limited = {name for name, policy in own.items() if policy.get("max_attempts") is not None}
    assert limited == {"read", "follow", "taken"}, "their answers depend on more than what Restate stores; gateways repeat them"


def test_answers_to_what_changes_nothing_are_not_kept(restate: Node) -> None:
    """Restate's default is to keep each for a day, with all that it says."""
    found = run(described(restate))
    assert found["idempotency_retention"] == "0s"
    kept = {handler["name"] for handler in found["handlers"] if "idempotency_retention" in handler}
    assert kept == {"batch", "arrive", "restore", "discard"}
