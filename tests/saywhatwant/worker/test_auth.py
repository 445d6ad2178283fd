"""Authorization: how the worker knows bots, operators and their browsers, and keeps out pages of other sites."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request

from saywhatwant.errors import CrossSite, NoSessionKey, NotAllowed, TooManySignIns, WrongScope
from saywhatwant.tokens import Tokens, digest
from saywhatwant.worker.auth import Auth, Caller
from saywhatwant.worker.sessions import Sessions, key_in

OPEN = Auth(Tokens(), frozenset({"https://friend.example"}))
GUARDED = Auth(Tokens("the-token"), frozenset())


def request(client: str = "192.0.2.1", method: str = "POST", **headers: str) -> Request:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "scheme": "http", "path": "/", "headers": encoded, "client": (client, 1)})


def test_p8_the_token_lets_in_and_nothing_else_does() -> None:
    GUARDED.bot(request(authorization="Bearer the-token"))
    GUARDED.bot(request(authorization="Bearer the-token", origin="https://elsewhere.example"))
    for wrong in ("", "the-token", "Bearer the-toke", "Bearer the-token ", "Bearer THE-TOKEN", "Bearer \xfc"):
        with pytest.raises(NotAllowed, match="Bearer"):
            GUARDED.bot(request(authorization=wrong))
    with pytest.raises(NotAllowed):
        GUARDED.bot(request(origin="https://friend.example", host="friend.example"))


def test_p8_without_a_token_programs_own_pages_and_friends_are_let_in() -> None:
    OPEN.bot(request())
    OPEN.bot(request(host="127.0.0.1:8787", origin="http://127.0.0.1:8787"))
    OPEN.bot(request(host="127.0.0.1:8787", origin="https://friend.example"))


@pytest.mark.parametrize(
    "origin",
    ["https://elsewhere.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:8788", "https://friend.example.org"],
)
def test_p8_without_a_token_pages_of_other_sites_are_kept_out(origin: str) -> None:
    with pytest.raises(CrossSite):
        OPEN.bot(request(host="127.0.0.1:8787", origin=origin))


@pytest.mark.parametrize(
    "host", ["evil.example:8787", "evil.example", "192.0.2.1", "localhost.evil.example", "[2001:db8::1]:80", ""]
)
def test_p8_without_a_token_a_foreign_host_name_does_not_open_the_queue(host: str) -> None:
    """DNS rebinding: the page's site and the host it asks for agree, and neither is this machine's."""
    with pytest.raises(CrossSite, match="this machine only"):
        OPEN.bot(request(host=host, origin=f"http://{host}"))


@pytest.mark.parametrize("host", ["localhost:8787", "localhost", "127.0.0.1", "127.1.2.3:1", "[::1]:8787", "[::1]"])
def test_p8_without_a_token_every_name_of_this_machine_opens_the_queue(host: str) -> None:
    OPEN.bot(request(host=host, origin=f"http://{host}"))


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_p8_without_a_token_what_a_proxy_forwards_does_not_open_the_queue(header: str) -> None:
    """A proxy may name this server in ``Host``, as nginx does unless told otherwise; then everybody would look local."""
    forwarded = request(client="127.0.0.1", host="127.0.0.1:8787", **{header: "203.0.113.9"})
    for scope in ("bot", "operator"):
        assert not OPEN.allows(forwarded, scope)
    with pytest.raises(CrossSite, match=f"a proxy .*{header}"):
        OPEN.operator(forwarded)
    OPEN.check_page(forwarded)
    GUARDED.bot(request(authorization="Bearer the-token", **{header: "203.0.113.9"}))


# -- Pages


def test_p8_a_page_of_another_site_may_not_post_or_listen() -> None:
    for auth in (OPEN, GUARDED):
        auth.check_page(request(host="wall.example"))
        auth.check_page(request(host="wall.example", origin="https://wall.example"))
        with pytest.raises(CrossSite, match="elsewhere"):
            auth.check_page(request(host="wall.example", origin="https://elsewhere.example"))
    OPEN.check_page(request(host="wall.example", origin="https://friend.example"))


def test_p8_a_wall_for_all_sites_still_keeps_its_queue_to_its_own() -> None:
    auth = Auth(Tokens(), frozenset({"*"}))
    stranger = request(host="127.0.0.1:8787", origin="https://elsewhere.example")
    auth.check_page(stranger)
    with pytest.raises(CrossSite):
        auth.bot(stranger)
    assert not auth.allows(stranger, "bot")


# -- Scopes

TOKENS = {"answers": ["bot"], "looks-after": ["operator"], "does-both": ["bot", "operator"]}


def file_of(directory: Path, *names: str) -> Path:
    """A file with these tokens, each of which is its name."""
    path = directory / "tokens.toml"
    new = directory / "new"
    new.write_text("".join(f'[{name}]\nscopes = {TOKENS[name]}\nsha256 = "{digest(name)}"\n' for name in names))
    new.chmod(0o600)
    new.rename(path)
    return path


def bearer(token: str) -> Request:
    return request(authorization=f"Bearer {token}")


def test_p8_a_token_is_good_for_its_scopes_and_the_refusal_names_the_one_that_is_needed(tmp_path: Path) -> None:
    auth = Auth(Tokens(path=file_of(tmp_path, *TOKENS), look_seconds=0), frozenset())
    assert auth.bot(bearer("answers")).name == "answers"
    assert auth.operator(bearer("looks-after")) == Caller("looks-after", frozenset({"operator"}), digest("looks-after"))
    assert auth.bot(bearer("does-both")) == auth.operator(bearer("does-both"))
    with pytest.raises(WrongScope, match="needs a token with the scope operator; the token answers has the scope bot"):
        auth.operator(bearer("answers"))
    with pytest.raises(WrongScope, match="needs a token with the scope bot; the token looks-after has the scope operator"):
        auth.bot(bearer("looks-after"))
    assert auth.anyone(bearer("answers")).name == "answers"
    with pytest.raises(NotAllowed):
        auth.anyone(bearer("nobodys"))


def test_p8_a_revoked_token_is_good_for_nothing_at_once(tmp_path: Path) -> None:
    auth = Auth(Tokens(path=file_of(tmp_path, "answers", "looks-after"), look_seconds=0), frozenset())
    caller = auth.bot(bearer("answers"))
    assert auth.is_current(caller)
    file_of(tmp_path, "looks-after")
    with pytest.raises(NotAllowed):
        auth.bot(bearer("answers"))
    assert not auth.is_current(caller)


def test_p8_a_caller_from_before_the_first_token_was_set_is_none_afterwards(tmp_path: Path) -> None:
    auth = Auth(Tokens(path=tmp_path / "tokens.toml", look_seconds=0), frozenset())
    caller = auth.bot(request())
    assert (caller.name, auth.is_current(caller)) == ("local", True)
    file_of(tmp_path, "answers")
    assert not auth.is_current(caller)
    with pytest.raises(NotAllowed):
        auth.bot(request())


def test_p8_without_a_token_pages_look_on_and_programs_change_what_they_like() -> None:
    own = {"host": "127.0.0.1:8787", "origin": "http://127.0.0.1:8787"}
    assert OPEN.operator(request(method="GET", **own)).name == "local"
    assert OPEN.operator(request()).name == "local"
    with pytest.raises(NotAllowed, match="only look on"):
        OPEN.operator(request(**own))


def test_p8_a_session_whose_token_is_revoked_between_two_looks_at_it_is_none(
    browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser.sessions, "name", lambda _: "revoked just now")
    with pytest.raises(NotAllowed):
        browser.auth.operator(browser.sends())


# -- Sessions


class Clock:
    """A clock that a test moves; it shows seconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_762_025_642.7

    def __call__(self) -> float:
        return self.now


