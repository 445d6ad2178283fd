"""Settings: where they come from; a wrong one is refused with its name, its value and what is allowed (P8)."""

from pathlib import Path

import pytest

from saywhatwant.settings import WrongSettings, load

pytestmark = pytest.mark.usefixtures("no_settings")


def test_p8_the_defaults_are_those_of_the_specification() -> None:
    settings = load()
    assert (settings.bind, settings.data) == ("127.0.0.1:8787", Path("data"))
    assert (settings.lease_seconds, settings.max_attempts, settings.retention) == (60, 3, 200)
    assert (settings.backlog_limit, settings.max_text) == (10_000, 5_000)
    assert (settings.max_wait_seconds, settings.most_urgent_priority, settings.priority_aging_seconds) == (86_400, 5, 10)
    assert (settings.topology, settings.runtime) == ("single", "embedded")
    assert (settings.token, settings.cors_origins, settings.takes_unknown_entities) == (None, [], True)
    assert settings.posts_per_minute == 0


def test_p8_options_override_the_environment_and_that_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sww.toml").write_text('retention = 1\nmax_attempts = 1\nlease_seconds = 1\ncors_origins = ["https://one.example"]\n')
    monkeypatch.setenv("SWW_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("SWW_LEASE_SECONDS", "2")
    settings = load(lease_seconds=3, retention=None)
    assert (settings.retention, settings.max_attempts, settings.lease_seconds) == (1, 2, 3)
    assert settings.cors_origins == ["https://one.example"]


def test_p8_origins_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_CORS_ORIGINS", "https://one.example, http://two.example:8080,")
    assert load().cors_origins == ["https://one.example", "http://two.example:8080"]


def test_p8_the_urls_of_a_cluster_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_RESTATE", "http://one.example:8080/, http://two.example:8080,")
    assert load().restate == ["http://one.example:8080", "http://two.example:8080"]
    assert load().admin_urls == ["http://127.0.0.1:9070"]
    Path("sww.toml").write_text('restate_admin = ["http://one.example:9070"]\n')
    assert load().admin_urls == ["http://one.example:9070"]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SWW_BIND", "8787", "HOST:PORT"),
        ("SWW_BIND", "127.0.0.1:http", "HOST:PORT"),
        ("SWW_BIND", "127.0.0.1:65536", "HOST:PORT"),
        ("SWW_BIND", "", "HOST:PORT"),
        ("SWW_LEASE_SECONDS", "0", "1 to 3600"),
        ("SWW_LEASE_SECONDS", "-5", "1 to 3600"),
        ("SWW_LEASE_SECONDS", "nan", "1 to 3600"),
        ("SWW_LEASE_SECONDS", "inf", "1 to 3600"),
        ("SWW_LEASE_SECONDS", "a minute", "1 to 3600"),
        ("SWW_MAX_ATTEMPTS", "0", "1 to 100"),
        ("SWW_MAX_ATTEMPTS", "1.5", "1 to 100"),
        ("SWW_RETENTION", "0", "1 to 1000000"),
        ("SWW_BACKLOG_LIMIT", "-1", "1 to 1000000"),
        ("SWW_MAX_WAIT_SECONDS", "0", "1 to 31536000"),
        ("SWW_MOST_URGENT_PRIORITY", "100", "0 to 99"),
        ("SWW_PRIORITY_AGING_SECONDS", "0", "0.001 to 86400"),
        ("SWW_MAX_TEXT", "0", "1 to 20000"),
        ("SWW_MAX_TEXT", "20001", "1 to 20000"),
        ("SWW_RATE_LIMIT", "-1", "0 (off) to 1000000"),
        ("SWW_TOPOLOGY", "mesh", "'single'"),
        ("SWW_RUNTIME", "quantum", "'embedded', 'restate' or 'wire'"),
        ("SWW_RESTATE", "127.0.0.1:8080", "http://127.0.0.1:8080, commas between"),
        ("SWW_RESTATE", "http://one.example:8080,ftp://two.example", "http://127.0.0.1:8080, commas between"),
        ("SWW_RESTATE", "http://one.example:99999", "http://127.0.0.1:8080, commas between"),
        ("SWW_RESTATE_ADMIN", "http://one.example:9070/deployments", "http://127.0.0.1:9070, commas between"),
        ("SWW_RESTATE_NAME", "my wall", "1 to 64 letters, digits and hyphens, the first one a letter"),
        ("SWW_RESTATE_NAME", "2walls", "1 to 64 letters, digits and hyphens, the first one a letter"),
        ("SWW_RESTATE_NAME", "w" * 65, "1 to 64 letters, digits and hyphens, the first one a letter"),
        ("SWW_RESTATE_NAME", "", "1 to 64 letters, digits and hyphens, the first one a letter"),
        ("SWW_OBJECTS_BIND", "9080", "HOST:PORT"),
        ("SWW_OBJECTS_URL", "10.0.0.5:9080", "http://10.0.0.5:9080"),
        ("SWW_OPEN_ENTITIES", "perhaps", "true or false"),
        ("SWW_CORS_ORIGINS", "example.org", "https://example.org"),
        ("SWW_CORS_ORIGINS", "https://example.org/path", "https://example.org"),
        ("SWW_CORS_ORIGINS", "https://example.org:port", "https://example.org"),
        ("SWW_FRAME_ANCESTORS", "*", "https://example.org"),
        ("SWW_FRAME_ANCESTORS", "https://example.org:99999", "https://example.org"),
        ("SWW_FRAME_ANCESTORS", "'self'", "https://example.org"),
        ("SWW_FRAME_ANCESTORS", "https://*.example.org", "https://example.org"),
        ("SWW_FRAME_ANCESTORS", "https://example.org;script-src", "https://example.org"),
        ("SWW_FRAME_ANCESTORS", 'https://example.org"><b', "https://example.org"),
        ("SWW_TRUSTED_PROXIES", "my proxy", "addresses"),
    ],
)
def test_p8_a_wrong_value_is_refused_with_its_name_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettings) as wrong:
        load()
    for part in (name, value, allowed):
        assert part in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_p8_all_wrong_settings_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_RETENTION", "none")
    monkeypatch.setenv("SWW_MAX_ATTEMPTS", "many")
    with pytest.raises(WrongSettings) as wrong:
        load()
    assert len(str(wrong.value).splitlines()) == 2


