"""deploy/container: what makes an image of the wall, as linters judge it, and tried as far as it goes without its base."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import ROOT, blocks
from servers import DEADLINE_SECONDS, SWW, Server

BIN = Path(sys.executable).parent
CONTAINERFILE = ROOT / "deploy/container/Containerfile"
COMPOSE_FILES = [ROOT / "deploy/container/compose.yaml", ROOT / "deploy/restate/compose.yaml"]
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILES[0].read_text())


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


def instructions(name: str) -> list[str]:
    """What follows each instruction of this name, on one line."""
    text = CONTAINERFILE.read_text().replace("\\\n", "")
    return [" ".join(found.split()) for found in re.findall(rf"^{name} (.*)$", text, re.MULTILINE)]


def lint_containerfile(path: Path) -> subprocess.CompletedProcess[str]:
    return run(BIN / "hadolint", "--failure-threshold", "style", path)


def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    done = lint_containerfile(CONTAINERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_a_base_image_without_a_tag(tmp_path: Path) -> None:
    worse = tmp_path / "Containerfile"
    worse.write_text(re.sub(r":3\.11-slim-bookworm", "", CONTAINERFILE.read_text()))
    assert "DL3006" in lint_containerfile(worse).stdout


def lint_compose(*paths: Path) -> subprocess.CompletedProcess[str]:
    strict = ("check", "--fail-on", "low", "--strict-config", "--config", "deploy/.compose-lint.yml", "--no-env")
    return run(BIN / "compose-lint", *strict, *paths)


def test_compose_lint_finds_nothing_that_is_not_argued() -> None:
    done = lint_compose(*COMPOSE_FILES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_lint_would_find_a_service_that_may_gain_privileges(tmp_path: Path) -> None:
    worse = tmp_path / "compose.yaml"
    worse.write_text(COMPOSE_FILES[0].read_text().replace('  security_opt: ["no-new-privileges:true"]\n', ""))
    assert "CL-0003" in lint_compose(worse).stdout


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.parent.name)
def test_a_compose_file_is_one_by_the_specification(path: Path, tmp_path: Path) -> None:
    def check(path: Path) -> int:
        return run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path).returncode

    assert check(path) == 0
    worse = tmp_path / "compose.yaml"
    worse.write_text(path.read_text().replace("volumes:", "volume:"))
    assert check(worse) != 0


def test_the_image_has_the_version_of_this_repository() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in COMPOSE["services"].values()} == {f"saywhatwant:{version}"}


def test_what_is_copied_into_the_build_is_there_and_is_not_ignored() -> None:
    ignored = (CONTAINERFILE.parent / "Containerfile.dockerignore").read_text().splitlines()
    copied = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    assert len(copied) == 5
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(f"!{source}", line) for line in ignored), source


def test_pip_installs_extras_that_exist() -> None:
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", " ".join(instructions("RUN")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()


def commands() -> Iterator[list[str]]:
    (entry,), (usual,) = instructions("ENTRYPOINT"), instructions("CMD")
    assert json.loads(entry) == ["/opt/sww/bin/sww"]
    yield json.loads(usual)
    for service in COMPOSE["services"].values():
        yield service["command"]


def test_what_containers_run_are_commands_with_their_options() -> None:
    for command, *arguments in commands():
        known = run(SWW, command, "--help").stdout
        assert {option for option in arguments if option.startswith("--") and option not in known} == set(), command


def test_it_runs_without_root_and_its_owner_may_write_the_data_only() -> None:
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    (made,) = [line for line in instructions("RUN") if line.startswith("mkdir")]
    assert made == f"mkdir /data /backups && chown {user} /data /backups"
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in COMPOSE["services"].values())


def health_check(url: str) -> int:
    """Run what the image's health check runs, for a server elsewhere."""
    (line,) = instructions("HEALTHCHECK")
    program, *arguments = json.loads(line.partition(" CMD ")[2])
    assert program == "/opt/sww/bin/python"
    return run(sys.executable, *(argument.replace("http://127.0.0.1:8787", url) for argument in arguments)).returncode


def test_the_health_check_tells_a_server_that_is_ready_from_one_that_is_not(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert health_check(server.url) == 0
        server.kill()
        assert health_check(server.url) != 0


def test_the_guide_builds_this_image_and_starts_these_services() -> None:
    (block,) = [block for block in blocks("docs/operate.md") if block.text.startswith("docker build")]
    (image,) = {service["image"] for service in COMPOSE["services"].values()}
    file, compose = (path.relative_to(ROOT) for path in (CONTAINERFILE, COMPOSE_FILES[0]))
    assert block.commands == [
        f"docker build --file {file} --tag {image} .",
        f"docker compose --file {compose} up --detach",
    ]


def test_no_secret_is_in_the_files() -> None:
    values = [value for service in COMPOSE["services"].values() for value in service.get("environment", {}).values()]
    assert len(values) == 4
    assert all(value is None or value.startswith("${") for value in values)
    assert [word for line in instructions("ENV") for word in shlex.split(line)] == ["SWW_BIND=0.0.0.0:8787", "SWW_DATA=/data"]
