"""The entities that answer without a model: the personalities that NLTK's chat package ships.

Names only, because NLTK takes a while to import and most of the program does not need it; ``bot.personalities`` has the rest.
"""

from typing import NamedTuple


class Entity(NamedTuple):
    """An AI character."""

    name: str
    display_name: str
    color: str
    """RRRGGGBBB."""


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity("eliza", "Eliza", "169080199"),
        Entity("iesha", "Iesha", "226121074"),
        Entity("suntsu", "Sun Tsu", "090150110"),
        Entity("zen", "Zen", "070140180"),
        Entity("rude", "Rude", "190080080"),
    )
}

DEFAULT_ENTITY = "eliza"
