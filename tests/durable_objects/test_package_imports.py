"""``import durable_objects`` needs the standard library and msgspec, and no part of it that other platforms lack."""

import pytest
from blocked import ADAPTER, run_blocked


def test_the_package_imports_without_threads_file_locks_and_sqlite() -> None:
    done = run_blocked("import durable_objects; durable_objects.Meter()")
    assert done.returncode == 0, done.stderr


def test_the_queue_imports_without_them_too() -> None:
    """So that it can live where there are no files and threads."""
    done = run_blocked(
        'ALLOWED |= {"saywhatwant", "sortedcontainers"}; import saywhatwant.queue; saywhatwant.queue.QueueConfig()'
    )
    assert done.returncode == 0, done.stderr


def test_what_adapters_stand_on_imports_without_them_but_for_asyncio() -> None:
    """The simulated runtime has all of it: live objects, overlay storage, group commit, alarms, streams of events."""
    done = run_blocked(f"{ADAPTER} import durable_objects.simulated; durable_objects.simulated.SimulatedRuntime()")
    assert done.returncode == 0, done.stderr


def test_the_adapter_of_cloudflare_imports_without_them_but_for_asyncio() -> None:
    """All but its border, which imports what only Cloudflare has."""
    modules = (
        "cloudflare, durable_objects.cloudflare.object, durable_objects.cloudflare.stub, durable_objects.cloudflare.sockets"
    )
    done = run_blocked(f"{ADAPTER} import durable_objects.{modules}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["fcntl", "sqlite3", "threading", "multiprocessing", "socketserver", "asyncio", "starlette", "nltk"]
)
def test_this_file_blocks_the_modules_it_names(name: str) -> None:
    done = run_blocked(f"import {name}")
    assert f"ModuleNotFoundError: {name} is blocked" in done.stderr


def test_every_public_name_of_the_package_is_there() -> None:
    program = "import durable_objects; print(*(name for name in durable_objects.__all__ if not hasattr(durable_objects, name)))"
    assert run_blocked(program).stdout == "\n"
