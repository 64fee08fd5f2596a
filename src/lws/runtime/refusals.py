"""What the log says of a request that the API server forbade: what was asked, and what a human can do about it."""

from __future__ import annotations

import re
from typing import Final

from lws.errors import ForbiddenError

_DENIED: Final = re.compile(
    r'cannot (?P<verb>[\w*-]+) resource "(?P<resource>[^"]+)"(?: in API group "(?P<group>[^"]*)")?'
)


def told(error: ForbiddenError) -> dict[str, str]:
    """Fields of a log line: ``cause`` and ``remedy``, and of a missing permission ``verb``, ``resource``, ``object``.

    Only the server's own words tell a missing permission from a quota or an admission webhook: all of them are 403.
    """
    fields = {"cause": str(error)}
    if isinstance(name := error.details.get("name"), str) and name:
        fields["object"] = name
    denied = _DENIED.search(error.message)
    if denied is None:
        return fields | {"remedy": "change what the cause names: a quota, a policy or an admission webhook"}
    verb, resource = denied["verb"], ".".join(filter(None, (denied["resource"], denied["group"])))
    remedy = f"grant the verb {verb} on {resource} to the controller's service account, as config/rbac does"
    return fields | {"verb": verb, "resource": resource, "remedy": remedy}
