"""A runtime's name starts that runtime: else conformance would test another one."""

from pathlib import Path
from typing import get_args

import pytest

from durable_objects.embedded import EmbeddedRuntime
from durable_objects.wire import WireRuntime
from saywhatwant.commands.restate_runtimes import Gateway, OneMachine
from saywhatwant.commands.runtimes import RUNTIMES, open_runtime
from saywhatwant.settings import RuntimeName, Settings


def test_every_runtime_of_the_settings_can_be_opened() -> None:
    assert tuple(RUNTIMES) == get_args(RuntimeName)


@pytest.mark.parametrize(("name", "cls"), [("embedded", EmbeddedRuntime), ("restate", OneMachine), ("wire", WireRuntime)])
def test_a_name_opens_its_runtime(tmp_path: Path, name: RuntimeName, cls: type) -> None:
    assert type(open_runtime(Settings(runtime=name, data=tmp_path))) is cls


@pytest.mark.parametrize(("with_objects", "cls"), [(False, Gateway), (True, OneMachine)])
def test_a_cluster_is_joined_with_or_without_objects(tmp_path: Path, with_objects: bool, cls: type) -> None:  # noqa: FBT001 - of pytest
    settings = Settings(runtime="restate", data=tmp_path, restate=["http://127.0.0.1:8080"])
    assert type(open_runtime(settings, with_objects=with_objects)) is cls
