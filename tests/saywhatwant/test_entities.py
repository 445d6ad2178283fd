"""The entities file: an error is reported with line and key, and a valid change is loaded."""

import os
import re
import shutil
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

from saywhatwant.entities import CHATBOTS, Entities, Entity, WrongEntities, parse
from saywhatwant.message import DEFAULT_PRIORITY

GOOD = """
[fear-and-loathing]
display_name = "Fear"
color = "169080199"
model = "gpt-5-mini"
"""


def test_the_entities_that_ship_are_valid() -> None:
    assert {"eliza", "zen"} <= Entities().current.keys()


def test_the_chatbots_that_may_be_named_are_those_of_nltk() -> None:
    chatbots = (chat.__name__.removesuffix("_chat") for chat, _ in import_module("nltk.chat").bots)
    assert sorted(CHATBOTS) == sorted(chatbots)


def test_an_entity_needs_a_name_a_colour_and_a_model_and_the_rest_has_defaults() -> None:
    entity = parse(GOOD, "entities.toml")["fear-and-loathing"]
    assert (entity.display_name, entity.base_url, entity.priority, entity.concurrency) == ("Fear", None, DEFAULT_PRIORITY, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[zen\n", "line 1"),
        ("", "must contain an entity"),
        ("[Zen]\ncolor = 1\n", r"line 1: \[Zen\] must be a plain name"),
        (GOOD + "temperature = 3\n", r"line 6: fear-and-loathing\.temperature: must be a number of at most 2"),
        (GOOD + "temprature = 1\n", r"line 6: fear-and-loathing\.temprature: is not a known key"),
        (GOOD + f"temperature = {'1' * 5_000}\n", "4300 digits"),
        (GOOD + "extra_body = {day = 1979-05-27}\n", r"line 6: fear-and-loathing\.extra_body: must have only JSON values"),
        (GOOD + "extra_body = {logit = [inf]}\n", r"line 6: fear-and-loathing\.extra_body: must have only JSON values"),
        (
            GOOD.replace("169080199", "red"),
            r"line 4: fear-and-loathing\.color: must be nine digits RRRGGGBBB, each triple 000 to 255",
        ),
        (GOOD.replace("Fear", " "), r"line 3: fear-and-loathing\.display_name: must have 1 to 32 characters after trimming"),
        (GOOD.replace("Fear", "Fear "), r"line 3: fear-and-loathing\.display_name: must not start or end with whitespace"),
        (
            GOOD.replace("gpt-5-mini", "nltk:nope"),
            r"line 5: fear-and-loathing\.model: no such chatbot: 'nope'; must be one of eliza, ",
        ),
        (GOOD.replace("gpt-5-mini", "nltk:"), r"line 5: fear-and-loathing\.model: no such chatbot: ''"),
        (GOOD.replace("model", "# model"), r"line 2: fear-and-loathing\.model: is required"),
        (GOOD + "[zen]\ndisplay_name = 5\n", r"line 7: zen\.display_name: must be a text, not a whole number"),
        (GOOD + 'reads = "all"\n', r"line 6: fear-and-loathing\.reads: must be one of talk, wall"),
        (GOOD + 'openers = ["Why?", ""]\n', r"line 6: fear-and-loathing\.openers\[1\]: must not be empty"),
        (GOOD + "top_k = 0.5\n", r"line 6: fear-and-loathing\.top_k: must be a whole number, not a fraction"),
        (GOOD + "extra_body = 5\n", r"line 6: fear-and-loathing\.extra_body: must be a table, not a whole number"),
        (
            GOOD + "extra_body = {stream = false}\n",
            r"line 6: .*extra_body: must not contain 'stream', which the bot sets itself",
        ),
        (GOOD + "[fear-and-loathing.extra_body]\nmodel = 'x'\n", r"extra_body: must not contain 'model'"),
        ("zen = 5\n", r"line 1: zen: must be a table, not a whole number"),
        ("zen = " + "[" * 100_000, "nested too deep"),
    ],
)
def test_p8_a_mistake_is_reported_with_line_and_key(text: str, words: str) -> None:
    with pytest.raises(WrongEntities, match=words) as wrong:
        parse(text, "entities.toml")
    assert str(wrong.value).startswith("entities.toml")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "localhost:11434/v1",
        "ftp://localhost/v1",
        "http:///v1",
        "http://local host/v1",
        "http://localhost/v1\\n",
        "http://[::1:9/v1",
        "http://localhost:99999/v1",
        "http://localhost:0/v1",
        "http://localhost:port/v1",
    ],
)
def test_p8_a_base_url_that_is_not_one_is_a_mistake(url: str) -> None:
    with pytest.raises(WrongEntities, match=r"line 6: fear-and-loathing\.base_url: must be an http or https URL"):
        parse(GOOD + f'base_url = "{url}"\n', "entities.toml")


