"""No secret is in anything that a busy server and its bot write or say: logs, data, figures, pages, refusals (P8)."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from provider import Provider
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conftest import MakeServer
from saywhatwant.worker.sessions import KEY_FILE
from servers import SWW, Server, environment, until

OF_SETTINGS = "the-token-of-the-settings-4f9c"
API_KEY = "sk-the-key-of-the-provider-77a1"
MISTYPED = "a-token-that-somebody-mistyped-03be"
"""What is no token here may be one elsewhere."""
MODELS = ("good", "cuts", "refuses", "fails-midway", "rambles", "broken", "not-there")
KINDS = {
    "invalid-field",
    "no-such-path",
    "method-not-allowed",
    "malformed-body",
    "body-too-large",
    "not-allowed",
    "wrong-scope",
    "cross-site",
    "unknown-message",
    "wrong-state",
    "attempt-required",
    "not-the-holder",
    "key-reused",
    "id-taken",
    "backlog-full",
    "too-many-posts",
    "too-many-sign-ins",
    "upgrade-required",
}
"""The refusals that need no failing disk, no cluster and no crowd."""
PAGES = (
    "/",
    "/embed",
    "/ops",
    "/api/docs",
    "/api/openapi.json",
    "/api/comments",
    "/api/entities",
    "/api/stats",
    "/metrics",
    "/api/queue/bots",
    "/api/ops/session",
    "/api/ops/figures",
    "/healthz",
    "/readyz",
    *(f"/api/queue/messages?state={state}&limit=100" for state in ("pending", "waiting", "held", "failed")),
)


class Said:
    """Everything that the server has answered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.texts: list[str] = []
        self.kinds: set[str] = set()

    def call(self, method: str, path: str, token: str | None = None, **request: Any) -> httpx.Response:
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        response = self.server.http.request(method, path, headers=headers, **request)
        self.server.http.cookies.clear()
        self.hear(response.headers.get("content-type", ""), response.text)
        # A cookie is for the one who signs in, and is looked for everywhere else.
        shown = [f"{name}: {value}" for name, value in response.headers.items() if name != "set-cookie"]
        self.texts.append("\n".join(shown))
        return response

    def hear(self, content_type: str, text: str) -> None:
        self.texts.append(text)
        if content_type == "application/problem+json":
            self.kinds.add(json.loads(text)["type"].rpartition(":")[2])


