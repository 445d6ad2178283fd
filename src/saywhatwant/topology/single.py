"""The topology ``single``: one object holds everything."""

from durable_objects import Runtime, Stub
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig
from saywhatwant.topology.wall import bound

QUEUE_NAME = "global-queue"


def open_wall(runtime: Runtime, config: QueueConfig) -> "SingleWall":
    """The wall of ``runtime``, which must not have started yet."""
    return SingleWall(runtime.namespace("MessageQueue", MessageQueue, config).get(QUEUE_NAME))


class SingleWall:
    """A ``Wall`` whose methods are those of its one object: nothing stands between a call and its stub."""

    def __init__(self, stub: Stub[MessageQueue]) -> None:
        self.post = bound(stub, MessageQueue.post)
        self.read = bound(stub, MessageQueue.read)
        self.changes = bound(stub, MessageQueue.changes)
        self.pending = bound(stub, MessageQueue.pending)
        self.listing = bound(stub, MessageQueue.listing)
        self.claim = bound(stub, MessageQueue.claim)
        self.claim_next = bound(stub, MessageQueue.claim_next)
        self.extend = bound(stub, MessageQueue.extend)
        self.complete = bound(stub, MessageQueue.complete)
        self.fail = bound(stub, MessageQueue.fail)
        self.release = bound(stub, MessageQueue.release)
        self.progress = bound(stub, MessageQueue.progress)
        self.retry = bound(stub, MessageQueue.retry)
        self.batch = bound(stub, MessageQueue.batch)
        self.report_circuit = bound(stub, MessageQueue.report_circuit)
        self.stats = bound(stub, MessageQueue.stats)
        self.events = stub.events
