"""A browser that visits the wall, and fails a test whose page logged errors or loaded foreign files."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import httpx
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Playwright,
    Request,
    WebError,
    WebSocket,
    WebSocketRoute,
    expect,
)

from servers import DEADLINE_SECONDS, Server, until

Json = dict[str, Any]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--renderer-process-limit=2",
)
TIMEOUT_MS = DEADLINE_SECONDS * 1_000
LOST_NETWORK = ("Failed to load resource: net::", "WebSocket connection to ")
"""How the browser's console begins its report of a server that is gone."""
REFUSED = ("Failed to load resource: the server responded with a status of 4",)
"""How it begins its report of a call that was refused."""
REPORT_VIOLATIONS = "addEventListener('securitypolicyviolation', ({ blockedURI }) => console.error('violation', blockedURI));"

MESSAGES = "article.message:is([data-kind=human], [data-kind=AI])"
PROVISIONAL = "article.message[data-kind=provisional]"
OUTBOX = "article.message[data-kind=outbox]"


def launched(playwright: Playwright) -> Browser:
    """Debian's Chromium, without a window."""
    found = shutil.which("chromium")
    assert found, "these tests drive Chromium: apt install chromium"
    expect.set_options(timeout=TIMEOUT_MS)
    return playwright.chromium.launch(executable_path=found, args=FLAGS)


class Visitor:
    """Somebody with a browser: tabs that share one storage. ``leave`` fails when a page did what no page may do."""

    def __init__(self, browser: Browser, server: Server, **options: Any) -> None:
        self.server = server
        self.posts: list[Request] = []
        """The posts that were tried, in order."""
        self._faults: list[str] = []
        self._expected: tuple[str, ...] = ()
        self._homes = (f"{server.url}/", f"{server.url.replace('http', 'ws', 1)}/")
        self.context = browser.new_context(base_url=server.url, **options)
        self.context.set_default_timeout(TIMEOUT_MS)
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.context.on("console", self._on_console)
        self.context.on("weberror", self._on_error)
        self.context.on("dialog", self._on_dialog)
        self.context.on("request", self._on_request)
        self.context.on("page", self._on_page)

    def tab(self) -> Page:
        """A new, empty tab."""
        return self.context.new_page()

    def open(self, *, state: str = "live") -> Page:
        """A new tab with the wall, connected."""
        page = self.tab()
        page.goto("/")
        expect_state(page, state)
        return page

    def expect_errors(self, *beginnings: str) -> None:
        """The test provokes errors that the console reports with these first words."""
        self._expected += beginnings

    def keys(self) -> list[str]:
        """The Idempotency-Keys of the posts that were tried, in order."""
        return [post.headers["idempotency-key"] for post in self.posts]

    def texts(self) -> list[str]:
        """The texts of the posts that were tried, in order."""
        return [str((post.post_data_json or {}).get("text")) for post in self.posts]

    def leave(self) -> None:
        """Close all tabs; fail if a page did what no page may do."""
        # A request that is being answered would fail when its tab closes, in the middle of the next test.
        for page in self.context.pages:
            page.unroute_all(behavior="ignoreErrors")
        self.context.unroute_all(behavior="ignoreErrors")
        self.context.close()
        faults = [fault for fault in self._faults if not fault.startswith(self._expected)]
        assert not faults, faults

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._faults.append(message.text)

    def _on_error(self, error: WebError) -> None:
        self._faults.append(f"uncaught: {error.error}")

    def _on_dialog(self, dialog: Dialog) -> None:
        self._faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self._homes):
            self._faults.append(f"request elsewhere: {request.url}")
        if request.method == "POST":
            self.posts.append(request)

    def _on_page(self, page: Page) -> None:
        page.on("websocket", self._on_socket)

    def _on_socket(self, socket: WebSocket) -> None:
        if not socket.url.startswith(self._homes):
            self._faults.append(f"socket elsewhere: {socket.url}")


class Visit(Protocol):
    """Visits a server's wall; options are those of Playwright's contexts."""

    def __call__(self, server: Server, **options: Any) -> Visitor: ...


class Modules:
    """The page's modules in a browser, without the page."""

    def __init__(self, page: Page, server: Server) -> None:
        self._page = page
        html = server.http.get("/").text
        page.goto("/healthz")
        page.evaluate("folder => { window.folder = folder; }", html.split('src="', 1)[1].split("app.js", 1)[0])

    def run(self, module: str, function: str, argument: object = None) -> Any:
        """What a JavaScript function of a module and an argument returns."""
        script = f"async (argument) => ({function})(await import(`${{window.folder}}{module}`), argument)"
        return self._page.evaluate(script, argument)


