"""The files that Cloudflare serves by itself are what a server sends: the same bytes, the same headers."""

from pathlib import Path

from fake_platform import Platform

from saywhatwant.cloudflare.static_files import write
from saywhatwant.settings import Settings
from saywhatwant.worker import assets
from scenario import run


def rules(directory: Path) -> dict[str, dict[str, str]]:
    """The headers that Cloudflare adds, by path."""
    found: dict[str, dict[str, str]] = {}
    path = ""
    for line in (directory / "_headers").read_text().splitlines():
        if line.startswith(" "):
            name, _, value = line.strip().partition(": ")
            found[path][name] = value
        else:
            path = line
            found[path] = {}
    return found


def written(directory: Path, settings: Settings) -> dict[str, bytes]:
    """The files, by the addresses where Cloudflare serves them."""
    write(directory, settings)
    files = [file for file in directory.rglob("*") if file.is_file() and file.name != "_headers"]
    return {address(directory, file): file.read_bytes() for file in files}


def address(directory: Path, file: Path) -> str:
    """Where Cloudflare serves a file, with its usual handling of HTML."""
    path = "/" + file.relative_to(directory).as_posix()
    return path.removesuffix(".html").removesuffix("/index") or "/"


def test_each_file_is_what_a_server_would_send(tmp_path: Path) -> None:
    async def scenario() -> None:
        platform = Platform(frame_ancestors=["https://example.org"])
        files = written(tmp_path, platform.settings)
        headers = rules(tmp_path)
        for path, content in files.items():
            answer = await platform.call("GET", path)
            assert (answer.status, answer.body) == (200, content), path
            sent = {name.decode(): value.decode() for name, value in answer.headers}
            rule = headers["/page/*" if path.startswith("/page/") else path]
            of_the_transfer = {"content-type", "content-length", "vary", "etag"}
            assert rule == {name: value for name, value in sent.items() if name not in of_the_transfer}, path
        assert {"/", "/embed", "/api/docs", "/api/openapi.json"} <= files.keys()

    run(scenario())


def test_the_rules_are_few_and_short_enough_for_cloudflare(tmp_path: Path) -> None:
    write(tmp_path, Platform(frame_ancestors=[f"https://{number}.example.org" for number in range(20)]).settings)
    assert len(rules(tmp_path)) <= 100
    assert all(len(line) <= 2_000 for line in (tmp_path / "_headers").read_text().splitlines())


def test_files_whose_address_has_a_version_are_kept_for_ever_and_pages_are_not(tmp_path: Path) -> None:
    write(tmp_path, Platform().settings)
    headers = rules(tmp_path)
    assert headers["/page/*"]["cache-control"] == assets.FOREVER
    for path in ("/", "/embed"):
        assert headers[path]["cache-control"] == "no-cache"
        assert headers[path]["content-security-policy"].endswith("frame-ancestors 'none'")
        assert headers[path]["x-frame-options"] == "DENY"