def made(server: Server, name: str, scope: str) -> str:
    command = [str(SWW), "token", "add", name, "--scope", scope, "--data", str(server.data)]
    done = subprocess.run(command, cwd=server.directory, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() not in done.stderr
    return done.stdout.strip()


@contextmanager
def bot(server: Server, token: str, provider: Provider) -> Iterator[Path]:
    """A bot that logs all it can, for a wall of models that misbehave; yields its log."""
    entities, log = server.directory / "bot-entities.toml", server.directory / "bot-log"
    text = "".join(
        f'[{model}]\ndisplay_name = "Probe"\ncolor = "070140180"\nmodel = "{model}"\nbase_url = "{provider.base_url}"\n'
        for model in MODELS
    )
    entities.write_text(text)
    command = [str(SWW), "bot", "--url", server.url, "--entities", str(entities), "--worker-id", "probe-bot"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=server.directory,
            env=environment(bot_token=token, log_level="debug", backoff_seconds=0.01) | {"OPENAI_API_KEY": API_KEY},
            stdout=output,
            stderr=output,
        )
    try:
        yield log
    finally:
        process.kill()
        process.wait()


def a_post(entity: str, **more: object) -> dict[str, object]:
    return {"text": "Why?", "username": "Human", "color": "169080199", "botParams": {"entity": entity}} | more


def answer_all(said: Said) -> None:
    """Ask every model, and wait until each question has its answer or its reason."""
    asked = {said.call("POST", "/api/comments", json=a_post(model)).json()["id"] for model in MODELS}

    def ended() -> bool:
        wall = said.server.http.get("/api/comments").json()
        return asked <= {message["id"] for message in wall if message["botParams"]["status"] in {"complete", "failed"}}

    until(ended, "the end of every question")


def refuse_all(said: Said, tokens: dict[str, str]) -> None:
    """Make each kind of refusal, with a secret where one fits."""
    call, bots, operators = said.call, tokens["bot"], tokens["operator"]
    for secret in (*tokens.values(), MISTYPED):
        call("GET", f"/api/comments?token={secret}")
        call("GET", f"/api/{secret}")
        call("POST", "/api/ops/sign-in", content=f'{{"token": "{secret}')
        call("POST", "/api/ops/sign-in", json={"token": [secret]})
        call("POST", "/api/ops/sign-in", json={"token": secret, "scope": "bot"})
        call("GET", "/api/queue/pending", headers={"Authorization": f"Basic {secret}"})
        call("GET", "/api/queue/ws", headers={"Authorization": f"Bearer {secret}x"})
        url = said.server.url.replace("http", "ws", 1)
        for path, headers in (("/api/queue/ws", {"Authorization": f"Token {secret}"}), (f"/api/ws?token={secret}", {})):
            with pytest.raises(InvalidStatus) as refused, connect(url + path, additional_headers=headers, proxy=None):
                pass
            said.hear("application/problem+json", refused.value.response.body.decode())
    for _ in range(11):
        call("POST", "/api/ops/sign-in", json={"token": MISTYPED})
    call("GET", "/api/queue/ws", bots)
    call("DELETE", "/api/comments")
    call("POST", "/api/queue/claim", bots, content=b" " * 200_000)
    call("POST", "/api/queue/retry", bots, json={"messageId": "0000000000"})
    call("POST", "/api/queue/claim", operators, json={"messageId": "0000000000", "workerId": "w"})
    call("POST", "/api/comments", json=a_post("good"), headers={"Origin": "https://elsewhere.example"})
    call("POST", "/api/queue/claim", bots, json={"messageId": "0000000000", "workerId": "w"})
    call("POST", "/api/comments", json=a_post("nobody", id="keyed0"))
    call("POST", "/api/comments", json=a_post("nobody", id="keyed0", text="Why not?"))
    answer = call(
        "POST", "/api/comments", bots, json={"text": "So.", "username": "AI", "color": "169080199", "messageType": "AI"}
    )
    call("POST", "/api/comments", json=a_post("nobody", id=answer.json()["id"]))
    hold = {"messageId": "keyed0", "workerId": "w"}
    call("POST", "/api/queue/complete", bots, json=hold)
    call("POST", "/api/queue/claim", bots, json=hold)
    call("POST", "/api/queue/complete", bots, json=hold | {"attempt": 7})
    call("POST", "/api/queue/release", bots, json=hold | {"attempt": 1})
    call("POST", "/api/queue/claim", bots, json=hold)
    call("POST", "/api/queue/complete", bots, json=hold)
    for _ in range(60):
        call("POST", "/api/comments", json=a_post("nobody"))


def test_p8_no_secret_is_in_anything_that_a_busy_server_and_its_bot_write_or_say(
    make_server: MakeServer, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "bot_token": OF_SETTINGS,
        "log_level": "debug",
        "rate_limit": 50,
        "backlog_limit": 20,
        "backoff_seconds": 0.01,
    }
    with Provider() as provider, make_server(tmp_path, **settings) as server:
        said = Said(server)
        tokens = {"bot": made(server, "night-bot", "bot"), "operator": made(server, "alice", "operator"), "both": OF_SETTINGS}
        cookie = said.call("POST", "/api/ops/sign-in", json={"token": tokens["operator"]}).headers["set-cookie"].split(";")[0]
        with bot(server, tokens["bot"], provider) as log:
            answer_all(said)
            refuse_all(said, tokens)
            for page in PAGES:
                said.call("GET", page, tokens["both"])
                said.call("GET", page, headers={"Cookie": cookie})
        queue = [str(SWW), "queue", "--url", server.url, "--json"]
        shown = subprocess.run(queue, env=environment(bot_token=tokens["operator"]), capture_output=True, text=True, check=True)
        assert provider.authorizations == {f"Bearer {API_KEY}"}
        assert said.kinds >= KINDS
        server.kill()
        key = (server.data / KEY_FILE).read_bytes()
        found = {str(path): path.read_bytes() for path in server.directory.rglob("*") if path.is_file()}
    assert "probe-bot" in log.read_text()
    assert found.pop(str(server.data / KEY_FILE)) == key
    written = found | {"answers": "\n".join(said.texts).encode(), "sww queue": shown.stdout.encode()}
    assert {str(log), str(server.directory / "stderr"), str(server.data / "tokens.toml")} <= written.keys()
    signature = cookie.rpartition(".")[2]
    secrets = [*tokens.values(), API_KEY, MISTYPED, signature, key.hex()]
    leaks = [(where, secret) for where, content in written.items() for secret in secrets if secret.encode() in content]
    assert leaks == []
    assert [where for where, content in written.items() if key in content] == []
