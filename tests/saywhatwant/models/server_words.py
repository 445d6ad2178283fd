"""Refusals in the words of real servers, for ``ScriptedModel``.

The sources are reports of their users, which quote them: llama.cpp pull request 15780 and issue 17284 (window), issue 19851
(roles); vLLM issues 20409 and 33418 (window), 6862 (roles); LM Studio bug tracker 546 and 2322 (window, which comes with status
200 inside the stream), openclaude issue 353 (window, without streaming); Ollama issues 4967 and 8531 (it drops the oldest turns
without a word), QAnything issue 555 (no such model); OpenAI: forgecode issue 1081 and 9router issue 560 (parameters). The words
of llama.cpp are those of the build that ``make local`` installs.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from scripted_server import Refusal

JINJA = (
    "\n------------\nWhile executing CallExpression at line 19, column 27 in source:\n"
    '...% 2 == 0) -%}↵        {{ raise_exception("Conversation roles must alternate user...\n'
    "                                           ^\n"
    "Error: Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/..."
)
ALTERNATE = "Conversation roles must alternate user/assistant/user/assistant/..."


class Words(NamedTuple):
    """How one server refuses."""

    name: str
    too_long: Callable[[int, int, int], Refusal] | None
    """From tokens of the prompt, ``max_tokens`` (0 without) and tokens of the window. None: it drops the oldest turns."""
    counts_answer: bool
    """Whether ``max_tokens`` has to fit the window too."""
    unknown: Callable[[str], Refusal]
    """To a parameter that it does not take."""
    roles: Refusal
    """To roles that do not alternate."""
    loading: Refusal | None
    """While it loads the model; None: it keeps silent until the model is loaded."""


def _openai(status: int, message: str, kind: str, param: str | None = None, code: str | int | None = None) -> Refusal:
    return Refusal(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def _llama(status: int, message: str, kind: str, **more: int) -> Refusal:
    return Refusal(status, {"error": {"code": status, "message": message, "type": kind, **more}})


def _llama_too_long(prompt: int, answer: int, window: int) -> Refusal:  # noqa: ARG001 - llama.cpp does not count it
    message = f"request ({prompt} tokens) exceeds the available context size ({window} tokens), try increasing it"
    return _llama(400, message, "exceed_context_size_error", n_prompt_tokens=prompt, n_ctx=window)


def _vllm_too_long(prompt: int, answer: int, window: int) -> Refusal:
    if prompt > window or not answer:
        message = (
            f"This model's maximum context length is {window} tokens. However, your request has {prompt} input tokens. "
            "Please reduce the length of the input messages."
        )
    else:
        message = (
            f"'max_tokens' or 'max_completion_tokens' is too large: {answer}. This model's maximum context length is {window} "
            f"tokens and your request has {prompt} input tokens ({answer} > {window} - {prompt})."
        )
    return _openai(400, message, "BadRequestError", code=400)


def _old_vllm_too_long(prompt: int, answer: int, window: int) -> Refusal:
    message = (
        f"This model's maximum context length is {window} tokens. However, you requested {prompt + answer} tokens ({prompt} in "
        f"the messages, {answer} in the completion). Please reduce the length of the messages or completion."
    )
    return Refusal(400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400})


def _openai_too_long(prompt: int, answer: int, window: int) -> Refusal:
    message = (
        f"This model's maximum context length is {window} tokens. However, you requested {prompt + answer} tokens ({prompt} in "
        f"the messages, {answer} in the completion). Please reduce the length of the messages or completion."
        if answer
        else f"This model's maximum context length is {window} tokens. However, your messages resulted in {prompt} tokens. "
        "Please reduce the length of the messages."
    )
    return _openai(400, message, "invalid_request_error", "messages", "context_length_exceeded")


def _lm_studio_too_long(prompt: int, answer: int, window: int) -> Refusal:  # noqa: ARG001 - LM Studio does not count it
    message = (
        f"The number of tokens to keep from the initial prompt is greater than the context length (n_keep: {prompt}>= n_ctx: "
        f"{window}). Try to load the model with a larger context length, or provide a shorter input."
    )
    return Refusal(200, {"error": {"message": message}, "message": message}, in_stream=True)


def _old_lm_studio_too_long(prompt: int, answer: int, window: int) -> Refusal:  # noqa: ARG001 - LM Studio does not count it
    message = (
        f"Trying to keep the first {prompt} tokens when context the overflows. However, the model is loaded with context "
        f"length of only {window} tokens, which is not enough. Try to load the model with a larger context length, or provide "
        "a shorter input"
    )
    return Refusal(400, {"error": message})


def _ollama_too_long(prompt: int, answer: int, window: int) -> Refusal:  # noqa: ARG001 - it names no numbers
    return _openai(400, "the input length exceeds the context length", "invalid_request_error")


def _openai_unknown(parameter: str) -> Refusal:
    if parameter == "max_tokens":
        message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return _openai(400, message, "invalid_request_error", parameter, "unsupported_parameter")
    if parameter in {"temperature", "top_p"}:
        message = (
            f"Unsupported value: '{parameter}' does not support 0.8 with this model. Only the default (1) value is supported."
        )
        return _openai(400, message, "invalid_request_error", parameter, "unsupported_value")
    if parameter in {"stop", "seed"}:
        message = f"Unsupported parameter: '{parameter}' is not supported with this model."
        return _openai(400, message, "invalid_request_error", parameter, "unsupported_parameter")
    return _openai(400, f"Unknown parameter: '{parameter}'.", "invalid_request_error", parameter, "unknown_parameter")


def _forbidden(parameter: str) -> Refusal:
    """As servers built on pydantic do, such as Mistral's and older vLLM."""
    detail = [{"type": "extra_forbidden", "loc": ["body", parameter], "msg": "Extra inputs are not permitted", "input": 1}]
    return Refusal(422, {"detail": detail})


