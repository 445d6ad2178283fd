"""Three Restate servers on this machine as one cluster, which outlives this program.

The same configuration as on machines of their own (see ``node.toml`` and ``compose.yaml``), but for the addresses: to try a
cluster out, and to see what it does when a node is killed. Its folder has each node's configuration, log, process id and data.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from durable_objects.errors import DurableObjectError
from durable_objects.restate.cluster import cluster_configs, ctl, provision
from durable_objects.restate.guarded import STOP_SECONDS
from durable_objects.restate.node import READY_SECONDS, end_of, is_alive, is_ready
from durable_objects.restate.node_config import NodeConfig
from durable_objects.restate.programs import restate_server

LOOK_EVERY_SECONDS = 0.05


class Server:
    """One of the servers; all that is known of it is in the folder."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self._note = config.directory / f"{config.name}.pid"
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 when it does not run, though another program may have the number by now."""
        if self._started:  # by this run of the program
            return 0 if self._started.poll() is not None else self._started.pid
        if not self._note.exists():
            return 0
        pid = self._note.read_text()
        shown = subprocess.run(
            ["ps", "-ww", "-o", "stat=,args=", "-p", pid], capture_output=True, text=True, check=False
        ).stdout
        is_it = str(self.config.file) in shown and not shown.startswith("Z")
        return int(pid) if is_it else 0

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.pid:
            return
        self.config.write()
        with self.config.log.open("wb") as log:
            command = [str(restate_server()), "--no-logo", "--config-file", str(self.config.file)]
            self._started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._note.write_text(str(self._started.pid))

    def end(self, number: signal.Signals) -> None:
        """Send it a signal and wait for its end; what does not end in time is killed."""
        deadline = time.monotonic() + STOP_SECONDS
        while pid := self.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if time.monotonic() > deadline else number)
            time.sleep(LOOK_EVERY_SECONDS)


def wait(servers: Sequence[Server], *, ready: bool) -> None:
    """Wait until all answer, or are even ready; the program ends when one fails to."""
    look = is_ready if ready else is_alive
    deadline = time.monotonic() + READY_SECONDS
    for server in servers:
        while not look(server.config):
            if not server.pid or time.monotonic() > deadline:
                sys.exit(f"{server.config.name} is not ready: {end_of(server.config.log)}")
            time.sleep(LOOK_EVERY_SECONDS)


def start(servers: Sequence[Server], chosen: Sequence[Server]) -> None:
    """Start these, and provision the cluster if that was not done before."""
    for server in chosen:
        server.start()
    wait(chosen, ready=False)
    provision(chosen[0].config)
    wait(chosen, ready=True)
    print("calls to", *(server.config.ingress_url for server in servers if server.pid))
    print("admin at", *(server.config.admin_url for server in servers if server.pid))


def status(servers: Sequence[Server]) -> None:
    """Print which run, and what they say about the cluster."""
    for server in servers:
        print(server.config.name, f"runs as process {server.pid}" if server.pid else "is down", server.config.node_url)
    if running := [server.config for server in servers if server.pid]:
        print(ctl(running, "status"), ctl(running, "partitions", "list"), sep="\n")


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("data/cluster"), help="where everything is kept")
    parser.add_argument("--port", type=int, default=18080, help="calls go to the ports after it, admin 10 and nodes 20 higher")
    parser.add_argument("--partitions", type=int, default=6, help="shards of objects, of a new cluster")
    parser.add_argument("command", choices=["start", "stop", "kill", "restart", "status", "ctl"])
    parser.add_argument(
        "rest", nargs="*", help="the number of a node, 1 to 3 (kill needs one); for ctl, the words for restatectl"
    )
    return parser.parse_args()


def stop(chosen: Sequence[Server]) -> None:
    """Stop these. All are asked before one is waited for, since the last one would wait for those that are gone."""
    for server in chosen:
        if pid := server.pid:
            os.kill(pid, signal.SIGTERM)
    for server in chosen:
        server.end(signal.SIGTERM)


def servers_of(given: argparse.Namespace) -> list[Server]:
    """The three of the folder and ports that were given."""
    configs = [
        NodeConfig(
            directory=given.folder.resolve(),
            name=f"node-{number}",
            ingress_port=given.port + number,
            admin_port=given.port + 10 + number,
            node_port=given.port + 20 + number,
            partitions=given.partitions,
        )
        for number in (1, 2, 3)
    ]
    return [Server(config) for config in cluster_configs(configs)]


def main() -> None:
    """Do what the command line says."""
    given = arguments()
    servers = servers_of(given)
    if given.command == "ctl":
        print(ctl([server.config for server in servers if server.pid], *given.rest), end="")
        return
    chosen = [servers[int(number) - 1] for number in given.rest] or servers
    match given.command:
        case "start":
            start(servers, chosen)
        case "stop":
            stop(chosen)
        case "kill" if given.rest:
            chosen[0].end(signal.SIGKILL)
        case "restart":
            for server in chosen:  # one after the other: two of three always run
                stop([server])
                start(servers, [server])
        case "status":
            status(servers)
        case _:
            sys.exit("kill needs the number of a node")


if __name__ == "__main__":
    try:
        main()
    except DurableObjectError as error:
        sys.exit(str(error))
