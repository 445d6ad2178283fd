"""The queue object and its parts."""

from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.object import MessageQueue

__all__ = ["MessageQueue", "QueueConfig"]