def test_p8_an_unknown_variable_is_reported_with_a_similar_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_LEASE_SECOND", "5")
    with pytest.raises(WrongSettings, match="no such setting: SWW_LEASE_SECOND; did you mean SWW_LEASE_SECONDS"):
        load()


def test_p8_an_unknown_variable_like_no_other_is_reported_with_all_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_XYZZY", "5")
    with pytest.raises(WrongSettings, match=r"no such setting: SWW_XYZZY; allowed: .*SWW_RETENTION"):
        load()


def test_p8_a_short_unknown_variable_is_not_like_a_setting_because_of_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_FOO", "5")
    with pytest.raises(WrongSettings, match=r"no such setting: SWW_FOO; allowed: SWW_BIND, "):
        load()


def test_p8_a_short_unknown_key_in_the_file_is_reported_with_a_similar_one() -> None:
    Path("sww.toml").write_text("retentoin = 5\n")
    with pytest.raises(WrongSettings, match=r"no such setting: retentoin \(in sww\.toml\); did you mean retention\?"):
        load()


def test_p8_an_unknown_key_in_the_file_is_reported_with_a_similar_one() -> None:
    Path("sww.toml").write_text("lease_second = 5\n")
    with pytest.raises(WrongSettings, match=r"no such setting: lease_second .*sww\.toml.*; did you mean lease_seconds"):
        load()


@pytest.mark.parametrize(
    "content", [b"retention = = 5\n", b"[unfinished", b'bind = "\xff"\n'], ids=["equals", "bracket", "bytes"]
)
def test_p8_a_file_that_is_not_toml_is_reported(content: bytes) -> None:
    Path("sww.toml").write_bytes(content)
    with pytest.raises(WrongSettings, match=r"sww\.toml is not TOML"):
        load()


@pytest.mark.parametrize("token", ["two words", "caf\u00e9", "tab\there"])
def test_p8_a_wrong_token_is_reported_without_its_value(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("SWW_BOT_TOKEN", token)
    with pytest.raises(WrongSettings, match="SWW_BOT_TOKEN") as wrong:
        load()
    assert token not in str(wrong.value)


def test_p8_no_text_of_the_settings_shows_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_BOT_TOKEN", "a-token-that-nobody-guesses")
    settings = load()
    assert settings.token == "a-token-that-nobody-guesses"  # noqa: S105 - the test's own
    assert "guesses" not in repr(settings) + str(settings)


@pytest.mark.parametrize("bind", ["0.0.0.0:8787", "[::]:8787", "192.0.2.1:80", "wall.example:80"])
@pytest.mark.parametrize("token", [None, "", "short"])
def test_p8_beyond_loopback_a_token_is_needed_that_is_hard_to_guess(
    monkeypatch: pytest.MonkeyPatch, bind: str, token: str | None
) -> None:
    if token is not None:
        monkeypatch.setenv("SWW_BOT_TOKEN", token)
    with pytest.raises(WrongSettings) as wrong:
        load(bind=bind)
    assert bind in str(wrong.value)
    assert "SWW_BOT_TOKEN" in str(wrong.value)


def test_p8_beyond_loopback_posts_are_limited_unless_set_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWW_BOT_TOKEN", "a-token-that-nobody-guesses")
    monkeypatch.setenv("SWW_BIND", "192.0.2.1:80")
    assert load().posts_per_minute > 0
    monkeypatch.setenv("SWW_RATE_LIMIT", "0")
    assert load().posts_per_minute == 0


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "127.1.2.3:80", "[::1]:8787", "localhost:8787"])
def test_p8_loopback_needs_no_token(bind: str) -> None:
    settings = load(bind=bind)
    assert settings.is_loopback
    assert settings.token is None
