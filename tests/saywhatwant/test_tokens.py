"""The file of tokens: its errors have line and key, and a valid change counts at once."""

import logging
from pathlib import Path

import pytest

from saywhatwant.tokens import MAX_TOKENS, Tokens, WrongTokens, digest, new_token, read_tokens

GOOD = f"""
[bots]
scopes = ["bot"]
sha256 = "{digest("good")}"
added = 2026-11-27
"""


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    new = path.with_name("new")
    new.write_text(text)
    new.chmod(mode)
    new.rename(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "tokens.toml", GOOD)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[bots\n", "line 1"),
        ("[Bots]\n", r"line 1: \[Bots\] must be a plain name"),
        (GOOD.replace('"bot"', '"root"'), r"line 3: bots\.scopes\[0\]: must be one of bot, operator"),
        (GOOD.replace('["bot"]', "[]"), r"line 3: bots\.scopes: must not be empty"),
        (GOOD.replace(digest("good"), "good"), r"line 4: bots\.sha256: must be 64 hexadecimal digits"),
        (GOOD.replace("sha256", "# sha256"), r"line 2: bots\.sha256: is required"),
        (GOOD.replace("added", "made"), r"line 5: bots\.made: is not a known key"),
        (GOOD.replace("[bots]", "[bot-token]"), r"\[bot-token\] is a name that the server uses itself"),
    ],
)
def test_p8_a_wrong_file_of_tokens_is_refused_with_line_and_key(path: Path, text: str, words: str) -> None:
    write(path, text)
    with pytest.raises(WrongTokens, match=words) as wrong:
        Tokens(path=path, look_seconds=0)
    assert str(path) in str(wrong.value)


def test_p8_a_file_that_others_may_change_is_refused(path: Path) -> None:
    for mode in (0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(WrongTokens, match="chmod 600"):
            Tokens(path=path, look_seconds=0)


def test_p8_more_tokens_than_a_server_compares_are_refused(path: Path) -> None:
    write(path, "".join(GOOD.replace("bots", f"bots-{number}") for number in range(MAX_TOKENS + 1)))
    with pytest.raises(WrongTokens, match=f"at most {MAX_TOKENS} tokens"):
        Tokens(path=path, look_seconds=0)


def test_p8_while_the_file_is_wrong_the_tokens_stay_and_the_error_is_logged_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = Tokens(path=path, look_seconds=0)
    write(path, "[bots\n")
    with caplog.at_level(logging.ERROR):
        assert [tokens.find("good") is not None for _ in range(3)] == [True] * 3
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["the tokens stay as they were"]
    write(path, GOOD.replace(digest("good"), digest("better")))
    assert tokens.find("good") is None
    assert tokens.find("better") is not None


def test_p8_a_file_that_is_removed_leaves_no_token_and_the_wall_is_not_open_for_that(path: Path) -> None:
    tokens = Tokens(path=path, look_seconds=0)
    path.unlink()
    assert tokens.find("good") is None
    assert tokens.are_needed()
    write(path, GOOD)
    assert tokens.find("good") is not None


def test_p8_with_neither_a_setting_nor_a_file_no_token_is_needed(tmp_path: Path) -> None:
    tokens = Tokens(path=tmp_path / "tokens.toml", own="of-the-bot-in-here", look_seconds=0)
    assert not tokens.are_needed()
    write(tmp_path / "tokens.toml", "")
    assert tokens.are_needed(), "revoking the last one lets nobody in"
    found = tokens.find("of-the-bot-in-here")
    assert found is not None
    assert found[1].scopes == ["bot"]


def test_p8_the_token_of_the_settings_has_both_scopes(path: Path) -> None:
    found = Tokens("of-the-settings", path, look_seconds=0).find("of-the-settings")
    assert found is not None
    assert (found[0], found[1].scopes) == ("bot-token", ["bot", "operator"])


def test_p8_new_tokens_are_long_and_never_the_same() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert {len(token) for token in made} == {47}


def test_p8_the_file_has_no_token_in_it(path: Path) -> None:
    assert read_tokens(path)["bots"].sha256 == digest("good")
    assert '"good"' not in path.read_text()


def test_p8_who_gives_the_first_token_is_not_taken_for_somebody_without_one(path: Path) -> None:
    """Its socket would end when the file is seen, as those of callers without a token do."""
    content = path.read_text()
    path.unlink()
    tokens = Tokens(path=path, look_seconds=600)
    assert not tokens.are_needed()
    write(path, content)
    assert not tokens.are_needed()
    assert tokens.are_needed(one_is_given=True)
    assert tokens.are_needed()
