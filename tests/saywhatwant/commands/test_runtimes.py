"""A runtime's name starts that runtime: else conformance would test another one."""

from pathlib import Path
from typing import get_args

import pytest

from durable_objects.embedded import EmbeddedRuntime
from durable_objects.wire import WireRuntime
from saywhatwant.commands.runtimes import RUNTIMES, open_runtime
from saywhatwant.settings import RuntimeName, Settings


def test_every_runtime_of_the_settings_can_be_opened() -> None:
    assert tuple(RUNTIMES) == get_args(RuntimeName)


@pytest.mark.parametrize(("name", "cls"), [("embedded", EmbeddedRuntime), ("wire", WireRuntime)])
def test_a_name_opens_its_runtime(tmp_path: Path, name: RuntimeName, cls: type) -> None:
    assert type(open_runtime(Settings(runtime=name, data=tmp_path))) is cls
