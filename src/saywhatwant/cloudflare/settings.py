"""The settings of a wall on Cloudflare: the ``SWW_*`` of every other place, from the variables and secrets of the Worker."""

from collections.abc import Mapping
from pathlib import Path

from saywhatwant.settings import PREFIX, Settings, WrongSettings, checked, named

ANYWHERE = "0.0.0.0:443"
"""What it listens on, as far as rules for walls that others can reach are concerned."""

_OF_ITS_OWN_SERVER = "Cloudflare's network takes the connections"
_OF_THE_BOT = "it belongs to the bot, which runs elsewhere"
_OF_RESTATE = "it belongs to Restate"
_NOT_HERE = {
    "data": "the data is in the object's storage",
    "max_connections": _OF_ITS_OWN_SERVER,
    "connections_per_address": _OF_ITS_OWN_SERVER,
    "trusted_proxies": f"{_OF_ITS_OWN_SERVER}, and tells the address of each client",
    "restate": _OF_RESTATE,
    "restate_admin": _OF_RESTATE,
    "restate_name": _OF_RESTATE,
    "objects_bind": _OF_RESTATE,
    "objects_url": _OF_RESTATE,
    "model_idle_seconds": _OF_THE_BOT,
    "model_seconds": _OF_THE_BOT,
}


def load(variables: Mapping[str, object], bundle: Path) -> Settings:
    """The settings that ``variables`` give; ``bundle`` is the directory that the file of entities is looked for in.

    Raises ``WrongSettings`` for a wrong one, and for one that means nothing here: it would be dropped in silence. So would
    another topology: requests of several objects could not wait for each other's events.
    """
    given = named(variables)
    wrong = [f"{PREFIX}{name.upper()} means nothing on Cloudflare: {_NOT_HERE[name]}" for name in given if name in _NOT_HERE]
    for name, only in (("runtime", "cloudflare"), ("topology", "single")):
        if given.pop(name, only) != only:
            wrong.append(f"{PREFIX}{name.upper()} is {variables[PREFIX + name.upper()]!r}; allowed on Cloudflare: {only!r}")
    if wrong:
        raise WrongSettings("\n".join(wrong))
    if "entities" in given:
        given["entities"] = str(bundle / str(given["entities"]))
    return checked({"bind": ANYWHERE} | given)
