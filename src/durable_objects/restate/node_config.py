"""The configuration of one Restate server, as the TOML file that it reads."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from durable_objects.restate.ports import free_port

LOG_FILTER = "warn,restate_admin::query_utils=error,octocrab=off"
"""Warnings, but none about queries that come before there are leaders, or about the version check that finds no network."""

MOST_AT_ONCE = "256MiB"
"""At most so much is sent at once. The keys of all rows of an object are, when it comes into memory. Restate's own 32 MiB are
fewer than an object that is used much can have, which could then not be loaded again."""


class NodeConfig(Struct, frozen=True, kw_only=True):
    """What a node is started with. Ports that are 0 are picked by ``with_ports``."""

    directory: Path
    """Where its configuration, its log and a folder with its data (all named after it) are; made if missing."""
    name: str = "node-1"
    """Unique in the cluster, and the same whenever it is started on the same data."""
    cluster: str = "objects"
    bind_ip: str = "127.0.0.1"
    ingress_port: int = 0
    """Where calls come in."""
    admin_port: int = 0
    """Where deployments are registered, and SQL is answered; also the page for operators."""
    node_port: int = 0
    """Where other nodes and ``restatectl`` reach it; also its metrics."""
    partitions: int = 4
    """Shards of objects, each with one leader; fixed once the data exists. A few per core."""
    log_filter: str = LOG_FILTER
    """What is logged, as Rust programs write it: ``warn,restate=info``."""
    more: Mapping[str, Any] = {}
    """Further keys of Restate's configuration by name, tables as mappings; they win over those made here."""

    @property
    def file(self) -> Path:
        """The TOML file."""
        return self.directory / f"{self.name}.toml"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.directory / f"{self.name}.log"

    @property
    def ports(self) -> tuple[int, int, int]:
        """Those of ingress, admin and node."""
        return self.ingress_port, self.admin_port, self.node_port

    @property
    def ingress_url(self) -> str:
        return f"http://{self.bind_ip}:{self.ingress_port}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.bind_ip}:{self.admin_port}"

    @property
    def node_url(self) -> str:
        return f"http://{self.bind_ip}:{self.node_port}"

    def with_ports(self) -> "NodeConfig":
        """The same with a free port for each that is 0."""
        ingress, admin, node = (port or free_port(self.bind_ip) for port in self.ports)
        return replace(self, ingress_port=ingress, admin_port=admin, node_port=node)

    def toml(self) -> str:
        """The text of the file."""
        made = {
            "cluster-name": self.cluster,
            "node-name": self.name,
            "base-dir": str(self.directory.resolve()),
            "bind-ip": self.bind_ip,
            "bind-port": self.node_port,
            "listen-mode": "tcp",  # it would also listen on Unix sockets, and other users of the machine could find those
            "disable-telemetry": True,
            "default-num-partitions": self.partitions,
            "log-filter": self.log_filter,
            "log-disable-ansi-codes": True,
            "networking": {"message-size-limit": MOST_AT_ONCE},
            "ingress": {"bind-port": self.ingress_port},
            "admin": {"bind-port": self.admin_port},
            # An objects' process that stands still, or whose machine is gone, counts as lost after this time.
            "worker": {
                "cleanup-interval": "1m",  # when answers that were kept long enough are removed; each hour otherwise
                "invoker": {"http2-keep-alive-interval": "2s", "http2-keep-alive-timeout": "3s"},
            },
        }
        return "\n".join(_lines(_merged(made, self.more))) + "\n"

    def write(self) -> None:
        """Write the file, and make its directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file.write_text(self.toml())


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {**under, **over}
    for name in under.keys() & over.keys():
        if isinstance(under[name], Mapping) and isinstance(over[name], Mapping):
            both[name] = _merged(under[name], over[name])
    return both


def _lines(table: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """A table as TOML: its own values first, since a header holds until the next one."""
    for name, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{name} = {json.dumps(value)}"  # TOML writes these values as JSON does
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield f"\n[{path}{name}]"
            yield from _lines(value, f"{path}{name}.")
