"""The wall on workerd, on this machine, with the settings and the ready line of ``sww serve``; ``up`` adds a bot."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bundle import HERE, bundle
from project import Project, read
from workerd import CannotListen, Locked, Workerd, WorkerdFailed, WorkerdMissing

from durable_objects.restate.guarded import GUARD
from saywhatwant.cloudflare import settings as cloudflare
from saywhatwant.cloudflare import static_files
from saywhatwant.commands.binding import cannot_bind
from saywhatwant.errors import ExpectedError
from saywhatwant.settings import PREFIX, Settings, as_environment, load

EXPECTED_ERRORS = (ExpectedError, Locked, OSError, WorkerdFailed, WorkerdMissing)
"""Errors that are printed as one sentence instead of a traceback."""
_NOT_OF_THE_OBJECT = ("bind", "data", "runtime", "model_idle_seconds", "model_seconds")
"""Settings of this program and of the bot."""
_READY = "/readyz"
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def arguments(line: Sequence[str] | None = None) -> argparse.Namespace:
    """What a command line says, by default that of this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", choices=["serve", "up"], default="serve", help="without a bot, or with one")
    parser.add_argument("--bind", metavar="HOST:PORT", help="where to listen; port 0 picks one (default 127.0.0.1:8787)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the directory of the data (default ./data)")
    parser.add_argument("--runtime", choices=["cloudflare"], help="no other")
    parser.add_argument("--project", type=Path, default=HERE, metavar="DIR", help="another worker than the wall")
    return parser.parse_args(line)


def wall(settings: Settings, project: Project) -> Workerd:
    """The wall, not yet started."""
    usual = as_environment(Settings())
    given = {name: text for name, text in as_environment(settings).items() if usual.get(name) != text}
    for name in _NOT_OF_THE_OBJECT:
        given.pop(PREFIX + name.upper(), None)
    files = []
    if settings.entities:
        files.append(settings.entities)
        given[f"{PREFIX}ENTITIES"] = settings.entities.name
    checked = cloudflare.load(given | {f"{PREFIX}BIND": settings.bind}, project.folder)  # an error is ours, not workerd's
    settings.data.mkdir(parents=True, exist_ok=True)
    assets = settings.data / "assets"
    shutil.rmtree(assets, ignore_errors=True)
    static_files.write(assets, checked)
    config = project.config(bundle(), settings.data, files=files, environment=[*given, f"{PREFIX}BIND"], assets=assets)
    return Workerd(
        config,
        settings.data,
        bind=(settings.host, settings.port),
        environment=given,
        address_variable=f"{PREFIX}BIND",
        ready=_READY,
    )


@contextmanager
def bot(url: str, settings: Settings) -> Iterator[None]:
    """A bot for the wall, until the end of the block."""
    command = [str(Path(sys.executable).with_name("sww")), "bot", "--url", url]
    process = subprocess.Popen(
        [*GUARD, *command],
        stdin=subprocess.PIPE,
        stdout=sys.stderr,
        env=os.environ | as_environment(settings),
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def stop(*_: object) -> None:
    """End the program in order. Signals that follow are ignored: they must not interrupt that."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    given = arguments()
    for number in _STOPPING:
        signal.signal(number, stop)
    settings = load(bind=given.bind, data=given.data)
    try:
        with wall(settings, read(given.project)) as served:
            print(f"ready on {served.url}", file=sys.stderr, flush=True)
            with bot(served.url, settings) if given.command == "up" else nullcontext():
                sys.exit(f"workerd has ended with {served.wait()}")
    except CannotListen as error:
        raise cannot_bind("SWW_BIND", settings.bind, error) from error


if __name__ == "__main__":
    try:
        main()
    except EXPECTED_ERRORS as error:
        sys.exit("\n".join(f"serve.py: {line}" for line in str(error).splitlines()))
