"""``sww serve`` on a wall that was lost and restored from a backup, with posts that only readers of the lost wall know."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from saywhatwant.commands import main

SWW = [sys.executable, "-c", "from saywhatwant.commands import main; main()"]
POST = {"text": "lost", "username": "Human", "color": "169080199"}
READY = "ready on "


def make_lost_and_restored(data: Path) -> None:
    """Make ``data`` from a backup of an empty wall on which something was posted later."""
    lost, backup = data.with_name("lost"), data.with_name("backup")
    settings = {"SWW_RATE_LIMIT": "0", "SWW_BOT_TOKEN": ""}
    serve = [*SWW, "serve", "--bind", "127.0.0.1:0", "--data", str(lost)]
    with subprocess.Popen(serve, env=os.environ | settings, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = next(line for line in server.stderr if line.startswith(READY)).removeprefix(READY).strip()
        subprocess.run([*SWW, "backup", "--data", lost, "--to", backup], check=True, stdout=subprocess.DEVNULL)
        httpx.post(f"{url}/api/comments", json=POST, trust_env=False).raise_for_status()
        server.kill()
    shutil.rmtree(lost)
    subprocess.run([*SWW, "restore", "--from", backup, "--data", data], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(backup)


if __name__ == "__main__":
    directory = Path(sys.argv[sys.argv.index("--data") + 1])
    if not directory.exists():
        make_lost_and_restored(directory)
    sys.argv = [argument.replace("restored", "embedded") if argument == "restored" else argument for argument in sys.argv]
    main()
