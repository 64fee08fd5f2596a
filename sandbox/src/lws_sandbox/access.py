"""Who may do what: the seam to `lws_sandbox.auth`, and how a refusal reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.status import GroupResource, StatusError, forbidden
from lws_sandbox.user import ADMIN, UserInfo


class Access(Protocol):
    """Tells callers apart and knows their rights."""

    async def authenticate(self, headers: Mapping[str, str], known: UserInfo | None, info: RequestInfo) -> UserInfo:
        """Who asks; ``known`` is whom the transport vouches for (in-process, or by client certificate).

        A known caller without a name showed a certificate that nobody vouches for. Values of a header that comes
        several times are joined by a newline, which no value can contain.

        Raises:
            StatusError: 401 for bad credentials, 403 for an impersonation that is not allowed.
        """
        ...

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether ``user`` may, and the reason in words, which may be empty."""
        ...


class OpenAccess:
    """Lets everybody do everything, as a server without authorization does."""

    async def authenticate(
        self,
        headers: Mapping[str, str],  # noqa: ARG002 -- the protocol's
        known: UserInfo | None,
        info: RequestInfo,  # noqa: ARG002 -- the protocol's
    ) -> UserInfo:
        """The known caller, else an administrator."""
        return known or ADMIN

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:  # noqa: ARG002
        """Yes."""
        return True, ""


def refused(user: UserInfo, info: RequestInfo, reason: str) -> StatusError:
    """403 in the words of k8s.io/apiserver `responsewriters.Forbidden`."""
    if not info.resource:
        error = forbidden(GroupResource("", ""), "", f'User "{user.name}" cannot {info.verb} path "{info.path}"')
        error.message += f": {reason}" if reason else ""
        return error
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" {where}'
    return forbidden(GroupResource(info.group, info.resource), info.name, f"{why}: {reason}" if reason else why)
