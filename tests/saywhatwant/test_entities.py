"""The entities file: a mistake is told with line and key, and a change is taken or leaves everything as it was."""

import os
from pathlib import Path

import pytest

from saywhatwant.entities import Entities, WrongEntities, parse
from saywhatwant.message import DEFAULT_PRIORITY

GOOD = """
[fear-and-loathing]
display_name = "Fear"
color = "169080199"
model = "gpt-5-mini"
"""


def test_the_entities_that_ship_are_right() -> None:
    assert {"eliza", "zen"} <= Entities().current.keys()


def test_an_entity_needs_a_name_a_colour_and_a_model_and_the_rest_has_defaults() -> None:
    entity = parse(GOOD, "cast.toml")["fear-and-loathing"]
    assert (entity.display_name, entity.base_url, entity.priority, entity.concurrency) == ("Fear", None, DEFAULT_PRIORITY, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[zen\n", "line 1"),
        ("", "no entity"),
        ("[Zen]\ncolor = 1\n", r"line 1: \[Zen\] must be a plain name"),
        (GOOD + "temperature = 3\n", r"line 6: fear-and-loathing\.temperature: Expected `float` <= 2"),
        (GOOD + "temprature = 1\n", r"line 6: fear-and-loathing\.temprature: Object contains unknown field"),
        (GOOD.replace("169080199", "red"), r"line 4: fear-and-loathing\.color"),
        (GOOD.replace("model", "# model"), r"line 2: fear-and-loathing\.model: Object missing required field"),
        (GOOD + "[zen]\ndisplay_name = 5\n", r"line 7: zen\.display_name: Expected `str`, got `int`"),
    ],
)
def test_p8_a_mistake_is_told_with_line_and_key(text: str, told: str) -> None:
    with pytest.raises(WrongEntities, match=told) as wrong:
        parse(text, "cast.toml")
    assert str(wrong.value).startswith("cast.toml")


def test_p8_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongEntities, match=r"nowhere\.toml can not be read"):
        Entities(tmp_path / "nowhere.toml")


def test_a_changed_file_is_read_again_and_a_wrong_one_leaves_the_old_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cast.toml"

    def write(text: str, at: int) -> None:
        path.write_text(text)
        os.utime(path, (at, at))

    write(GOOD, 1)
    entities = Entities(path)
    write(GOOD.replace("Fear", "Loathing"), 2)
    entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Loathing"
    write(GOOD.replace("169080199", "red"), 3)
    entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Loathing"
    assert "line 4: fear-and-loathing.color" in caplog.text
    path.unlink()
    entities.refresh()
    assert entities.current["fear-and-loathing"].display_name == "Loathing"


def test_one_model_can_stand_in_for_all() -> None:
    entities = Entities(model="tiny", base_url="http://127.0.0.1:1/v1")
    assert {(entity.model, entity.base_url) for entity in entities.current.values()} == {("tiny", "http://127.0.0.1:1/v1")}
