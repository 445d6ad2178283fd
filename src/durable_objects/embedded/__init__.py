"""The embedded runtime: objects in this process, durable in one SQLite file."""

from durable_objects.embedded.runtime import EmbeddedRuntime

__all__ = ["EmbeddedRuntime"]
