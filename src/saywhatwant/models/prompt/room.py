"""How much fits into a model's window, as far as its file, its server and its refusals show."""

from saywhatwant.models.model import WindowExceeded

MARGIN = 1.1
"""How much more than estimated a prompt may have."""
SMALLER = 0.8
"""What a prompt may have of the one before it, whatever numbers its refusal names."""
MUCH_SMALLER = 0.5
"""The same after a refusal that does not name the window."""
PATIENT_REFUSALS = 3
"""After this many refusals of one question each further one counts once more, so that some prompt fits before the last try."""
MAX_SCALE = 2.0
"""The most that one refusal teaches about the next prompts: an odd text is not what others are like."""
FORGETTING = 0.95
"""What is left after an answer of what refusals have taught."""


class Window:
    """The window of one model. ``scale`` is its tokens for each estimated one, as far as its refusals have shown."""

    def __init__(self) -> None:
        self.scale = 1.0
        self._limit: int | None = None

    def attempt(self, tokens: int | None, answer_tokens: int) -> "Attempt":
        """What one attempt at an answer has room for.

        Args:
            tokens: the window, prompt and answer together; None if it is not known.
            answer_tokens: what the answer may have.
        """
        return Attempt(self, min(filter(None, (tokens, self._limit)), default=None), answer_tokens)

    def learn(self, scale: float, limit: int | None) -> None:
        """Remember what a refusal has shown; ``limit`` only if no server names one."""
        self.scale = max(self.scale, (self.scale + min(scale, MAX_SCALE)) / 2)
        self._limit = limit or self._limit

    def worked(self) -> None:
        """Forget a little of what refusals have shown."""
        self.scale = 1 + (self.scale - 1) * FORGETTING


class Attempt:
    """The room for the prompts of one answer; each refusal makes it smaller."""

    def __init__(self, window: Window, limit: int | None, answer_tokens: int) -> None:
        self._window = window
        self._limit = limit
        self._scale = window.scale
        self._wanted = answer_tokens
        self._most: float | None = None
        self._refusals = 0

    @property
    def answer_tokens(self) -> int:
        """Tokens that the answer may have: at most half of the window."""
        return self._wanted if self._limit is None else max(min(self._wanted, self._limit // 2), 1)

    @property
    def room(self) -> int | None:
        """Estimated tokens that the prompt may have; None is no bound."""
        rooms = [] if self._limit is None else [(self._limit - self.answer_tokens) / (self._scale * MARGIN)]
        if self._most is not None:
            rooms.append(self._most)
        return int(min(rooms)) if rooms else None

    def refused(self, refusal: WindowExceeded, estimate: int) -> None:
        """Make the room smaller after a refusal of a prompt with this many estimated tokens."""
        if refusal.prompt_tokens:
            self._scale = max(self._scale, refusal.prompt_tokens / max(estimate, 1))
        if refusal.limit_tokens:
            self._limit = min(self._limit or refusal.limit_tokens, refusal.limit_tokens)
        self._refusals += 1
        share = SMALLER if self._limit else MUCH_SMALLER
        self._most = estimate * share ** max(self._refusals - PATIENT_REFUSALS, 1)
        self._window.learn(self._scale, None if self._limit else int(self._most * self._scale + self.answer_tokens))
