"""What Cloudflare runs: the Worker, and the Durable Object with the wall."""

from saywhatwant.cloudflare.entry import Default, Wall

__all__ = ["Default", "Wall"]
