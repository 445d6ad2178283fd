"""A wall of its own on a Restate server that many tests share: a gateway, and the process with its objects."""

import secrets
import signal
import subprocess
from pathlib import Path
from types import TracebackType

import httpx

from deployments import Deployment
from durable_objects.restate.node import Node
from durable_objects.restate.ports import free_port
from servers import DEADLINE_SECONDS, SWW, Server, environment


class ClusteredServer(Server):
    """``sww serve`` as a gateway, with ``sww objects``; or ``sww up``, which starts its own. Both live and die together."""

    def __init__(
        self, directory: Path, *, node: Node, command: str = "serve", deployment: Deployment, **settings: object
    ) -> None:
        self._admin_url = node.admin_url
        self._name = f"wall-{secrets.token_hex(8)}"
        cluster = {
            "restate": node.ingress_url,
            "restate_admin": node.admin_url,
            "restate_name": self._name,
            "objects_bind": f"127.0.0.1:{free_port()}",
        }
        super().__init__(directory, command=command, deployment=deployment, **cluster, **settings)
        self._objects_log = directory / "objects.stderr"
        self._has_objects = command == "up"
        self._objects: subprocess.Popen[bytes] | None = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        self._remove()

    def _remove(self) -> None:
        """Remove the wall's calls and the address of its objects, which Restate would try for as long as other tests use it."""
        begun = f"SELECT id FROM sys_invocation WHERE status <> 'completed' AND target_service_name LIKE '{self._name}.%'"  # noqa: S608 - our own name
        with httpx.Client(base_url=self._admin_url, timeout=DEADLINE_SECONDS, trust_env=False) as admin:
            found = admin.post("/query", json={"query": begun}, headers={"accept": "application/json"})
            for invocation in found.raise_for_status().json()["rows"]:
                admin.patch(f"/invocations/{invocation['id']}/kill")
            for deployment in admin.get("/deployments").raise_for_status().json()["deployments"]:
                if any(service["name"].startswith(f"{self._name}.") for service in deployment["services"]):
                    admin.delete(f"/deployments/{deployment['id']}", params={"force": "true"}).raise_for_status()

    @property
    def log(self) -> str:
        """That of the gateway, then that of the objects without what says that they are ready."""
        lines = self._objects_log.read_text().splitlines(keepends=True) if self._objects_log.exists() else []
        return super().log + "".join(line for line in lines if not line.startswith("ready on "))

    def spawn(self, *, through: tuple[str, ...] = ()) -> None:
        """Start both without waiting; the gateway waits for the objects."""
        if not self._has_objects:
            with self._objects_log.open("wb") as log:
                self._objects = subprocess.Popen(
                    [SWW, "objects"],
                    cwd=self.directory,
                    env=environment(**self._settings),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
        super().spawn(through=through)

    def _announced(self) -> str | None:
        assert self._objects is None or self._objects.poll() is None, f"the objects ended before it was ready: {self.log}"
        return super()._announced()

    def kill(self) -> None:
        """Send SIGKILL to both and wait for their end."""
        super().kill()
        if self._objects is not None:
            self._objects.kill()
            self._objects.wait()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal to the gateway, then SIGTERM to the objects; return the exit status of the gateway."""
        status = super().terminate(number)
        if self._objects is not None:
            self._objects.send_signal(signal.SIGTERM)
            assert self._objects.wait(DEADLINE_SECONDS) == 0
        return status
