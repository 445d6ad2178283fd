"""What is measured: the processes of a wall on Restate, or of a plain Restate service, by what they do."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.contenders import product, restate_app
from benchmarks.loads import POST
from benchmarks.restate.servers import register, restate_servers
from benchmarks.running import Running, running
from durable_objects.restate.ports import free_port

SWW = str(Path(sys.executable).with_name("sww"))
ENTITIES = 64
ENTITY = """
[key-{number}]
display_name = "Key {number}"
color = "169080199"
model = "nltk:eliza"
"""


class System(NamedTuple):
    """A running system."""

    name: str
    urls: tuple[str, ...]
    """Where posts go; the load is shared among them."""
    path: str
    """Of a post to the object that is named in place of ``%s``; in front of our gateways, the post says which it is."""
    processes: dict[str, Running]
    """By what they do: ``gateway``, ``objects``, ``restate``."""
    stored: Callable[[int], int]
    """How many messages the first so many objects have stored so far."""
    batches: Callable[[], int]
    """How many commits there were so far; 0 where each call is one."""


class Plan(NamedTuple):
    """How to start a system."""

    name: str
    start: "Callable[[Path, Plan], AbstractContextManager[System]]"
    runtime: str = "restate"
    """``restate``, ``embedded``, or ``plain`` for a service that is not this product."""
    nodes: int = 1
    gateways: int = 1
    topology: str = "single"


@contextmanager
def plain(directory: Path, plan: Plan) -> Iterator[System]:
    """The plain service: clients call the ingress."""
    with restate_servers(directory, plan.nodes) as servers:
        port = free_port()
        app = (sys.executable, "-m", "benchmarks.contenders.restate_app", str(port))
        with running(*app, ready=r'"port": (\d+)') as service:
            register(servers.admin, f"http://127.0.0.1:{port}")

            def stored(objects: int) -> int:
                with httpx.Client(base_url=servers.ingresses[0], timeout=30, trust_env=False) as http:
                    answers = [http.post(f"/{restate_app.NAME}/key-{number + 1}/stats") for number in range(objects)]
                return sum(answer.raise_for_status().json()["seq"] for answer in answers)

            stored(1)
            processes = {"objects": service, "restate": servers.running}
            yield System(plan.name, servers.ingresses, f"/{restate_app.NAME}/%s/post", processes, stored, lambda: 0)


@contextmanager
def cluster(directory: Path, plan: Plan) -> Iterator[System]:
    """This product: gateways, the objects' process, Restate servers."""
    settings = _settings(directory, plan)
    with restate_servers(directory, plan.nodes) as servers, ExitStack() as stack:

        def run(*arguments: str) -> Running:
            return stack.enter_context(running(SWW, *arguments, variables=settings, directory=directory))

        processes = {"objects": run("objects", "--bind", "127.0.0.1:0", "--restate-admin", servers.admin)}
        for number in range(plan.gateways):
            # Each begins with another node.
            ingresses = (*servers.ingresses[number:], *servers.ingresses[:number])
            serve = ("serve", "--bind", "127.0.0.1:0", "--runtime", "restate", "--restate", ",".join(ingresses))
            processes[f"gateway {number + 1}"] = run(*serve)
        urls = tuple(process.url for name, process in processes.items() if name != "objects")
        yield _walls(plan, urls, {**processes, "restate": servers.running})


@contextmanager
def embedded(directory: Path, plan: Plan) -> Iterator[System]:
    """This product in one process, without Restate."""
    with product.Product(product.NAME, None, **_settings(directory, plan)).start(directory) as server:
        yield _walls(plan, (server.url,), {"gateway": server})


def _settings(directory: Path, plan: Plan) -> dict[str, str]:
    """The settings of gateways and objects; each entity has an object of its own in ``per-entity``."""
    entities = directory / "entities.toml"
    entities.write_text("".join(ENTITY.format(number=number + 1) for number in range(ENTITIES)), encoding="utf-8")
    return product.SETTINGS | {"SWW_TOPOLOGY": plan.topology, "SWW_ENTITIES": str(entities), "SWW_OPEN_ENTITIES": "true"}


def _walls(plan: Plan, urls: tuple[str, ...], processes: dict[str, Running]) -> System:
    def stored(_: int) -> int:
        return int(httpx.get(f"{urls[0]}/api/stats", timeout=60, trust_env=False).raise_for_status().json()["seq"])

    def batches() -> int:
        metrics = [httpx.get(f"{url}/metrics", timeout=60, trust_env=False).raise_for_status().text for url in urls]
        return sum(int(float(_commits(text))) for text in metrics)

    return System(plan.name, urls, POST, processes, stored, batches)


def _commits(metrics: str) -> str:
    found = re.search(r"^sww_storage_commits_total (\S+)", metrics, re.MULTILINE)
    assert found
    return found[1]
