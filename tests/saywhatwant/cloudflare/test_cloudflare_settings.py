"""Settings of a wall on Cloudflare: checked like everywhere, and refused by name where they mean nothing there."""

from pathlib import Path

import pytest

from saywhatwant.cloudflare.settings import load
from saywhatwant.settings import PUBLIC_POSTS_PER_MINUTE, Settings, WrongSettings

TOKEN = {"SWW_BOT_TOKEN": "a-token-that-nobody-guesses"}
BUNDLE = Path("/bundle")


def loaded(**variables: object) -> Settings:
    return load(TOKEN | variables, BUNDLE)


def test_variables_and_secrets_are_settings_and_other_bindings_are_not() -> None:
    settings = loaded(SWW_RETENTION="50", SWW_RATE_LIMIT=7, SWW_CORS_ORIGINS=["https://example.org"], WALL=object())
    assert (settings.retention, settings.posts_per_minute, settings.cors_origins) == (50, 7, ["https://example.org"])
    assert settings.token == TOKEN["SWW_BOT_TOKEN"]


def test_p8_others_can_reach_it_so_it_needs_a_token_and_has_limits() -> None:
    with pytest.raises(WrongSettings, match="set SWW_BOT_TOKEN to 16 characters"):
        load({}, BUNDLE)
    assert loaded().posts_per_minute == PUBLIC_POSTS_PER_MINUTE
    assert loaded().max_sockets_per_address > 0


def test_where_only_this_machine_can_reach_it_the_rules_are_those_of_a_laptop() -> None:
    settings = load({"SWW_BIND": "127.0.0.1:8787"}, BUNDLE)
    assert (settings.token, settings.posts_per_minute) == (None, 0)


@pytest.mark.parametrize("name", ["DATA", "MAX_CONNECTIONS", "TRUSTED_PROXIES", "RESTATE", "OBJECTS_URL", "MODEL_SECONDS"])
def test_p8_a_setting_that_means_nothing_there_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(WrongSettings, match=f"SWW_{name} means nothing on Cloudflare: "):
        loaded(**{f"SWW_{name}": "1"})


@pytest.mark.parametrize(("name", "value"), [("TOPOLOGY", "hybrid"), ("TOPOLOGY", "per-entity"), ("RUNTIME", "embedded")])
def test_p8_another_topology_or_runtime_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(WrongSettings, match=f"SWW_{name} is '{value}'; allowed on Cloudflare: "):
        loaded(**{f"SWW_{name}": value})
    assert loaded(SWW_TOPOLOGY="single", SWW_RUNTIME="cloudflare").topology == "single"


def test_p8_wrong_and_unknown_settings_are_refused_as_everywhere() -> None:
    with pytest.raises(WrongSettings, match="SWW_RETENTION is 'many'; allowed: 1 to"):
        loaded(SWW_RETENTION="many")
    with pytest.raises(WrongSettings, match="no such setting: SWW_RETENTOIN; did you mean SWW_RETENTION"):
        loaded(SWW_RETENTOIN="5")


def test_the_file_of_entities_is_looked_for_in_the_bundle() -> None:
    assert loaded(SWW_ENTITIES="entities.toml").entities == BUNDLE / "entities.toml"
    assert loaded().entities is None
