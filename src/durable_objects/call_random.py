"""Randomness that belongs to one call."""

from hashlib import blake2b
from random import Random
from typing import Any

_BLOCK = blake2b.MAX_DIGEST_SIZE


class CallRandom(Random):
    """Drawn from a seed of 64 bits by hashing, so that it is the same on every platform, and a new seed costs nothing.

    (Seeding Python's own generator takes longer than most calls.)
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(0)
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begin again with another seed, of 0 to 2**64 - 1."""
        self._next = seed << 64
        """The seed, and in the lower half how many blocks have been drawn."""
        self.gauss_next = None  # the base class keeps every second draw of gauss() here

    def randbytes(self, n: int) -> bytes:
        """``n`` random bytes."""
        if 0 < n <= _BLOCK:
            self._next += 1
            return blake2b(self._next.to_bytes(16), digest_size=n).digest()
        if n < 0:
            raise ValueError(f"{n} random bytes cannot be drawn")
        return b"".join(self.randbytes(_BLOCK) for _ in range(-(-n // _BLOCK)))[:n]

    def getrandbits(self, k: int, /) -> int:
        """``k`` random bits."""
        if k < 0:
            raise ValueError(f"{k} random bits cannot be drawn")
        size = (k + 7) // 8
        return int.from_bytes(self.randbytes(size)) >> (size * 8 - k)

    def random(self) -> float:
        """A number of at least 0 and below 1."""
        return self.getrandbits(53) * 2.0**-53

    def seed(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the base class's
        """Does nothing, as for ``random.SystemRandom``: the seed comes with the call."""

    def _no_state(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - the base class's
        # The error of ``random.SystemRandom``, so that programs that know that one know this one too.
        raise NotImplementedError("the randomness of a call has no state to keep; it follows from the call's seed")

    getstate = setstate = _no_state
