"""The HTTP worker: an ASGI app that turns requests into calls of the queue object."""

from saywhatwant.worker.app import Worker, create_worker

__all__ = ["Worker", "create_worker"]
