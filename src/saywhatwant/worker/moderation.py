"""The calls of those who moderate: hide a message, show it again, read it, erase its text for good."""

from collections.abc import Callable
from functools import partial

from starlette.responses import Response

from durable_objects import Runtime
from saywhatwant.last_backup import LastBackup
from saywhatwant.moderation import schemas
from saywhatwant.topology import Wall
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.decoders import Body, Query
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.operations import WORK, Operation
from saywhatwant.worker.request import Request


class ModerationApi:
    """The handlers of ``MODERATION_OPERATIONS``, by name. Each takes the request and its decoded body or query."""

    def __init__(self, wall: Wall, runtime: Runtime, auth: Auth, last_backup: Callable[[], LastBackup | None]) -> None:
        self._wall = wall
        self._runtime = runtime
        self._auth = auth
        self._last_backup = last_backup

    async def hide(self, request: Request, body: schemas.HideRequest) -> Response:
        """POST /api/moderation/hide."""
        by = self._auth.operator(request).name
        return JSON(await self._wall.hide(body.message_id, body.reason, name=body.name, by=by))

    async def restore(self, request: Request, body: schemas.RestoreRequest) -> Response:
        """POST /api/moderation/restore."""
        return JSON(await self._wall.restore(body.message_id, body.reason, by=self._auth.operator(request).name))

    async def erase(self, request: Request, body: schemas.EraseRequest) -> Response:
        """POST /api/moderation/erase. Its answer comes when the disk has no trace of the text either."""
        by = self._auth.operator(request).name
        erased = await self._wall.erase(body.message_id, body.reason, name=body.name, by=by)
        left = await self._runtime.scrub() or self._in_backups()
        return JSON(schemas.EraseResponse(erased.message, left=left))

    def _in_backups(self) -> str | None:
        """Where the text may still be, if the wall is known to be backed up."""
        last = self._last_backup()
        if last is None:
            return None
        return f"backups from before still have it, the last ones in {last.to}: sww forget removes it from them"

    async def hidden(self, _: Request, query: schemas.HiddenQuery) -> Response:
        """GET /api/moderation/hidden."""
        return JSON(await self._wall.hidden(query.message_id))


_operation = partial(Operation, tag="moderation", access="operators")

MODERATION_OPERATIONS: tuple[Operation, ...] = (
    _operation(
        method="POST",
        path="/api/moderation/hide",
        handler="hide",
        summary="Hide the text of a message from everybody but operators; unfinished work on it ends",
        body=Body(schemas.HideRequest),
        answers=(schemas.ModerationResponse,),
        refusals=WORK,
    ),
    _operation(
        method="POST",
        path="/api/moderation/restore",
        handler="restore",
        summary="Show a hidden message again",
        body=Body(schemas.RestoreRequest),
        answers=(schemas.ModerationResponse,),
        refusals=WORK,
    ),
    _operation(
        method="POST",
        path="/api/moderation/erase",
        handler="erase",
        summary="Remove the text of a message for good, also from the files of the data",
        body=Body(schemas.EraseRequest),
        answers=(schemas.EraseResponse,),
        refusals=WORK,
    ),
    _operation(
        method="GET",
        path="/api/moderation/hidden",
        handler="hidden",
        summary="Read a hidden message",
        query=Query(schemas.HiddenQuery),
        answers=(schemas.HiddenMessage,),
        refusals=(404, 409, 503),
    ),
)
