"""Options used by several commands."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from saywhatwant.addresses import is_http_url

MAX_INTERVAL_SECONDS = 366 * 86_400
_INTERVAL = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Utf8(click.ParamType[str]):
    """Text, unchanged; bytes that are not UTF-8 are refused."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - as click's
        """See ``click.ParamType``."""
        if any("\ud800" <= char <= "\udfff" for char in value):
            self.fail("must be UTF-8", param, ctx)
        return str(value)


class HttpUrl(click.ParamType[str]):
    """The URL of a server."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - as click's
        """See ``click.ParamType``."""
        if not is_http_url(value):
            self.fail(f"{value!r} must be an http or https URL, such as {EXAMPLE_URL}", param, ctx)
        return str(value)


class Interval(click.ParamType[timedelta]):
    """A length of time, such as ``1h``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401 - as click's
        """See ``click.ParamType``."""
        found = _INTERVAL.fullmatch(str(value))
        seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
        if not 1 <= seconds <= MAX_INTERVAL_SECONDS:
            self.fail(f"{value!r} must be a number and one of s, m, h and d, such as 1h; 1s to 366d", param, ctx)
        return timedelta(seconds=seconds)


EXAMPLE_URL = "http://127.0.0.1:8787"
UTF8 = Utf8()
INTERVAL = Interval()
PATH = click.Path(path_type=Path)

bind = click.option(
    "--bind", metavar="HOST:PORT", show_default="127.0.0.1:8787", help="Address to listen on; port 0 picks a free one."
)
data = click.option("--data", type=PATH, show_default="./data", help="Directory of the data.")
runtime = click.option("--runtime", show_default="embedded", help="The runtime that hosts the durable objects.")
restate = click.option(
    "--restate", metavar="URL[,URL…]", show_default="none", help="The ingress URLs of a Restate cluster to join."
)
restate_admin = click.option(
    "--restate-admin", metavar="URL[,URL…]", show_default="http://127.0.0.1:9070", help="The admin URLs of the cluster."
)
url = click.option("--url", type=HttpUrl(), show_default="where `sww up` listens", help="The server's URL.")
entity = click.option("--entity", multiple=True, show_default="all", help="Answer for this entity; repeat for more.")
entities = click.option("--entities", type=PATH, show_default="the one that ships", help="The TOML file of entities.")
model = click.option(
    "--model",
    show_default="each entity's own",
    help="Use this model for all entities; 'local' is a small one on this machine.",
)
