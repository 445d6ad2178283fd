"""Messages in an object's storage: one entry each, in the order of their timestamps."""

from collections.abc import Iterator

from durable_objects import Storage
from saywhatwant.message import Message, decode


def key_of(message: Message) -> str:
    """The key of a message's entry."""
    return "message/" + str(message.timestamp).zfill(15)  # half the time of a format


def messages_in(storage: Storage) -> Iterator[tuple[Message, bytes]]:
    """All messages with their bytes; raises ``ValueError`` for an entry that is not a message."""
    after = ""
    while entries := storage.list("message/", after=after):
        for after, encoded in entries:
            try:
                message = decode(encoded)
            except ValueError as error:
                raise ValueError(f"the entry {after} is not a message: {error}") from error
            yield message, encoded
