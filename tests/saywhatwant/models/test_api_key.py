"""The API key of an entity: sent unchanged, and never shown in any quoting."""

import json
from urllib.parse import quote

import pytest

from saywhatwant.models.chat.api_key import ApiKey

TEXT = 'sk-it\'s+"0123"/4567\\89'


@pytest.mark.parametrize(
    "shown",
    [
        TEXT,
        repr(TEXT),
        repr(TEXT.encode()),
        json.dumps(TEXT),
        quote(TEXT),
        quote(TEXT, safe=""),
        quote(TEXT).lower(),
        TEXT.upper(),
    ],
)
def test_p8_a_key_is_hidden_in_every_form(shown: str) -> None:
    redacted = ApiKey(TEXT + "\n").redact(f"Incorrect key {shown}, and {shown}!")
    assert redacted.count("(the key)") == 2
    assert "0123" not in redacted


def test_no_key_hides_nothing() -> None:
    assert ApiKey(" \n").redact("none") == "none"


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        ("", True),
        (TEXT, True),
        ("sk-0123\r\n", True),
        ("sk-01\n23", False),
        ("sk-\x7f", False),
        ("sk-é", False),
        ("sk-\udcff", False),
    ],
)
def test_it_fits_a_header_or_does_not(found: str, fits: bool) -> None:  # noqa: FBT001 - pytest passes it
    assert ApiKey(found).fits_a_header is fits
