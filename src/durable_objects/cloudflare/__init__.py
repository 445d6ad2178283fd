"""The runtime on Cloudflare: objects that live in one of its Durable Objects, in SQLite, for one row written per commit."""

from durable_objects.cloudflare.runtime import CloudflareRuntime

__all__ = ["CloudflareRuntime"]
