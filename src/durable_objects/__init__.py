"""Durable objects in Python: one live instance per name, one call at a time, every change on disk before anyone hears of it."""

from durable_objects.contract import Context, DurableObject, Listener, Namespace, Runtime, Storage, Stub
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.errors import (
    CommitFailed,
    DataLocked,
    DataUnreadable,
    DurableObjectError,
    LimitExceeded,
    ObjectFailed,
    Overloaded,
    Refusal,
    RuntimeClosed,
)
from durable_objects.meter import Meter
from durable_objects.simulated import SimulatedRuntime

__all__ = [
    "CommitFailed",
    "Context",
    "DataLocked",
    "DataUnreadable",
    "DurableObject",
    "DurableObjectError",
    "EmbeddedRuntime",
    "LimitExceeded",
    "Listener",
    "Meter",
    "Namespace",
    "ObjectFailed",
    "Overloaded",
    "Refusal",
    "Runtime",
    "RuntimeClosed",
    "SimulatedRuntime",
    "Storage",
    "Stub",
]
