"""``sww token``: makes, lists and revokes tokens. A running server notices by itself."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click

from durable_objects.files import give_to_owner, make_directory, put_in_place
from saywhatwant.commands import options
from saywhatwant.errors import ExpectedError
from saywhatwant.named_tables import NAME
from saywhatwant.settings import load
from saywhatwant.tokens import FILE, MAX_TOKENS, RESERVED, Scope, Token, digest, new_token, read_tokens

HEAD = "# The tokens of this wall, as digests. sww token writes this file; the server reads it again when it changes.\n"

name = click.argument("name", type=options.UTF8)


class TokenRefused(ExpectedError):
    """A token cannot be made or revoked."""


@click.group()
def token() -> None:
    """Make, list and revoke tokens of bots and operators."""


@token.command()
@name
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(get_args(Scope)),
    multiple=True,
    required=True,
    help="What it is good for: bot answers messages, operator looks after the wall; repeat for both.",
)
@options.data
def add(*, name: str, scopes: tuple[Scope, ...], data: Path | None) -> None:
    """Make a token and print it, this once."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise TokenRefused(f"{name!r} is no name for a token: 1 to 64 of a-z, 0-9 and -, none of {', '.join(sorted(RESERVED))}")
    directory = load(data=data).data
    make_directory(directory)
    made = new_token()
    with _file_of(directory) as path:
        tokens = read_tokens(path)
        if name in tokens:
            raise TokenRefused(f"there is a token {name}; take another name, or revoke it first")
        if len(tokens) >= MAX_TOKENS:
            raise TokenRefused(f"there are {MAX_TOKENS} tokens; revoke one first")
        tokens[name] = Token(scopes=sorted(set(scopes)), sha256=digest(made), added=datetime.now(UTC).date())
        _write(path, tokens)
    click.echo(f"the token {name}, for {' and '.join(tokens[name].scopes)}; it is not shown again", err=True)
    click.echo(made)


@token.command("list")
@options.data
def list_(*, data: Path | None) -> None:
    """Show the tokens' names, scopes and when they were made."""
    tokens = read_tokens(load(data=data).data / FILE)
    width = max(map(len, tokens), default=0)
    for name, known in tokens.items():
        click.echo(f"{name:{width}}  {','.join(known.scopes):12}  {known.added or '-'}")
    if not tokens:
        click.echo("there are none; sww token add makes one", err=True)


@token.command()
@name
@options.data
def revoke(*, name: str, data: Path | None) -> None:
    """Make a token worthless: sessions and sockets that were opened with it end too."""
    with _file_of(load(data=data).data) as path:
        tokens = read_tokens(path)
        if name not in tokens:
            raise TokenRefused(f"there is no token {name}; sww token list shows those that there are")
        del tokens[name]
        _write(path, tokens)
    click.echo(f"the token {name} is revoked")


@contextmanager
def _file_of(directory: Path) -> Iterator[Path]:
    """The file of tokens, which no other command changes meanwhile. The server's own lock is another one."""
    try:
        lock = os.open(directory / f"{FILE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise TokenRefused(f"{directory} is no data directory") from None
    try:
        give_to_owner(lock, directory)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory / FILE
    finally:
        os.close(lock)


def _write(path: Path, tokens: dict[str, Token]) -> None:
    """Replace the file: after a crash it is the old one or the new one."""
    lines = [HEAD]
    for name, known in tokens.items():
        scopes = ", ".join(f'"{scope}"' for scope in known.scopes)
        lines += [f"\n[{name}]\n", f"scopes = [{scopes}]\n", f'sha256 = "{known.sha256}"\n']
        if known.added is not None:
            lines.append(f"added = {known.added}\n")
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # of a command that was killed
    with open(new, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        give_to_owner(file.fileno(), path.parent)
        file.writelines(lines)
    put_in_place(new, path)