class Browser:
    """A browser that keeps the cookie of one server."""

    def __init__(self, path: Path, key: Callable[[], bytes] = lambda: b"k" * 32) -> None:
        self.clock = Clock()
        tokens = Tokens("both-in-one", path, look_seconds=0)
        self.sessions = Sessions(tokens, key, clock=self.clock)
        self.auth = Auth(tokens, frozenset({"*"}), self.sessions)
        self.cookie = ""
        self.attributes: list[str] = []

    def sign_in(self, token: str, **headers: str) -> None:
        self.cookie, *self.attributes = self.sessions.sign_in(request(**headers), token).split("; ")

    def sends(self, method: str = "GET", cookie: str | None = None, **headers: str) -> Request:
        return request(method=method, cookie=self.cookie if cookie is None else cookie, host="wall.example", **headers)


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(file_of(tmp_path, *TOKENS))


def test_p8_an_operator_who_has_signed_in_is_known_by_a_cookie_that_scripts_and_other_sites_cannot_use(
    browser: Browser,
) -> None:
    browser.sign_in("looks-after")
    assert browser.attributes == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    assert "looks-after" in browser.cookie
    assert digest("looks-after") not in browser.cookie
    assert browser.auth.operator(browser.sends()).name == "looks-after"
    assert browser.auth.operator(browser.sends("POST", origin="https://wall.example")).name == "looks-after"
    assert browser.auth.allows(browser.sends(), "operator")


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "https://wall.example:1", "null", None])
def test_p8_with_a_cookie_only_this_servers_pages_change_anything(browser: Browser, origin: str | None) -> None:
    """Even those of sites that may post here may not."""
    browser.sign_in("looks-after")
    with pytest.raises(CrossSite):
        browser.auth.operator(browser.sends("POST", **({} if origin is None else {"origin": origin})))