@pytest.mark.parametrize("url", ["https://api.example/v1", "http://me:secret@[::1]:11434/v1", "HTTP://127.0.0.1:1"])
def test_a_base_url_is_taken_as_it_stands(url: str) -> None:
    assert parse(GOOD + f'base_url = "{url}"\n', "entities.toml")["fear-and-loathing"].base_url == url


def test_p8_a_password_in_a_wrong_base_url_is_not_repeated() -> None:
    with pytest.raises(WrongEntities) as wrong:
        parse(GOOD + 'base_url = "http://me:secret@localhost:99999/v1"\n', "entities.toml")
    assert "secret" not in str(wrong.value)


def test_p8_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongEntities, match=r"nowhere\.toml cannot be read: No such file or directory$"):
        Entities(tmp_path / "nowhere.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(WrongEntities, match=r"bytes\.toml cannot be read: it is not text in UTF-8$"):
        Entities(tmp_path / "bytes.toml")


MISTAKES = [
    (GOOD.replace("169080199", "red"), "line 4: fear-and-loathing.color"),
    (GOOD.replace("gpt-5-mini", "nltk:nope"), "line 5: fear-and-loathing.model"),
    (GOOD + 'base_url = "http://[::1:9/v1"', "line 6: fear-and-loathing.base_url"),
    ("zen = " + "[" * 100_000, "nested too deep"),
]


def test_a_changed_file_is_read_again_and_an_invalid_one_leaves_the_old_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "entities.toml"

    def write(text: str, at: int) -> None:
        path.write_text(text)
        os.utime(path, (at, at))

    write(GOOD, 1)
    entities = Entities(path)
    write(GOOD.replace("Fear", "Loathing"), 2)
    entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Loathing"
    for at, (mistake, words) in enumerate(MISTAKES, 3):
        write(mistake, at)
        entities.refresh()
        assert entities.current["fear-and-loathing"].display_name == "Loathing"
        assert words in caplog.text
    path.unlink()
    entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Loathing"


def test_a_file_that_replaces_one_of_the_same_time_and_length_is_read(tmp_path: Path) -> None:
    """As ``cp -p`` does, and ``mv``."""
    path, another = tmp_path / "entities.toml", tmp_path / "another.toml"
    path.write_text(GOOD)
    entities = Entities(path)
    for name, put in (("Hate", shutil.copy2), ("Awe!", os.replace)):
        another.write_text(GOOD.replace("Fear", name))
        os.utime(another, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        put(another, path)
        entities.refresh()
        assert entities.current["fear-and-loathing"].display_name == name


@pytest.mark.parametrize("away", ["gone", "a directory"])
def test_a_file_that_was_away_for_a_while_is_read_though_it_has_not_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    path, put_away = tmp_path / "entities.toml", tmp_path / "put-away.toml"
    path.write_text(GOOD)
    entities = Entities(path)
    for times in (1, 2):
        path.rename(put_away)
        if away == "a directory":
            path.mkdir()
        entities.refresh()
        entities.refresh()
        assert caplog.text.count("cannot be read") == times
        if away == "a directory":
            path.rmdir()
        put_away.rename(path)
        entities.current = {}
        entities.refresh()
        assert entities.current.keys() == {"fear-and-loathing"}


def test_a_change_that_could_not_be_read_at_first_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: the user who runs the tests may have every permission."""

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "entities.toml"
    path.write_text(GOOD)
    entities = Entities(path)
    path.write_text(GOOD.replace("Fear", "Loathing"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", refuse)
        entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Fear"
    entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Loathing"


def test_a_mistake_is_logged_once_and_again_when_it_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "entities.toml"
    path.write_text(GOOD)
    entities = Entities(path)
    for times in (1, 2):
        path.write_text(GOOD.replace("169080199", "red"))
        entities.refresh()
        path.touch()
        entities.refresh()
        assert caplog.text.count("fear-and-loathing.color") == times
        path.write_text(GOOD)
        entities.refresh()


@pytest.mark.parametrize(
    ("model", "base_url", "words"),
    [
        ("nltk:nope", None, "model for all entities: no such chatbot: 'nope'"),
        ("m", "x", "base_url for all entities: must be"),
    ],
)
def test_p8_a_wrong_model_for_all_is_a_mistake(model: str, base_url: str | None, words: str) -> None:
    with pytest.raises(WrongEntities, match=words):
        Entities(model=model, base_url=base_url)


def test_one_model_can_stand_in_for_all() -> None:
    entities = Entities(model="tiny", base_url="http://127.0.0.1:1/v1")
    assert {(entity.model, entity.base_url) for entity in entities.current.values()} == {("tiny", "http://127.0.0.1:1/v1")}


def test_the_file_that_ships_documents_every_key() -> None:
    text = (files("saywhatwant") / "entities.toml").read_text()
    documented = {key for keys in re.findall(r"^#   (\w+(?:, \w+)*)  ", text, re.MULTILINE) for key in keys.split(", ")}
    assert documented == set(Entity.__struct_fields__)
