"""Durable objects in Python: one live instance per name, one call at a time, every change on disk before anyone sees it."""

from durable_objects.contract import Context, DurableObject, Listener, Namespace, Runtime, Storage, Stub
from durable_objects.errors import (
    CommitFailed,
    DataBusy,
    DataLocked,
    DataUnreadable,
    DurableObjectError,
    LimitExceeded,
    ObjectFailed,
    OutcomeUnknown,
    Overloaded,
    Refusal,
    RuntimeClosed,
)
from durable_objects.meter import Meter

__all__ = [
    "CommitFailed",
    "Context",
    "DataBusy",
    "DataLocked",
    "DataUnreadable",
    "DurableObject",
    "DurableObjectError",
    "LimitExceeded",
    "Listener",
    "Meter",
    "Namespace",
    "ObjectFailed",
    "OutcomeUnknown",
    "Overloaded",
    "Refusal",
    "Runtime",
    "RuntimeClosed",
    "Storage",
    "Stub",
]
