"""What the log says of an error: its cause, and what a human can do about it."""

from __future__ import annotations

import re
from typing import Final

from lws.errors import ForbiddenError, LwsError

_DENIED: Final = re.compile(
    r'cannot (?P<verb>[\w*-]+) resource "(?P<resource>[^"]+)"(?: in API group "(?P<group>[^"]*)")?'
)


def error_fields(error: LwsError) -> dict[str, str]:
    """Fields of a log line: ``cause``, and ``remedy`` if there is one.

    Of a missing permission there are ``verb``, ``resource`` and ``object`` too. Only the server's own words tell it
    from a quota or an admission webhook: all of them are 403.
    """
    fields = {"cause": str(error)}
    if not isinstance(error, ForbiddenError):
        return fields | ({"remedy": error.remedy} if error.remedy else {})
    if isinstance(name := error.details.get("name"), str) and name:
        fields["object"] = name
    denied = _DENIED.search(error.message)
    if denied is None:
        return fields | {"remedy": "change what the cause names: a quota, a policy or an admission webhook"}
    verb, resource = denied["verb"], ".".join(filter(None, (denied["resource"], denied["group"])))
    remedy = f"grant the verb {verb} on {resource} to the controller's service account, as config/rbac does"
    return fields | {"verb": verb, "resource": resource, "remedy": remedy}
