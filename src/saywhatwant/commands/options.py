"""Options used by several commands."""

from pathlib import Path
from typing import Any

import click

from saywhatwant.addresses import is_http_url


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


EXAMPLE_URL = "http://127.0.0.1:8787"
UTF8 = Utf8()
PATH = click.Path(path_type=Path)

bind = click.option(
    "--bind", metavar="HOST:PORT", show_default="127.0.0.1:8787", help="Address to listen on; port 0 picks a free one."
)
data = click.option("--data", type=PATH, show_default="./data", help="Directory of the data.")
runtime = click.option("--runtime", show_default="embedded", help="The runtime that hosts the durable objects.")
url = click.option("--url", type=HttpUrl(), show_default="where `sww up` listens", help="The server's URL.")
entity = click.option("--entity", multiple=True, show_default="all", help="Answer for this entity; repeat for more.")
entities = click.option("--entities", type=PATH, show_default="the one that ships", help="The TOML file of entities.")
model = click.option(
    "--model",
    show_default="each entity's own",
    help="Use this model for all entities; 'local' is a small one on this machine.",
)
