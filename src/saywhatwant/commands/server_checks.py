"""What ``sww doctor`` asks a server."""

import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from saywhatwant.commands.finding import Finding, fault, ok, warning

SLOW_MS = 500.0
SKEW_SECONDS = 5.0
_FULL_PART = 0.8
"""The part of the backlog's limit from which it is nearly full."""
_PATIENCE_SECONDS = 10.0


def server_checks(url: str, token: str | None, now: int, *, is_named: bool) -> Iterator[Finding]:
    """Ask the server at ``url``; ``now`` is in milliseconds since 1970. One that was not named need not run."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()  # what this machine trusts counts too
    with httpx.Client(base_url=url, headers=headers, timeout=_PATIENCE_SECONDS, trust_env=False, verify=context) as http:
        try:
            begun = time.perf_counter()
            alive = http.get("/healthz")
            ms = (time.perf_counter() - begun) * 1_000
            yield from _alive(url, alive, ms, now)
            yield from _ready(http)
            if alive.is_success:
                yield _sockets(url, context)
                yield from _work(http)
        except (KeyError, TypeError, ValueError) as error:
            what = f"{url} answers, but not as a wall: {error!r}"
            yield fault("server", what, "see what listens there, and its version")
        except httpx.HTTPError as error:
            what = f"{url} does not answer: {error}"
            do = "start it with sww serve or sww up, or name another with --url"
            yield fault("server", what, do) if is_named else warning("server", what, do)


def _alive(url: str, answer: httpx.Response, ms: float, now: int) -> Iterator[Finding]:
    what = f"{url} answers in {ms:.0f} ms"
    if not answer.is_success:
        yield fault("server", f"{url} answers with status {answer.status_code}", "see whether this is a wall, and its log")
    elif ms > SLOW_MS:
        yield warning("server", what, "see what else the machine does, and the log")
    else:
        yield ok("server", what)
    if "date" in answer.headers:
        skew = abs(parsedate_to_datetime(answer.headers["date"]).timestamp() - now / 1_000)
        if skew > SKEW_SECONDS:
            yield warning("clock", f"the server's clock and ours differ by {skew:.0f} s", "set both by NTP")
        else:
            yield ok("clock", "the server's and ours agree")


def _ready(http: httpx.Client) -> Iterator[Finding]:
    answer = http.get("/readyz")
    if answer.is_success:
        yield ok("ready", "it takes posts")
    else:
        yield fault("ready", _detail(answer), "see its disk, and its log; reads still work")


def _sockets(url: str, context: ssl.SSLContext) -> Finding:
    """Whether a page gets its WebSocket, which a proxy may not pass on."""
    is_https = url.startswith("https:")
    address = f"ws{url.removeprefix('http').rstrip('/')}/api/ws"
    try:
        with connect(address, ssl=context if is_https else None, proxy=None, open_timeout=_PATIENCE_SECONDS):
            return ok("sockets", "a WebSocket opens")
    except (OSError, WebSocketException) as error:
        do = "see whether a proxy passes Upgrade and Connection on (docs/tutorial.md); meanwhile pages and bots poll"
        return warning("sockets", f"no WebSocket opens: {error}", do)


def _work(http: httpx.Client) -> Iterator[Finding]:
    entities = http.get("/api/entities").json()["entities"]
    for entity in entities:
        if entity.get("reason"):
            do = "start sww bot for it" if not entity["served"] else "see its provider; sww queue has what that said"
            yield warning("entities", f"{entity['name']}: {entity['reason']}", do)
    stats = http.get("/api/stats").json()
    if stats["backlog"] > _FULL_PART * stats["backlogLimit"]:
        what = f"{stats['backlog']} of {stats['backlogLimit']} unfinished messages"
        yield warning("backlog", what, "start more bots; beyond the limit posts are refused")
    else:
        yield ok("backlog", f"{stats['backlog']} of {stats['backlogLimit']} unfinished messages")
    if failed := stats["depth"]["failed"]:
        yield warning(
            "failed",
            f"{failed} message{' has' if failed == 1 else 's have'} failed",
            "sww queue shows why; sww queue retry --failed",
        )
    for circuit in stats.get("circuits", []):
        what = f"{circuit['provider']} is not called by {circuit['workerId']}: {circuit['reason']}"
        yield warning("provider", what, "see whether it runs; its entities wait meanwhile")
    waiting = {name: depth["pending"] for name, depth in stats["entities"].items() if name and depth["pending"]}
    for entity in entities:
        waiting.pop(entity["name"], None)
    yield from _bots(http, waiting)


def _bots(http: httpx.Client, waiting: dict[str, int]) -> Iterator[Finding]:
    """``waiting`` has the number of messages to each entity that the server does not list."""
    answer = http.get("/api/queue/bots")
    if not answer.is_success:
        yield warning("bots", f"who answers is not shown: {_detail(answer)}", "set SWW_BOT_TOKEN to a token that is good there")
        return
    bots = [bot for bot in answer.json() if bot["here"]]
    if not bots:
        yield warning("bots", "none is here", "start sww bot")
        return
    yield ok("bots", ", ".join(f"{bot['workerId']} {bot['version'] or ''}".strip() for bot in bots))
    for entity in sorted(waiting.keys() - {entity for bot in bots for entity in bot["entities"] or ()}):
        what = f"{waiting[entity]} for {entity}, for which no bot here answers"
        yield warning("waiting", what, f"start a bot for it, or end them: sww queue fail --entity {entity}")
    for bot in bots:
        for conflict in bot["conflicts"]:
            what = f"{bot['workerId']} and {conflict['workerId']} answer as {conflict['entity']} in different ways"
            yield warning("bots", what, "start both with the same entities file")


def _detail(answer: httpx.Response) -> str:
    try:
        found: Any = answer.json()
        return str(found["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
