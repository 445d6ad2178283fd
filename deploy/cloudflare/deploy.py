"""Deploys the wall to Cloudflare, as ``wrangler.jsonc`` says, after it has checked that nothing is missing.

It uploads the very files that the tests ran, and ``SWW_BOT_TOKEN`` as a secret if that is set here.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bundle import HERE, bundle
from project import read_jsonc
from workerd import PACKAGES, WorkerdFailed, WorkerdMissing

from saywhatwant.cloudflare import static_files
from saywhatwant.cloudflare.settings import load
from saywhatwant.errors import ExpectedError

TOKEN = "SWW_BOT_TOKEN"  # noqa: S105 - the name of one
EXAMPLE = "wall.example.org"
"""The domain in the repository's ``wrangler.jsonc``."""
_WRANGLER = PACKAGES / "wrangler/bin/wrangler.js"
_NODE = 22
"""The oldest version of Node.js that wrangler takes."""
_SECONDS = 60
"""How long a question to Cloudflare may take."""


class Missing(ExpectedError):
    """What a deployment needs is not there; the message has a line for each thing."""


def wrangler(*arguments: str, folder: Path = HERE, **how: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - those of run
    """Run wrangler. Raises ``WorkerdMissing`` when it is not installed, or no Node.js that it takes."""
    for node in (str(Path(sys.executable).with_name("node")), shutil.which("node")):
        if node and _WRANGLER.exists() and _version(node) >= _NODE:
            environment = os.environ | {"CI": "true", "WRANGLER_SEND_METRICS": "false"}
            command = [node, str(_WRANGLER), *arguments]
            return subprocess.run(command, cwd=folder, env=environment, text=True, check=False, **how)
    raise WorkerdMissing(f"wrangler, or Node.js {_NODE} or newer for it, is missing: run deploy/cloudflare/install")


def missing(environment: str, variables: Mapping[str, str]) -> Iterator[str]:
    """What is not there, a line each."""
    chosen = read_jsonc(HERE / "wrangler.jsonc")["env"][environment]
    if any(EXAMPLE in route["pattern"] for route in chosen.get("routes", [])):
        yield f"your domain: env.{environment}.routes in deploy/cloudflare/wrangler.jsonc still has {EXAMPLE}"
    has_account = "CLOUDFLARE_API_TOKEN" in variables or _is_logged_in()
    if not has_account:
        login = "deploy/cloudflare/node_modules/.bin/wrangler login"
        yield f"your account: set CLOUDFLARE_API_TOKEN to a token that may edit Workers, or run {login}"
    if TOKEN not in variables and not (has_account and _has_secret(environment)):
        yield f"the bots' token: set {TOKEN} to 16 characters or more; it becomes a secret of the Worker"


def deploy(environment: str, *, dry_run: bool) -> int:
    """Deploy, or do all of it but the upload; returns wrangler's exit status.

    Raises:
        Missing: something is not there.
        WrongSettings: a variable of ``wrangler.jsonc``, or the token, is wrong.
        WorkerdMissing: a program or a package is not installed.
        WorkerdFailed: the sources cannot be loaded.
    """
    if not dry_run and (lacking := list(missing(environment, os.environ))):
        raise Missing("\n".join(f"missing: {line}" for line in lacking))
    project = bundle() / "project"
    write_assets(project / "assets", environment)
    command = ["deploy", "--env", environment]
    if dry_run:
        return wrangler(*command, "--dry-run", folder=project).returncode
    if TOKEN not in os.environ:
        return wrangler(*command, folder=project).returncode
    with tempfile.NamedTemporaryFile("w", suffix=".json") as secrets:
        json.dump({TOKEN: os.environ[TOKEN]}, secrets)
        secrets.flush()
        return wrangler(*command, "--secrets-file", secrets.name, folder=project).returncode


def write_assets(folder: Path, environment: str) -> None:
    """Write the static assets, as the variables of ``wrangler.jsonc`` want them. Raises ``WrongSettings``."""
    variables = read_jsonc(HERE / "wrangler.jsonc")["env"][environment].get("vars", {})
    token = os.environ.get(TOKEN, "x" * 16)  # any will do where the Worker has one already
    settings = load(variables | {TOKEN: token}, HERE / "src")
    shutil.rmtree(folder, ignore_errors=True)
    static_files.write(folder, settings)


def _version(node: str) -> int:
    if not Path(node).exists():
        return 0
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", shown)
    return int(found[1]) if found else 0


def _is_logged_in() -> bool:
    shown = wrangler("whoami", stdout=subprocess.PIPE, timeout=_SECONDS)
    return shown.returncode == 0 and "not authenticated" not in shown.stdout


def _has_secret(environment: str) -> bool:
    shown = wrangler("secret", "list", "--env", environment, "--format", "json", stdout=subprocess.PIPE, timeout=_SECONDS)
    return shown.returncode == 0 and f'"{TOKEN}"' in shown.stdout


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", choices=["staging", "production"], default="staging", help="the environment (default staging)")
    parser.add_argument("--dry-run", action="store_true", help="do everything but the upload; needs no account")
    parser.add_argument("--assets", type=Path, metavar="DIR", help="only write the static assets, into this directory")
    given = parser.parse_args()
    if given.assets:
        write_assets(given.assets, given.env)
        return
    sys.exit(deploy(given.env, dry_run=given.dry_run))


if __name__ == "__main__":
    try:
        main()
    except (ExpectedError, WorkerdFailed, WorkerdMissing) as error:
        sys.exit("\n".join(f"deploy.py: {line}" for line in str(error).splitlines()))
