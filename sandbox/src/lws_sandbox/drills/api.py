"""Drills on the API server: it is slow, fails, forgets its history, loses its watches."""

from __future__ import annotations

from collections.abc import Sequence

from lws.apimachinery.manifests import JSON
from lws_sandbox.drills.base import ClusterAccess, Count, Seconds, Share, StatusCode, checked


class ApiDrills(ClusterAccess):
    """The drills whose names begin with ``api``."""

    @checked
    async def api_slow(
        self,
        seconds: Seconds,
        share: Share = 1.0,
        count: Count | None = None,
        verbs: Sequence[str] = (),
        resources: Sequence[str] = (),
    ) -> JSON:
        """Hold requests for so long."""
        where = {"verbs": frozenset(verbs), "resources": frozenset(resources)}
        self._own_server().slow(seconds, share=share, count=count, **where)
        return self._active()

    @checked
    async def api_error(
        self,
        code: StatusCode = 500,
        share: Share = 1.0,
        count: Count | None = None,
        verbs: Sequence[str] = (),
        resources: Sequence[str] = (),
        after: bool = False,
    ) -> JSON:
        """Fail requests; ``after`` lets them be done before their answer is lost."""
        where = {"verbs": frozenset(verbs), "resources": frozenset(resources)}
        self._own_server().fail(code, after=after, share=share, count=count, **where)
        return self._active()

    @checked
    async def api_heal(self) -> JSON:
        """End all faults of the API server."""
        self._own_server().heal()
        return self._active()

    @checked
    async def api_compact(self) -> JSON:
        """Forget the history of changes: who asks for more of it gets 410."""
        return {"compacted": self._own_server().compact()}

    @checked
    async def api_break(self) -> JSON:
        """End every watch as a lost connection does."""
        return {"watches": self._own_server().break_watches()}

    def _active(self) -> JSON:
        return {"faults": len(self._own_server().faults.active)}
