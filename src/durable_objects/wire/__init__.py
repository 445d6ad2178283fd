"""A runtime for tests: a local one behind a network that delays, reorders and loses. What passes here can cross a real one."""

from durable_objects.wire.runtime import Gateway, WireRuntime

__all__ = ["Gateway", "WireRuntime"]
