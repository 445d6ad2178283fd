"""What `make deploy` does, up to the upload; and that what it pins and names agrees with the rest."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bundle
import pytest
from project import read, read_jsonc
from workerd import PACKAGES

import deploy
from documents import ROOT, inline_code, text_of
from saywhatwant.settings import WrongSettings
from servers import DEADLINE_SECONDS

DEPLOY = ROOT / "deploy/cloudflare"
WRANGLER = read_jsonc(DEPLOY / "wrangler.jsonc")


def run(home: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``deploy.py`` of somebody who has no account."""
    without = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDFLARE_", "SWW_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "deploy/cloudflare/deploy.py", *options],
        cwd=ROOT,
        env=without | {"HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("environment", WRANGLER["env"])
def test_wrangler_accepts_what_would_be_deployed(tmp_path: Path, environment: str) -> None:
    done = run(tmp_path, "--env", environment, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--dry-run: exiting now." in done.stdout
    assert {"env.WALL (Wall)", "env.ASSETS"} <= {line.split("  ")[0] for line in done.stdout.splitlines()}
    assert "Vendored Modules" in done.stdout
    assert done.stderr == ""


def test_a_deployment_says_all_that_is_missing_and_uploads_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--env", "production")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[2].split(":")[1].strip() for line in lines] == [
        "your domain",
        "your account",
        "the bots' token",
    ]
    assert "wall.example.org" in lines[0]
    assert "CLOUDFLARE_API_TOKEN" in lines[1]
    assert "SWW_BOT_TOKEN" in lines[2]
    assert "deploy" not in done.stdout


def test_what_is_there_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "_has_secret", lambda _environment: True)
    assert list(deploy.missing("staging", {"CLOUDFLARE_API_TOKEN": "token"})) == []
    monkeypatch.setattr(deploy, "_has_secret", lambda _environment: False)
    assert list(deploy.missing("staging", {"CLOUDFLARE_API_TOKEN": "token", "SWW_BOT_TOKEN": "b" * 16})) == []
    (missing,) = deploy.missing("staging", {"CLOUDFLARE_API_TOKEN": "token"})
    assert "SWW_BOT_TOKEN" in missing


def test_the_token_goes_as_a_secret_and_never_into_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    secrets: list[Any] = []

    def wrangler(*arguments: str, **_: object) -> SimpleNamespace:
        asked.append(arguments)
        secrets.append(json.loads(Path(arguments[arguments.index("--secrets-file") + 1]).read_text()))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(deploy, "wrangler", wrangler)
    monkeypatch.setenv("SWW_BOT_TOKEN", "a-token-of-the-bots")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "token")
    assert deploy.deploy("staging", dry_run=False) == 0
    assert secrets == [{"SWW_BOT_TOKEN": "a-token-of-the-bots"}]
    assert asked[0][:3] == ("deploy", "--env", "staging")
    assert not any("a-token" in argument for argument in asked[0])


def test_a_variable_that_means_nothing_there_stops_a_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "wrangler.jsonc"
    file.write_text(json.dumps({"env": {"staging": {"vars": {"SWW_MAX_CONNECTIONS": "5"}}}}))
    monkeypatch.setattr(deploy, "read_jsonc", lambda _file: read_jsonc(file))
    with pytest.raises(WrongSettings, match="SWW_MAX_CONNECTIONS means nothing on Cloudflare"):
        deploy.deploy("staging", dry_run=True)


def test_each_environment_has_the_object_and_asks_for_the_secret() -> None:
    for environment in WRANGLER["env"].values():
        assert environment["durable_objects"] == WRANGLER["durable_objects"]
        assert environment["secrets"] == WRANGLER["secrets"]
    classes = {one["class_name"] for one in WRANGLER["durable_objects"]["bindings"]}
    assert {name for step in WRANGLER["migrations"] for name in step["new_sqlite_classes"]} == classes


def test_packages_are_those_that_the_rest_is_tested_with() -> None:
    pinned = set(text_of("constraints.txt").splitlines())
    of_cloudflare = {"workers-runtime-sdk"}
    assert {one for one in bundle.requirements() if one.partition("==")[0] not in of_cloudflare} <= pinned


def test_python_is_the_one_that_the_compatibility_date_means() -> None:
    info = json.loads((PACKAGES / "pyodide/pyodide-lock.json").read_text())["info"]
    assert info["python"].rpartition(".")[0] == "3.14"
    assert info["abi_version"] in bundle._PLATFORM
    assert read().compatibility_date == bundle._DATE


def test_what_npm_installs_is_pinned_without_the_address_of_a_registry() -> None:
    wanted = json.loads((DEPLOY / "package.json").read_text())["dependencies"]
    packages = json.loads((DEPLOY / "package-lock.json").read_text())["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in package and "resolved" not in package for path, package in packages.items() if path)
    assert read_jsonc(DEPLOY / "wrangler.jsonc")["main"] == "src/main.py"


def test_the_way_with_pywrangler_says_what_it_needs(tmp_path: Path) -> None:
    """It downloads Cloudflare's own Pyodide, which a test cannot rely on."""
    for program in ("sh", "dirname"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    done = subprocess.run([DEPLOY / "dev"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "deploy/cloudflare/dev needs uv: https://docs.astral.sh/uv/\n")


def test_the_page_names_what_a_deployment_asks_for() -> None:
    named = set(inline_code("docs/cloudflare.md"))
    assert {"CLOUDFLARE_API_TOKEN", "SWW_BOT_TOKEN", "make deploy", "make deploy DRY_RUN=yes"} <= named
