"""The runtime of a gateway to a Restate cluster: objects live elsewhere, callers and listeners here.

    async with RestateRuntime(["http://127.0.0.1:8080"]) as runtime:
        counter = runtime.namespace("Counter", Counter).get("visits")
        assert await counter.call(Counter.add, 2) == 2

Any number of gateways may have the same objects.
"""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Struct

from durable_objects.config import check_declared, config_for
from durable_objects.contract import EventStream, Namespace, ObjectId, ObjectT
from durable_objects.errors import ConfigMismatch, DurableObjectError, OutcomeUnknown, Overloaded, RuntimeClosed
from durable_objects.event_streams import Catch
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.meter import Meter
from durable_objects.names import check_namespace
from durable_objects.restate.batchers import ATTEMPT_SECONDS, Batchers
from durable_objects.restate.encoding import DESCRIBED, PREFIX, Described
from durable_objects.restate.followers import Check, Followers
from durable_objects.restate.ingress import Ingress
from durable_objects.restate.settling import settle
from durable_objects.restate.stub import RestateNamespace

log = logging.getLogger("durable_objects")

START_SECONDS: Final = 5.0
"""How long a gateway that starts waits for the cluster before it starts without."""

LEFT: Final = "Restate's nodes keep what was stored in their logs, snapshots and databases until those are trimmed"
"""What ``scrub`` cannot reach."""

_LOOK_SECONDS: Final = 1.0


class RestateRuntime:
    """A ``contract.Runtime`` whose objects live in a Restate cluster. An asynchronous context manager, entered once.

    It starts also while the cluster does not answer, or its objects are not there yet: ``health`` says so, and calls fail with
    ``Overloaded`` after ``MAX_COMMIT_WAIT_SECONDS``. ``ConfigMismatch`` is raised when the objects are of another class or have
    another configuration: when it is entered, and by the calls of a namespace that is declared later.

    Args:
        ingress_urls: the ingress of each node, such as ``http://127.0.0.1:8080``. It stays with the first as long as that
            answers, then goes on to the next.
        prefix: what the names of its services begin with; as at the objects' process.

    Attributes:
        meter: what a gateway knows of: its own calls, the commits that they were part of, batches whose outcome is not known
            (``commit_failures``) and calls that failed. What objects read, write and send is counted where they are.
        batchers: the calls that wait.
    """

    def __init__(self, ingress_urls: Sequence[str], *, prefix: str = PREFIX) -> None:
        self.meter = Meter()
        self._ingress = Ingress(ingress_urls, prefix)
        self.batchers = Batchers(self._ingress, self.meter)
        self._followers = Followers(self._ingress, self.batchers)
        self._namespaces: dict[str, RestateNamespace[Any]] = {}
        self._running = False
        self._looking: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._ingress.open()
        self.batchers.open()
        self._running = True
        self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            await self._check_all()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _check_all(self) -> None:
        checks = [asyncio.ensure_future(namespace.check()) for namespace in self._namespaces.values()]
        if not checks:
            return
        done, late = await asyncio.wait(checks, timeout=START_SECONDS)
        for check in late:
            check.cancel()
        mismatches = [error for check in done if isinstance(error := check.exception(), ConfigMismatch)]
        if mismatches:
            raise mismatches[0]

    async def ready(self) -> None:
        """Return once the cluster answers and has the objects of all namespaces; raises ``ConfigMismatch``."""
        checks = [asyncio.ensure_future(_checked(namespace)) for namespace in self._namespaces.values()]
        try:
            await asyncio.gather(*checks)
        finally:
            for check in checks:
                check.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        self._looking.cancel()
        await self._followers.close()
        await self.batchers.close()
        await self._ingress.close()
        await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        """Check the namespaces that are not known to be the right ones, and see whether a node answers again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for namespace in list(self._namespaces.values()):
                try:
                    await (self.describe(namespace.name) if namespace.is_checked and self._ingress.error else namespace.check())
                except DurableObjectError:  # ``health`` has it
                    continue
                except Exception:
                    log.exception("the objects of %s could not be looked at; trying again", namespace.name)

    def health(self) -> str | None:
        """See ``contract.Runtime``."""
        if not self._running:
            return "the runtime is not running"
        errors = [namespace.error for namespace in self._namespaces.values() if namespace.error is not None]
        return self._ingress.error or next(iter(errors), None)

    async def scrub(self) -> str | None:
        """See ``contract.Runtime``; a gateway cannot reach what Restate's nodes have on their disks."""
        if not self._running:
            raise RuntimeClosed("the runtime is not running")
        return LEFT

    def namespace(self, name: str, cls: type[ObjectT], config: Struct | None = None) -> Namespace[ObjectT]:
        """See ``contract.Runtime``."""
        check_namespace(name)
        config = config_for(cls, config)
        namespace = self._namespaces.setdefault(name, RestateNamespace(self, name, cls, config))
        check_declared(name, (namespace.cls, namespace.config), (cls, config))
        return namespace

    def listen(self, to: ObjectId, since: int | None, *, check: Check, replay: Catch) -> EventStream:
        """A stream of an object's events."""
        return self._followers.listen(to, since, check=check, replay=replay)

    async def settle(self, to: ObjectId) -> None:
        """See ``contract.Stub``."""
        await settle(self._ingress, to)

    async def describe(self, namespace: str) -> Described:
        """What runs in the objects' process; raises ``Overloaded`` when nobody says."""
        deadline = asyncio.get_running_loop().time() + MAX_COMMIT_WAIT_SECONDS
        try:
            encoded = await self._ingress.send(
                ObjectId(namespace, "describe"), "describe", b"", deadline=deadline, attempt_seconds=ATTEMPT_SECONDS
            )
        except OutcomeUnknown as error:
            raise Overloaded(f"whether the objects of the namespace {namespace!r} are ready is not known: {error}") from error
        found: Described = DESCRIBED.decode(encoded)
        return found


async def _checked(namespace: RestateNamespace[Any]) -> None:
    """Return once the objects are known to be the right ones, however long that takes."""
    while not namespace.is_checked:
        try:
            await namespace.check()
        except Overloaded:
            await asyncio.sleep(_LOOK_SECONDS)
