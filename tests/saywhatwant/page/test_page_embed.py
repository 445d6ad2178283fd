"""The wall in a frame of another site: a setting allows the origin, which learns that something was sent, but not what."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import write
from playwright.sync_api import Browser, Page, expect

from conftest import StartServer
from documents import blocks
from servers import DEADLINE_SECONDS, Server, until

pytest_plugins = ["page_fixtures"]

SHOWN = "https://wall.example"
"""The wall's address in the guide."""
LISTEN = """<script>
  window.heard = [];
  addEventListener("message", ({ origin, data }) => heard.push([origin, data]));
</script>"""


class Site:
    """Another site, on this machine, with one page."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def show(self, html: str) -> None:
        (self._directory / "index.html").write_text(f"<!doctype html><html lang=en><title>Site</title>{LISTEN}{html}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_SECONDS)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    directory = tmp_path / "site"
    directory.mkdir()
    with Site(directory) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a visitor of the other site."""
    with contextlib.closing(browser.new_context()) as context:
        yield context.new_page()


def snippet(server: Server) -> str:
    """What the guide shows to put into a page."""
    (found,) = [block.text for block in blocks("docs/operate.md") if block.language == "html"]
    assert SHOWN in found
    return found.replace(SHOWN, server.url)


def test_the_guides_snippet_shows_the_wall_and_learns_what_was_sent(start_server: StartServer, site: Site, page: Page) -> None:
    server = start_server(frame_ancestors=f"https://other.example,{site.origin}")
    site.show(snippet(server))
    page.goto(site.origin)
    frame = page.frame_locator("iframe")
    expect(frame.locator("#entity")).to_have_value("zen")
    frame.locator("#text").fill("From a frame, in secret words")
    frame.locator("#text").press("Enter")

    expect(page.locator("#sent")).to_contain_text("went to zen")
    (posted,) = server.http.get("/api/comments").json()
    assert page.locator("#sent").text_content() == f"Message {posted['id']} went to zen"
    ((origin, data),) = page.evaluate("heard")
    assert origin == server.url
    assert data == {"type": "sww-message-sent", "hash": "#with=zen&entity=zen", "entity": "zen", "id": posted["id"]}


def test_a_chosen_colour_is_reported_as_the_original_did(start_server: StartServer, site: Site, page: Page) -> None:
    server = start_server(frame_ancestors=site.origin)
    site.show(f"<iframe title=Wall src={server.url}/embed></iframe>")
    page.goto(site.origin)

    page.frame_locator("iframe").locator("#color").fill("#0a14ff")

    until(lambda: page.evaluate("heard.length"), "the message")
    assert page.evaluate("heard") == [
        [server.url, {"type": "sww-color-update", "color": "010020255", "colorRgb": "rgb(10, 20, 255)"}]
    ]


def test_a_site_that_is_not_named_may_show_nothing(start_server: StartServer, site: Site, page: Page) -> None:
    named, unnamed = start_server(frame_ancestors="https://site.example"), start_server()
    for server in (named, unnamed):
        for path in ("/", "/embed"):
            site.show(f"<iframe title=Wall src={server.url}{path}></iframe>")
            page.goto(site.origin)
            assert page.frames[1].url == "chrome-error://chromewebdata/"


def test_the_headers_name_the_sites_that_may_frame_the_page(start_server: StartServer) -> None:
    named, unnamed = start_server(frame_ancestors="https://a.example, http://b.example:8080"), start_server()
    for path in ("/", "/embed"):
        headers = named.http.get(path).headers
        assert headers["content-security-policy"].endswith("; frame-ancestors https://a.example http://b.example:8080")
        assert "x-frame-options" not in headers
        headers = unnamed.http.get(path).headers
        assert headers["content-security-policy"].endswith("; frame-ancestors 'none'")
        assert headers["x-frame-options"] == "DENY"


def test_no_other_site_is_told_even_if_a_browser_lets_it_frame_the_page(
    start_server: StartServer, site: Site, page: Page
) -> None:
    """The policy is taken out on the way, as by a browser that does not know it."""
    server = start_server(frame_ancestors="https://site.example")

    page.route(f"{server.url}/", lambda route: route.fulfill(body=route.fetch().text(), content_type="text/html"))
    site.show(f"<iframe title=Wall src={server.url}/></iframe>")
    page.goto(site.origin)
    frame = page.frame_locator("iframe")
    frame.locator("#text").fill("Hello")
    frame.locator("#text").press("Enter")

    expect(frame.locator("article[data-kind=human]")).to_have_count(1)
    assert page.evaluate("new Promise((resolve) => setTimeout(() => resolve(heard)))") == []


def test_a_page_outside_of_frames_reports_to_nobody(start_server: StartServer, page: Page) -> None:
    server = start_server(frame_ancestors="https://site.example")
    page.add_init_script("window.heard = []; addEventListener('message', ({ data }) => heard.push(data));")
    page.goto(server.url)
    write(page, "Hello")

    expect(page.locator("article[data-kind=human]")).to_have_count(1)
    assert page.evaluate("heard") == []


@pytest.mark.parametrize("width", [320, 700, 1280])
def test_the_embedded_page_has_no_masthead_and_no_fault(width: int, start_server: StartServer, page: Page) -> None:
    server = start_server()
    page.set_viewport_size({"width": width, "height": 420})
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server.url}/embed")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    write(page, "Hello")
    expect(page.locator("article[data-kind=human]")).to_be_visible()

    assert page.locator("#filter").is_hidden()
    top = page.locator("main").bounding_box()
    assert top
    assert top["y"] < 2, "nothing is above the wall"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.get_by_role("link", name="Open the whole wall").get_attribute("href") == "/"
    violations = Axe().run(page).response["violations"]
    assert [violation["id"] for violation in violations if violation["impact"] in {"serious", "critical"}] == []
