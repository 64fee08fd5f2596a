"""What can go wrong in a cluster, made to go wrong: by command, over the API server's control path, or from Python.

Every drill is a method whose arguments are plain values; `Drills.run` calls one by its name, such as ``node.fail``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from pydantic import ValidationError

from lws.apimachinery.manifests import JSON
from lws.errors import ApiError
from lws_sandbox.controllers.kubelet.loop import NoSuchPodError
from lws_sandbox.drills.api import ApiDrills
from lws_sandbox.drills.base import DrillError
from lws_sandbox.drills.clocks import ClockDrills
from lws_sandbox.drills.nodes import NodeDrills
from lws_sandbox.drills.podfailures import PodFailureDrills
from lws_sandbox.drills.pods import PodDrills
from lws_sandbox.drills.whole import ClusterDrills

__all__ = ["GROUPS", "DrillError", "Drills"]
GROUPS: Final = re.compile(r"(cluster|node|pod|api|clock|metric)_")


class Drills(ClusterDrills, NodeDrills, PodDrills, PodFailureDrills, ApiDrills, ClockDrills):
    """The drills of one cluster."""

    async def run(self, name: str, arguments: JSON) -> JSON:
        """Do a drill by its name, such as ``node.fail``; returns its result.

        Raises:
            DrillError: there is no such drill, an argument is missing, unknown or out of range, or it cannot be done.
        """
        method = self._table().get(name)
        if method is None:
            raise DrillError(f"there is no drill {name!r}: there are {', '.join(sorted(self._table()))}")
        try:
            return await method(**arguments)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            given = "" if first["type"] in ("missing_argument", "missing") else f", not {first['input']!r}"
            raise DrillError(f"{name}: {where}: {first['msg']}{given}") from None
        except (ApiError, NoSuchPodError) as error:
            raise DrillError(str(error)) from error

    def _table(self) -> dict[str, Callable[..., Awaitable[JSON]]]:
        names = [name for name in dir(self) if GROUPS.match(name)]
        return {name.replace("_", ".", 1).replace("_", "-"): getattr(self, name) for name in names}