def test_p8_a_websocket_with_a_cookie_is_one_of_this_servers_pages(browser: Browser) -> None:
    browser.sign_in("looks-after")
    handshake = browser.sends(origin="https://elsewhere.example")
    del handshake.scope["method"]
    with pytest.raises(CrossSite):
        browser.auth.operator(handshake)


def test_p8_a_cookie_is_for_operators_whatever_else_the_token_is_good_for(browser: Browser) -> None:
    for token in ("does-both", "both-in-one"):
        browser.sign_in(token)
        with pytest.raises(WrongScope, match="scope bot"):
            browser.auth.bot(browser.sends())
    with pytest.raises(WrongScope, match="scope operator"):
        browser.sign_in("answers")


def test_p8_over_https_the_cookie_stays_there(browser: Browser) -> None:
    browser.sign_in("looks-after", host="wall.example", origin="https://wall.example")
    assert browser.attributes[-1] == "Secure"
    assert browser.cookie.startswith("__Host-")
    assert browser.auth.operator(browser.sends()).name == "looks-after"


def test_p8_a_session_ends_after_twelve_hours_and_with_its_token(browser: Browser, tmp_path: Path) -> None:
    browser.sign_in("looks-after")
    browser.clock.now += 12 * 3_600 - 1
    assert browser.auth.operator(browser.sends()).name == "looks-after"
    browser.clock.now += 1
    assert not browser.auth.allows(browser.sends(), "operator")
    browser.sign_in("looks-after")
    file_of(tmp_path, "answers")
    with pytest.raises(NotAllowed):
        browser.auth.operator(browser.sends())


def test_p8_a_session_does_not_pass_to_a_new_token_of_the_same_name(browser: Browser, tmp_path: Path) -> None:
    browser.sign_in("looks-after")
    path = file_of(tmp_path, "looks-after")
    path.write_text(path.read_text().replace(digest("looks-after"), digest("another")))
    assert not browser.auth.allows(browser.sends(), "operator")


def test_p8_a_session_does_not_outlast_the_scope_of_its_token(browser: Browser, tmp_path: Path) -> None:
    browser.sign_in("does-both")
    path = file_of(tmp_path, "does-both")
    path.write_text(path.read_text().replace("['bot', 'operator']", "['bot']"))
    assert not browser.auth.allows(browser.sends(), "operator")


def test_p8_a_cookie_that_was_changed_or_signed_elsewhere_is_none(browser: Browser, tmp_path: Path) -> None:
    browser.sign_in("looks-after")
    name, _, value = browser.cookie.partition("=")
    parts = value.split(".")
    later = [*parts[:2], str(int(parts[2]) + 1), parts[3]]
    other = ["does-both", digest("does-both")[:16], *parts[2:]]
    elsewhere = Browser(tmp_path / "tokens.toml", lambda: b"K" * 32)
    elsewhere.sign_in("looks-after")
    for wrong in (later, other, parts[:3], [*parts[:3], ""], [*parts, "x"], [parts[0], parts[1], "\u0663", parts[3]], [""]):
        assert not browser.auth.allows(browser.sends(cookie=f"{name}={'.'.join(wrong)}".encode().decode("latin-1")), "operator")
    assert not browser.auth.allows(browser.sends(cookie=elsewhere.cookie), "operator")
    assert browser.auth.allows(browser.sends(), "operator")


def test_p8_who_tries_tokens_has_to_wait_and_keeps_nobody_out_who_has_one(browser: Browser) -> None:
    """Behind a proxy all have one address."""
    for number in range(10):
        with pytest.raises(NotAllowed):
            browser.sign_in(f"guess-{number}")
    for number in range(20):
        with pytest.raises(TooManySignIns) as refused:
            browser.sign_in(f"further-guess-{number}")
        assert 1 <= refused.value.retry_after_seconds <= 60
    with pytest.raises(NotAllowed):
        browser.sessions.sign_in(request(client="192.0.2.2"), "guess of somebody else")
    browser.sign_in("looks-after")
    assert browser.auth.allows(browser.sends(), "operator")


@pytest.mark.parametrize("fault", ["short", "unreadable", "no room"])
def test_p8_without_a_usable_key_no_cookie_is_good_and_who_signs_in_learns_why(tmp_path: Path, fault: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    match fault:
        case "short":
            (data / "session.key").write_bytes(b"short")
        case "unreadable":
            (data / "session.key").mkdir()
        case _:
            data.rmdir()
    browser = Browser(file_of(tmp_path, *TOKENS), key_in(data))
    with pytest.raises(NoSessionKey, match=r"session\.key"):
        browser.sign_in("looks-after")
    forged = browser.sends(cookie="sww-operator=looks-after.b.1.d")
    assert not browser.auth.allows(forged, "operator")
    with pytest.raises(NotAllowed):
        browser.auth.operator(forged)


def test_p8_signing_out_removes_the_cookie(browser: Browser) -> None:
    assert browser.sessions.sign_out(request()).startswith("sww-operator=; Path=/; Max-Age=0")
