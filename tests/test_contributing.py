"""The files for contributors agree with the Makefile, and the checks before a commit run."""

import re
import shlex
import subprocess
from typing import Any

import pytest
import yaml

from documents import ROOT, text_of

HOOKS: list[dict[str, Any]] = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"][0]["hooks"]


def test_the_hooks_are_the_commands_of_make_lint() -> None:
    lint = text_of("Makefile").partition("\nlint:")[2].partition("\n\n")[0]
    commands = [line.strip().replace("$(VENV)", ".venv").partition(" ||")[0] for line in lint.splitlines()[1:]]
    assert [hook["entry"].removesuffix(" --force-exclude") for hook in HOOKS] == [
        command.replace(" --check", "") for command in commands
    ]


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook.get("pass_filenames", True)], ids=lambda hook: hook["id"])
def test_a_hook_accepts_the_files_of_a_commit(hook: dict[str, Any]) -> None:
    program, *arguments = shlex.split(hook["entry"])
    subprocess.run([ROOT / program, *arguments, "tests/documents.py", "pyproject.toml"], cwd=ROOT, check=True)


def test_make_help_lists_every_command_for_people() -> None:
    makefile = text_of("Makefile")
    listed = re.findall(r'@echo "make (\w+)', makefile)
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    own = {"help", "lint", "screenshots", "limits", "costs", "vendor", "constraints"}  # for maintainers, or part of another
    assert set(listed) == set(phony.split()) - own


def test_lines_are_as_long_as_the_linter_allows() -> None:
    (editor,) = re.findall(r"^max_line_length = (\d+)$", text_of(".editorconfig"), re.MULTILINE)
    (linter,) = re.findall(r"^line-length = (\d+)$", text_of("pyproject.toml"), re.MULTILINE)
    assert editor == linter
