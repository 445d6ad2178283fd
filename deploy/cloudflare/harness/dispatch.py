"""Between the harness's JavaScript and the classes of ``main``, which use Cloudflare's SDK as they do there."""

import importlib
import inspect
from typing import Any

from workers import Request, Response, python_from_rpc, python_to_rpc

importlib.invalidate_caches()  # the snapshot of the memory knows which files there were, and a project has others
main = importlib.import_module("main")


def create(name: str, ctx: Any, env: Any) -> Any:
    """An instance of a class of ``main``."""
    return getattr(main, name)(ctx, env)


async def fetch(instance: Any, request: Any) -> Any:
    """The answer to an HTTP request, as JavaScript's ``Response``."""
    answer = await _result(instance.fetch(Request(request)))
    return answer.js_object if isinstance(answer, Response) else answer


async def call(instance: Any, method: str, arguments: Any) -> Any:
    """The result of a method that was called over RPC."""
    return python_to_rpc(await _result(getattr(instance, method)(*map(python_from_rpc, arguments))))


async def handle(instance: Any, method: str, *arguments: Any) -> None:
    """Hand over an alarm or what happened on a socket; the arguments stay JavaScript's."""
    await _result(getattr(instance, method)(*arguments))


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
