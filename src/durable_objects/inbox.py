"""Calls that objects send to each other, at their receiver: each is taken once.

The receiver keeps the number of the last call that it took from each sender, one row for each, in the commit of that call. So a
call that arrives again after a crash, or after a lost answer, is recognized. The idea is Pat Helland's, Life beyond Distributed
Transactions (2007).
"""

import logging
from typing import Any, Final

import msgspec

from durable_objects.errors import Refusal
from durable_objects.live import LiveObject
from durable_objects.methods import methods_of
from durable_objects.outbox import SentCall
from durable_objects.storage import RUNTIME_PREFIX

log = logging.getLogger("durable_objects")

INBOX: Final = f"{RUNTIME_PREFIX}in/"
"""Keys of the numbers taken begin with it."""


def take(live: LiveObject[Any], sender: str, call: SentCall) -> None:
    """Run a sent call unless it was taken before; its result is dropped, also a refusal.

    Raises ``ObjectFailed``, ``DataBusy`` or ``Overloaded`` when it must be delivered again.
    """
    rows, key = live.storage.runtime, INBOX + sender
    taken = rows.get(key)
    if taken is not None and call.number <= int(taken):
        return
    try:
        arguments = methods_of(type(live.instance))[call.method].decode_arguments(bytes(call.arguments))
    except (KeyError, msgspec.ValidationError) as error:
        # Sent by another version of the program; no later attempt would go better.
        log.warning("%s cannot take the call %s of %s, which is dropped: %r", live.object_id, call.method, sender, error)
    else:
        try:
            live.run(call.method, (), arguments)
        except Refusal as refusal:
            log.debug("%s refused the call %s of %s: %s", live.object_id, call.method, sender, refusal)
    rows.put(key, b"%d" % call.number)