LLAMA_CPP = Words(
    name="llama.cpp",
    too_long=_llama_too_long,
    counts_answer=False,
    unknown=lambda parameter: _llama(400, f"Unsupported param: {parameter}", "invalid_request_error"),
    roles=_llama(500, JINJA, "server_error"),
    loading=_llama(503, "Loading model", "unavailable_error"),
)
VLLM = Words(
    name="vLLM",
    too_long=_vllm_too_long,
    counts_answer=True,
    unknown=_forbidden,
    roles=_openai(400, f"{ALTERNATE} {ALTERNATE}", "BadRequestError", code=400),
    loading=None,
)
OLD_VLLM = VLLM._replace(
    name="an older vLLM",
    too_long=_old_vllm_too_long,
    roles=Refusal(400, {"object": "error", "message": ALTERNATE, "type": "BadRequestError", "param": None, "code": 400}),
)
OPENAI = Words(
    name="OpenAI",
    too_long=_openai_too_long,
    counts_answer=True,
    unknown=_openai_unknown,
    roles=_openai(400, ALTERNATE, "invalid_request_error"),
    loading=None,
)
LM_STUDIO = Words(
    name="LM Studio",
    too_long=_lm_studio_too_long,
    counts_answer=False,
    unknown=lambda parameter: Refusal(400, {"error": f"Unrecognized key(s) in object: '{parameter}'"}),
    roles=Refusal(400, {"error": f'Error rendering prompt with jinja template: "{ALTERNATE}".'}),
    loading=None,
)
OLD_LM_STUDIO = LM_STUDIO._replace(name="an older LM Studio", too_long=_old_lm_studio_too_long)
OLLAMA = Words(
    name="Ollama",
    too_long=None,
    counts_answer=False,
    unknown=lambda parameter: _openai(400, f"invalid option provided: {parameter}", "invalid_request_error"),
    roles=_openai(400, ALTERNATE, "invalid_request_error"),
    loading=None,
)
STRICT_OLLAMA = OLLAMA._replace(name="Ollama that does not truncate", too_long=_ollama_too_long)

SERVERS = (LLAMA_CPP, VLLM, OLD_VLLM, OPENAI, LM_STUDIO, OLD_LM_STUDIO, OLLAMA, STRICT_OLLAMA)

TOO_MANY = _openai(429, "Rate limit reached for requests", "requests", code="rate_limit_exceeded")
BROKEN = _openai(500, "The server had an error while processing your request. Sorry about that!", "server_error")


def props(window: int) -> dict[str, object]:
    """What llama.cpp answers to GET /props, which has the window of one slot (its server's README)."""
    settings = {"id": 0, "n_ctx": window, "params": {"temperature": 0.8, "max_tokens": -1}}
    return {"default_generation_settings": settings, "total_slots": 1, "model_path": "model.gguf", "chat_template": ""}


def models(name: str, window: int) -> dict[str, object]:
    """What vLLM answers to GET /v1/models, which has the window as ``max_model_len``."""
    card = {"id": name, "object": "model", "created": 1_762_025_642, "owned_by": "vllm", "max_model_len": window}
    return {"object": "list", "data": [card]}


def loaded(windows: Mapping[str, int]) -> dict[str, object]:
    """What Ollama answers to GET /api/ps, which has the window of each model that is loaded."""
    return {"models": [{"name": name, "model": name, "context_length": window} for name, window in windows.items()]}
