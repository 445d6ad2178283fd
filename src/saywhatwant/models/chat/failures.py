"""Why a provider gave no answer: the public reason, the detail for operators, and whether the model is at fault."""

import json
from http.client import responses

import httpx2
import openai

from saywhatwant.entities import Entity
from saywhatwant.models.chat.api_key import key_of
from saywhatwant.models.chat.patience import Silence, TooLong
from saywhatwant.models.chat.refusals import Refusal, RefusedMidway
from saywhatwant.models.model import in_one_line


class NotAnAnswer(Exception):
    """The provider sent something that is not an answer; the message describes it."""


MAX_WORDS = 800
"""Characters kept of what a provider wrote about its failure."""
FAILURES = (openai.APIError, httpx2.HTTPError, Silence, NotAnAnswer, RefusedMidway, ValueError, RecursionError)
"""What may be raised while a provider is asked and its answer is read."""


def public_reason(error: Exception) -> str:
    """The reason without any text of a provider or library, which may contain addresses, paths and keys."""
    refusal = Refusal.of(error)
    match error:
        case _ if cannot_be_sent(error):
            words = "cannot be called: a header of the request is not valid in HTTP"
        case TooLong():
            words = f"did not finish within {error.seconds:g} s (timeout)"
        case Silence():
            words = f"sent nothing for {error.seconds:g} s (timeout)"
        case _ if refusal and refusal.is_loading:
            words = "is still being loaded"
        case RefusedMidway():
            words = "reported an error while it answered"
        case openai.APIStatusError():
            words = f"refused with {error.status_code} ({responses.get(error.status_code, 'unknown')})"
        case openai.APIConnectionError() | httpx2.HTTPError():
            words = "cannot be reached, or broke the connection"
        case NotAnAnswer():
            words = str(error)
        case json.JSONDecodeError():
            words = "answered with something that is not JSON"
        case _:
            words = "answered with something that cannot be read"
    return f"the model {words}"


def detail(entity: Entity, error: Exception) -> str:
    """What the provider or library wrote, for operators, without the entity's key; empty when it adds nothing."""
    # Redact before truncating, or half a key would slip through.
    return key_of(entity).redact(in_one_line(_text(error)))[:MAX_WORDS]


def full_reason(entity: Entity, error: Exception) -> str:
    """The public reason, and what the provider or library wrote."""
    words = detail(entity, error)
    return f"{public_reason(error)}: {words}" if words else public_reason(error)


def _text(error: Exception) -> str:
    """The text of an error; empty when it may contain one of our secrets."""
    if cannot_be_sent(error):
        return ""
    if isinstance(error, openai.APIConnectionError):
        return str(error.__cause__ or error)
    if refusal := Refusal.of(error):
        return refusal.message
    if isinstance(error, openai.APIError | httpx2.HTTPError):
        return str(error)
    return ""


def cannot_be_sent(error: BaseException) -> bool:
    """Whether the request cannot be sent at all, for instance with a line break in OPENAI_ORG_ID."""
    return isinstance(error.__cause__ or error, httpx2.LocalProtocolError | UnicodeEncodeError)


def is_the_models(error: Exception) -> bool:
    """Whether the model or its server is at fault, rather than this request, or one entity with a wrong key."""
    if refusal := Refusal.of(error):
        return refusal.status is None or refusal.is_temporary
    return not cannot_be_sent(error)


def pause(error: Exception, most_seconds: float) -> bool | float:
    """The pause before the next attempt: the provider's Retry-After in seconds, True for a backoff, False for no attempt."""
    if cannot_be_sent(error):
        return False
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        # A provider may close a kept-alive connection just as it is reused.
        return True
    refusal = Refusal.of(error)
    if refusal is None or not refusal.is_temporary:
        return False
    try:
        headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
        return min(float(headers["retry-after"]), most_seconds)
    except (KeyError, ValueError):
        return True
