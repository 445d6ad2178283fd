"""The queue object, and the parts that it is made of."""

from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.object import MessageQueue

__all__ = ["MessageQueue", "QueueConfig"]
