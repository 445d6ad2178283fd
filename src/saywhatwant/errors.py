"""The product's refusals; ``worker.problems`` turns them into HTTP answers."""

from collections.abc import Iterable
from typing import ClassVar

from durable_objects import Refusal
from durable_objects.errors import code_of


class ExpectedError(Exception):
    """An error that a command prints as one sentence instead of a traceback."""


class RequestRefused(Exception):
    """Refused by the worker, before any object is called. Each kind has a code, as the refusals of objects have."""

    code: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = code_of(cls)


class InvalidField(RequestRefused):
    """A value of a request breaks a rule."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class UnknownMessage(Refusal):
    """No message has this id; it may have been finished and removed."""

    def __init__(self, field: str, message_id: str) -> None:
        super().__init__(f"no message has the id {message_id!r}", field=field)


class WrongState(Refusal):
    """The message is not in the state that the call needs."""

    def __init__(self, what: str, field: str | None = None) -> None:
        super().__init__(what, field=field)


class NotTheHolder(Refusal):
    """The caller's attempt no longer holds the message: its lease has ended (P3)."""


class AttemptRequired(NotTheHolder):
    """The message has been claimed more than once, so a call must name its attempt (P3)."""

    def __init__(self, attempt: int) -> None:
        what = f"the message is at attempt {attempt}: send the number of your claim in the field attempt"
        super().__init__(what, field="attempt")


class IdTaken(Refusal):
    """A message on the wall has this id already, and it is not known to be the same post."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"another message has the id {message_id!r}; choose a new one", field="id")


class BacklogFull(Refusal):
    """No more work is accepted, because the maximum is waiting. Accepted work is safe (P6)."""


class UnknownRule(Refusal):
    """There is no such ban or filter."""


class NotHeld(Refusal):
    """No post with this id waits for review."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"no post with the id {message_id!r} waits for review", field="messageId")


class RulesFull(Refusal):
    """There are as many rules of a kind as there may be."""


class ReviewFull(Refusal):
    """As many posts wait for review as may."""


class ReportsFull(Refusal):
    """There are as many reports as there may be."""


class RefusedByRule(Refusal):
    """A rule refuses the post, which is not the repetition of an earlier one; its server knows which rule."""


class TooManyWaiting(Refusal):
    """The limit of waiting claims is reached, of a gateway or of an object."""


class TooManyReaders(RequestRefused):
    """The client has reached its limit of open sockets."""


class UpgradeRequired(RequestRefused):
    """Only a WebSocket is served here."""


class TooManyPosts(RequestRefused):
    """The client has reached its limit of posts in a minute."""

    def __init__(self, per_minute: int, retry_after_seconds: int) -> None:
        super().__init__(f"at most {per_minute} posts a minute from one address; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class TooManyReports(RequestRefused):
    """The client has reached its limit of reports in a minute."""

    def __init__(self, per_minute: int, retry_after_seconds: int) -> None:
        super().__init__(f"at most {per_minute} reports a minute from one address; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Banned(RequestRefused):
    """Its sender may not post for a while."""

    def __init__(self, whence: str, until: str) -> None:
        super().__init__(f"no posts are taken {whence} until {until}")


class WordNotAllowed(RequestRefused):
    """The post has a word or phrase that the wall does not allow."""

    def __init__(self, field: str, phrase: str) -> None:
        self.field = field
        self.rule = f"must not contain \u201c{phrase}\u201d, which this wall does not allow"
        super().__init__(f"{field}: {self.rule}")


class SlowMode(RequestRefused):
    """The client has posted a moment ago, and the wall is in slow mode."""

    def __init__(self, seconds: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"this wall takes one post in {seconds} s from one address now; the next one in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class NoSuchPath(RequestRefused):
    """Nothing is served at this path."""

    def __init__(self) -> None:
        super().__init__("nothing is served at this path; /api/docs lists what is")


class MethodNotAllowed(RequestRefused):
    """The path does not take this method."""

    def __init__(self, allow: str) -> None:
        super().__init__("this path does not take this method; /api/docs lists what it takes")
        self.allow = allow


class BodyTooLarge(RequestRefused):
    """The request body is over the limit."""


class TooManyLargeBodies(RequestRefused):
    """Too many large bodies are being received."""


class MalformedBody(RequestRefused):
    """The request body is not valid JSON of the expected form."""


class TooManySignIns(RequestRefused):
    """The client has tried too many wrong tokens within a minute."""

    def __init__(self, per_minute: int, retry_after_seconds: int) -> None:
        super().__init__(f"at most {per_minute} wrong tokens a minute from one address; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class NoSessionKey(RequestRefused):
    """The key with which cookies of operators are signed cannot be used."""


class NotAllowed(RequestRefused):
    """The token is missing or wrong."""


class WrongScope(RequestRefused):
    """The token is good for other calls than this one."""

    def __init__(self, needed: str, name: str, scopes: Iterable[str]) -> None:
        has = " and ".join(sorted(scopes))
        super().__init__(f"this needs a token with the scope {needed}; the token {name} has the scope {has}")
        self.needed = needed


class CrossSite(RequestRefused):
    """A page of another origin made a browser send this."""


class NotReady(RequestRefused):
    """The server cannot serve requests at the moment."""
