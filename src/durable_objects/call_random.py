"""Randomness that belongs to one call."""

from collections.abc import Callable
from hashlib import blake2s
from random import Random
from typing import Any

_BLOCK = blake2s.MAX_DIGEST_SIZE


class CallRandom(Random):
    """Drawn from a seed of 64 bits by hashing, so that it is the same on every platform, and a new seed costs nothing.

    (Seeding Python's own generator takes longer than most calls.)

    Args:
        new_seed: a seed, of 0 to 2**64 - 1, for a call that draws something.

    Attributes:
        has_seed: whether the call has drawn something; set it to False when another call begins.
    """

    __slots__ = ("_last", "_new_seed", "has_seed")

    def __init__(self, new_seed: Callable[[], int]) -> None:
        super().__init__(0)
        self._new_seed = new_seed
        self.has_seed = False
        self._last = 0
        """The block drawn last: the seed, and in the lower half its number."""

    def randbytes(self, n: int) -> bytes:
        """``n`` random bytes."""
        if not 0 < n <= _BLOCK:
            if n < 0:
                raise ValueError(f"{n} random bytes cannot be drawn")
            return b"".join(self.randbytes(_BLOCK) for _ in range(-(-n // _BLOCK)))[:n]
        before = self._last if self.has_seed else self._new_seed() << 64
        self.has_seed = True
        self._last = block = before + 1
        return blake2s(block.to_bytes(16)).digest()[:n]

    def getrandbits(self, k: int, /) -> int:
        """``k`` random bits."""
        if k < 0:
            raise ValueError(f"{k} random bits cannot be drawn")
        size = (k + 7) // 8
        return int.from_bytes(self.randbytes(size)) >> (size * 8 - k)

    def random(self) -> float:
        """A number of at least 0 and below 1."""
        return self.getrandbits(53) * 2.0**-53

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """As ``normalvariate``: the base class draws two numbers, and would keep one for the next call."""
        return self.normalvariate(mu, sigma)

    def seed(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the base class's
        """Does nothing, as for ``random.SystemRandom``: the seed comes with the call."""

    def _no_state(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - the base class's
        # The error of ``random.SystemRandom``, so that programs that know that one know this one too.
        raise NotImplementedError("the randomness of a call has no state to keep; it follows from the call's seed")

    getstate = setstate = _no_state
