"""The HTTP worker: an ASGI app that turns requests into calls of the queue object."""

from saywhatwant.worker.app import create_app

__all__ = ["create_app"]
