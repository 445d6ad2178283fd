"""Durable objects on a Restate cluster: each object is a virtual object, whose state Restate replicates.

See <https://docs.restate.dev/concepts/services#virtual-objects>.
"""
