"""Durable objects in Python: one live instance per name, one call at a time, every change on disk before anyone hears of it."""

from durable_objects.contract import Context, DurableObject, Listener, Namespace, Runtime, Storage, Stub
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

__all__ = [
    "CommitFailed",
    "Context",
    "DataLocked",
    "DataUnreadable",
    "DurableObject",
    "DurableObjectError",
    "LimitExceeded",
    "Listener",
    "Meter",
    "Namespace",
    "ObjectFailed",
    "Overloaded",
    "Refusal",
    "Runtime",
    "RuntimeClosed",
    "Storage",
    "Stub",
]
