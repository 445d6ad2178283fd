"""Worker ids are public, so they reveal nothing about the machine."""

import re
from pathlib import Path

import pytest

from saywhatwant.commands.answering import random_worker_id
from saywhatwant.commands.supervisor import ID_FILE, worker_id


def test_a_worker_without_a_name_gets_a_random_one() -> None:
    names = {random_worker_id("bot") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch("bot-[a-z0-9]{8}", name) for name in names)


def test_p4_the_worker_of_some_data_keeps_its_name_so_that_it_can_give_back_what_it_held(tmp_path: Path) -> None:
    name = worker_id(tmp_path)
    assert re.fullmatch("up-[a-z0-9]{8}", name)
    assert worker_id(tmp_path) == name
    other = tmp_path / "other"
    other.mkdir()
    assert worker_id(other) != name


@pytest.mark.parametrize("content", [b"", b"up-", b"\xff\xfe", b"up-12345678\nand more", b"UP-12345678"])
def test_p4_a_name_that_was_half_written_is_replaced(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ID_FILE).write_bytes(content)
    name = worker_id(tmp_path)
    assert re.fullmatch("up-[a-z0-9]{8}", name)
    assert worker_id(tmp_path) == name


def test_p4_a_name_that_cannot_be_kept_is_used_all_the_same(tmp_path: Path) -> None:
    assert re.fullmatch("up-[a-z0-9]{8}", worker_id(tmp_path / "missing"))
