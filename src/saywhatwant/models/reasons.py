"""Why a provider gave no answer: the public reason, the detail for the log, and whether the provider is at fault."""

import json
from http.client import responses

import httpx2
import openai


class NotAnAnswer(Exception):
    """The provider sent something that is not an answer; the message describes it."""


def public_reason(error: Exception, *, idle_seconds: float, total_seconds: float) -> str:
    """The reason without any text of a provider or library, which may contain addresses, paths and keys."""
    match error:
        case _ if cannot_be_sent(error):
            words = "cannot be called: a header of the request is not valid in HTTP"
        case TimeoutError():
            words = f"did not finish within {total_seconds:g} s (timeout)"
        case openai.APITimeoutError() | httpx2.TimeoutException():
            words = f"sent nothing for {idle_seconds:g} s (timeout)"
        case openai.APIConnectionError() | httpx2.HTTPError():
            words = "cannot be reached, or broke the connection"
        case openai.APIStatusError():
            words = f"refused with {error.status_code} ({responses.get(error.status_code, 'unknown')})"
        case NotAnAnswer():
            words = str(error)
        case openai.APIError():
            words = "reported an error while it answered"
        case json.JSONDecodeError():
            words = "answered with something that is not JSON"
        case _:
            words = "answered with something that cannot be read"
    return f"the model {words}"


def detail(error: Exception) -> str:
    """The text of the provider or library, for the log; empty when it adds nothing or may contain one of our secrets."""
    if cannot_be_sent(error):
        return ""
    if isinstance(error, openai.APIConnectionError):
        return str(error.__cause__ or error)
    if isinstance(error, openai.APIError | httpx2.HTTPError):
        return str(error)
    return ""


def cannot_be_sent(error: BaseException) -> bool:
    """Whether the request cannot be sent at all, for instance with a line break in OPENAI_ORG_ID."""
    return isinstance(error.__cause__ or error, httpx2.LocalProtocolError | UnicodeEncodeError)


def is_the_providers(error: Exception) -> bool:
    """Whether the provider is at fault, rather than one entity with a wrong key or model."""
    if isinstance(error, openai.APIStatusError):
        return isinstance(error, openai.RateLimitError | openai.InternalServerError)
    return not cannot_be_sent(error)