class SocketProxy:
    """The page's WebSocket, which a test can refuse, mute, close, and write into."""

    def __init__(self, page: Page) -> None:
        self.refuses = False
        """Whether sockets are closed as soon as they are opened."""
        self.opened = 0
        """How many sockets the page has opened."""
        self.answers = 0
        """How many of its pings the server has answered."""
        self.token = ""
        """The commit after which the last of them was to begin."""
        self._socket: WebSocketRoute | None = None
        self._muted: WebSocketRoute | None = None
        page.route_web_socket("**/api/ws*", self._on_socket)

    def mute(self) -> None:
        """Lose all further frames of the present socket, as a network does that is gone."""
        self._muted = self._socket

    def send(self, frame: Json) -> None:
        """Send the page a frame that is not the server's."""
        assert self._socket
        self._socket.send(json.dumps(frame))

    def close(self, code: int) -> None:
        """Close the present socket, as the server does."""
        assert self._socket
        self._socket.close(code=code)

    def _on_socket(self, socket: WebSocketRoute) -> None:
        self.opened += 1
        self.token = socket.url.rpartition("since=")[2]
        if self.refuses:
            socket.close(code=1011)
            return
        self._socket = socket
        socket.connect_to_server().on_message(lambda frame: self._on_frame(socket, frame))

    def _on_frame(self, socket: WebSocketRoute, frame: str | bytes) -> None:
        if socket is not self._muted:
            self.answers += frame == "pong"
            socket.send(frame)


def expect_state(page: Page, state: str) -> None:
    """Wait until the page is connected like this."""
    expect(page.locator("#connection")).to_have_attribute("data-state", state)


def wake(page: Page) -> None:
    """Have the page look at once, as when somebody comes back to it."""
    page.evaluate("dispatchEvent(new Event('focus'))")


def write(page: Page, text: str) -> None:
    """Post ``text`` as somebody at a keyboard does."""
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def row(page: Page, message_id: str) -> Locator:
    """The row of one message."""
    return page.locator(f"article.message[data-id='{message_id}']")


def shown(page: Page) -> list[list[str]]:
    """The ids and texts of the messages in the list, from the top."""
    found: list[list[str]] = page.locator(MESSAGES).evaluate_all(
        "rows => rows.map((row) => [row.dataset.id, row.querySelector('.text').textContent])"
    )
    return found


def on_wall(server: Server, since: int = 0) -> list[list[str]]:
    """The ids and texts of the messages that the server has, oldest first; those newer than ``since``."""
    messages = server.http.get("/api/comments", params={"order": "asc", "since": since}).raise_for_status().json()
    return [[message["id"], message["text"]] for message in messages]


def newest(server: Server) -> int:
    """The timestamp of the newest message: where a test's own messages begin on a server that it shares."""
    messages = server.http.get("/api/comments", params={"limit": 1}).raise_for_status().json()
    return int(messages[0]["timestamp"]) if messages else 0


def expect_same_wall(page: Page, server: Server, *, at_least: int = 1) -> None:
    """Wait until the page shows the server's newest messages, at least ``at_least`` of them, without a gap."""

    def is_same() -> bool:
        on_page = shown(page)
        return len(on_page) >= at_least and on_page == on_wall(server)[-len(on_page) :]

    with suppress(AssertionError):
        until(is_same, "the same list", every=0.03)
    assert is_same(), (shown(page), on_wall(server))


def until_seen(page: Page, look: Callable[[], object], what: str) -> None:
    """Wait for something that Playwright's events report."""
    until(lambda: page.evaluate("true") and look(), what, every=0.03)


def post(server: Server, text: str, **more: object) -> str:
    """A message of somebody else's; its id."""
    body = {"text": text, "username": "Somebody", "color": "169080199"} | more
    return str(_content(server.http.post("/api/comments", json=body))["id"])


def post_to(server: Server, entity: str, text: str = "Are you there?") -> str:
    """A message for ``entity``; its id."""
    return post(server, text, botParams={"entity": entity})


def queue(server: Server, call: str, message_id: str, **more: object) -> Json:
    """A bot's call for one message."""
    body = {"messageId": message_id} | ({} if call == "retry" else {"workerId": "worker-1"}) | more
    return _content(server.http.post(f"/api/queue/{call}", json=body))


def claim(server: Server, message_id: str) -> int:
    """Hold one message; the number of the attempt."""
    return int(queue(server, "claim", message_id)["message"]["botParams"]["attempt"])


def answer(server: Server, message_id: str, text: str, username: str = "Zen") -> str:
    """Hold and answer one message; the id of the answer."""
    attempt = claim(server, message_id)
    return str(queue(server, "complete", message_id, attempt=attempt, reply={"text": text, "username": username})["id"])


def _content(response: httpx.Response) -> Json:
    assert response.is_success, response.text
    content: Json = response.json()
    return content
