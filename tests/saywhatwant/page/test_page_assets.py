"""The page's files: small, cached forever, and from this server only."""

import gzip
import re

from page_browser import PROVISIONAL, Visit, expect_state, write
from playwright.sync_api import Route, expect

from servers import Server

pytest_plugins = ["page_fixtures"]

MAX_BYTES = 130_000
"""A bit more than a third of it is the Markdown parser; all of it is loaded once."""
HASHED = re.compile(r"/page/[0-9a-f]{12}/(vendor/)?[a-z.-]+")


def addresses(server: Server) -> list[str]:
    """The assets that the page names."""
    html = server.http.get("/").raise_for_status().text
    named = re.findall(r'(?:src|href)="(/[^"]+)"', html)
    assert named
    return sorted(named)


def test_all_assets_together_are_small(server: Server) -> None:
    sizes = {}
    for address in ["/", *addresses(server)]:
        with server.http.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["content-encoding"] == "gzip", address
            sizes[address] = len(b"".join(response.iter_raw()))

    assert sum(sizes.values()) < MAX_BYTES, sizes


def test_assets_are_immutable_under_an_address_that_changes_with_them(server: Server) -> None:
    for address in addresses(server):
        assert HASHED.fullmatch(address), address
        assert "immutable" in server.http.get(address).headers["cache-control"]
    assert server.http.get("/").headers["cache-control"] == "no-cache"
    assert server.http.get("/page/000000000000/app.js").status_code == 404


def test_a_client_without_gzip_gets_the_same_files(server: Server) -> None:
    for address in ["/", *addresses(server)]:
        plain = server.http.get(address, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        with server.http.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as response:
            assert gzip.decompress(b"".join(response.iter_raw())) == plain.content


def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(server: Server) -> None:
    headers = server.http.get("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    html = server.http.get("/").text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script>", html)


def test_the_browser_loads_exactly_the_files_that_the_page_names(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    loaded: list[str] = []
    visitor.context.on("response", lambda response: loaded.append(response.url.removeprefix(server.url)))
    page = visitor.open()
    page.goto("about:blank")

    assets = [address for address in loaded if address.startswith("/page/")]
    assert sorted(set(assets)) == addresses(server)
    assert len(assets) == len(set(assets))


def test_a_second_visit_loads_no_asset_again(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.open().close()
    page = visitor.open()

    loads = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/page/'))"
    assert page.evaluate(f"{loads}.length") == len(addresses(server))
    assert page.evaluate(f"{loads}.filter(({{ transferSize }}) => transferSize > 0).map(({{ name }}) => name)") == []


def test_the_page_works_where_only_its_own_server_is_reachable(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    strayed: list[str] = []

    def only_home(route: Route) -> None:
        if route.request.url.startswith(f"{server.url}/"):
            route.continue_()
        else:
            strayed.append(route.request.url)
            route.abort()

    visitor.context.route("**/*", only_home)
    page = visitor.open()
    write(page, "See https://example.org/picture.png and //example.org/x.js")

    expect(page.locator("article[data-kind=human] .text a")).to_have_count(1)
    expect(page.locator(PROVISIONAL)).to_have_count(0)
    page.reload()
    expect_state(page, "live")
    assert strayed == []


def test_without_javascript_the_page_shows_that_it_needs_it(server: Server, visit: Visit) -> None:
    page = visit(server, java_script_enabled=False).tab()
    page.goto("/")

    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("noscript p")).to_contain_text("needs JavaScript")
