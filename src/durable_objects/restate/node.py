"""A Restate server: a process of its own, on this machine."""

import http.client
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from durable_objects.errors import DurableObjectError
from durable_objects.restate.guarded import GuardedServer
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.ports import is_free
from durable_objects.restate.programs import restate_server

READY_SECONDS = 120
"""A server that does not answer this long after its start has failed; on a machine with nothing else to do it takes one."""
_LOOK_EVERY_SECONDS = 0.02
_ANSWER_SECONDS = 10
_PORTS_SECONDS = 10
"""How long ports may stay taken by the server that was there before: it ends with its parent, but not in the same instant."""
_LOG_CHARACTERS = 2000
_QUERY = "SELECT count(*) FROM sys_promise"
"""Restate asks the leader of every partition for this table, which is empty: we have no workflows."""


class NodeFailed(DurableObjectError):
    """A Restate server did not start, or did not become ready; its text ends with what was logged last."""


class Node(GuardedServer):
    """A Restate server."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__()
        self.config = config.with_ports()
        """With the ports that it has, now and after each restart of this ``Node``."""

    @property
    def ingress_url(self) -> str:
        """Where calls are sent."""
        return self.config.ingress_url

    @property
    def admin_url(self) -> str:
        """Where deployments are registered."""
        return self.config.admin_url

    @property
    def node_url(self) -> str:
        """Where ``restatectl`` asks, and where the metrics are."""
        return self.config.node_url

    def start(self) -> None:
        """Start it without waiting until it is ready.

        Raises:
            NodeFailed: it runs already, or another program has one of its ports.
            RestateMissing: it is not installed.
        """
        if self.is_running:
            raise NodeFailed(f"{self.config.name} is running already")
        self.kill()  # what is left of one that ended by itself
        program = restate_server()
        self._wait_for_ports()
        self.config.write()
        with self.config.log.open("wb") as log:
            self._launch(
                [program, "--no-logo", "--config-file", self.config.file.resolve()],
                output=log,
                error_output=log,
                directory=self.config.directory,
                environment=_environment(),
            )

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until every partition of its cluster has a leader that answers.

        Raises:
            NodeFailed: it has ended, or is not ready after so many seconds.
        """
        self._wait(lambda: is_ready(self.config), seconds, "every partition had a leader")

    def wait_until_alive(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it answers ``restatectl``, as a cluster's node does before the cluster is provisioned.

        Raises:
            NodeFailed: it has ended, or does not answer after so many seconds.
        """
        self._wait(lambda: is_alive(self.config), seconds, "it answered")

    def log(self) -> str:
        """The end of what it has logged since its last start."""
        return end_of(self.config.log)

    def _wait_for_ports(self) -> None:
        deadline = time.monotonic() + _PORTS_SECONDS
        for port in self.config.ports:
            while not is_free(port, self.config.bind_ip):
                if time.monotonic() > deadline:
                    raise NodeFailed(f"{self.config.name} needs the port {port} of {self.config.bind_ip}, which is in use")
                time.sleep(_LOOK_EVERY_SECONDS)

    def _wait(self, look: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            if not self.is_running:
                raise NodeFailed(f"{self.config.name} ended before {what}: {self.log()}")
            if time.monotonic() > deadline:
                raise NodeFailed(f"{self.config.name} has run for {seconds:.0f} s, and not yet has {what}: {self.log()}")
            time.sleep(_LOOK_EVERY_SECONDS)


def is_ready(config: NodeConfig) -> bool:
    """Whether every partition of the cluster has a leader that answers a query of this node's.

    Its own ``/restate/health`` says less: that it listens.
    """
    body = json.dumps({"query": _QUERY})
    status, _ = _request(config.admin_port, config.bind_ip, "POST", "/query", body)
    return status == http.client.OK


def is_alive(config: NodeConfig) -> bool:
    """Whether the node answers at all."""
    status, _ = _request(config.node_port, config.bind_ip, "GET", "/health")
    return status > 0


def end_of(log: Path) -> str:
    """The last characters of a log, with which a failure is explained."""
    return log.read_text(errors="replace").strip()[-_LOG_CHARACTERS:] if log.exists() else ""


def _request(port: int, host: str, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """A request's status and answer; 0 when nobody answers. No proxy is asked, since these are addresses of this machine."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", "Accept": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    """This environment without what would change the server's configuration behind its file."""
    changing = ("RESTATE_", "RUST_LOG", "DO_NOT_TRACK")
    return {name: value for name, value in os.environ.items() if not name.startswith(changing)}
