"""The control path: drills over the API server's own port, for who may post to it."""

from __future__ import annotations

from typing import Any, Final

import orjson
import structlog

from lws.client.transport import Request
from lws_sandbox.access import refused
from lws_sandbox.drills import DrillError, Drills
from lws_sandbox.paths import DRILLS
from lws_sandbox.reply import Reply, of_error, of_json
from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.server import ApiServer
from lws_sandbox.status import StatusError, internal_error
from lws_sandbox.user import UserInfo

MASTERS: Final = "system:masters"
_log = structlog.get_logger(__name__)


class ControlledServer:
    """An API server that also answers drills.

    A drill is ``POST /sandbox/v1/drills`` with ``{"drill": "node.fail", "arguments": {"name": "node-0"}}``; the answer
    is what the drill has to tell, or 422 with the reason as ``message``.
    """

    def __init__(self, server: ApiServer, drills: Drills) -> None:
        self._server = server
        self._drills = drills

    async def handle(self, request: Request, user: UserInfo | None = None) -> Reply:
        """Answer a request; never raises."""
        if request.path != DRILLS:
            return await self._server.handle(request, user)
        try:
            return await self._drill(request, user)
        except StatusError as error:
            return of_error(error)
        except Exception as error:
            _log.exception("drill failed")
            return of_error(internal_error(str(error)))

    def break_watches(self) -> int:
        """End every watch as a lost connection does; returns how many."""
        return self._server.break_watches()

    async def _drill(self, request: Request, user: UserInfo | None) -> Reply:
        info = RequestInfo(request.method.lower(), DRILLS)
        who = await self._server.access.authenticate(request.headers, user, info)
        allowed, reason = await self._server.access.authorize(who, info)
        if not allowed:
            raise refused(who, info, reason)
        return await _answer(self._drills, request)


class DrillServer:
    """Answers drills alone, beside an API server that is not ours; for administrators known by certificate."""

    def __init__(self, drills: Drills) -> None:
        self._drills = drills

    async def handle(self, request: Request, user: UserInfo | None = None) -> Reply:
        """Answer a request; never raises."""
        try:
            if request.path != DRILLS:
                raise StatusError(404, "NotFound", f"only drills are served here, at {DRILLS}")
            if user is None or MASTERS not in user.groups:
                raise StatusError(403, "Forbidden", f"drills are for the group {MASTERS}")
            return await _answer(self._drills, request)
        except StatusError as error:
            return of_error(error)
        except Exception as error:
            _log.exception("drill failed")
            return of_error(internal_error(str(error)))

    def break_watches(self) -> int:
        """End every watch: there is none here."""
        return 0


async def _answer(drills: Drills, request: Request) -> Reply:
    if request.method != "POST":
        raise StatusError(405, "MethodNotAllowed", "drills are asked for by POST")
    try:
        asked: Any = orjson.loads(request.body)
        name, arguments = str(asked["drill"]), dict(asked.get("arguments") or {})
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise StatusError(400, "BadRequest", 'a drill reads {"drill": NAME, "arguments": {...}}') from None
    try:
        return of_json(await drills.run(name, arguments))
    except DrillError as error:
        raise StatusError(422, "Invalid", str(error)) from error
