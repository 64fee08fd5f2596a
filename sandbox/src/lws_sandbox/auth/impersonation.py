"""Acting as somebody else (k8s.io/apiserver `endpoints/filters/impersonation`).

The modes of constrained impersonation (KEP 5284) are asked in their order, then the old all-or-nothing one. The first
that allows decides; if none does, the first refusal is what the client reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias
from urllib.parse import unquote

from lws_sandbox import naming
from lws_sandbox.access import refused
from lws_sandbox.auth.authorizer import Authorizer
from lws_sandbox.auth.identities import (
    ANONYMOUS_NAME,
    AUTHENTICATED,
    MASTERS,
    NODE_NAME,
    NODES,
    UNAUTHENTICATED,
    node_of,
    service_account_groups,
    split_service_account,
    with_group,
)
from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.status import StatusError, bad_request
from lws_sandbox.user import UserInfo

USER: Final = "impersonate-user"
UID: Final = "impersonate-uid"
GROUP: Final = "impersonate-group"
EXTRA: Final = "impersonate-extra-"
MANY: Final = 4  # so many groups or extras are first asked for with one wildcard
AUTHENTICATION: Final = "authentication.k8s.io"
SEPARATOR: Final = "\n"  # between the values of a header that comes several times; no value can contain it


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom the headers name, as they name him."""

    name: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name_only(self) -> bool:
        """Whether nothing but the name is asked for."""
        return not (self.uid or self.groups or self.extra)

    def __str__(self) -> str:
        """As Go's ``%#v`` prints it."""
        pairs = ", ".join(f"{_go(key)}:{_go_list(values)}" for key, values in sorted(self.extra.items()))
        extra = f"map[string][]string{{{pairs}}}" if self.extra else "map[string][]string(nil)"
        return (
            f"&user.DefaultInfo{{Name:{_go(self.name)}, UID:{_go(self.uid)}, "
            f"Groups:{_go_list(self.groups)}, Extra:{extra}}}"
        )


Applies: TypeAlias = Callable[[Wanted, UserInfo], bool]


def wanted_user(headers: Mapping[str, str]) -> Wanted | None:
    """Whom the headers name, or None if they name nobody.

    Raises:
        StatusError: 400, something of a user is asked for without a name.
    """
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers.items():
        if header.startswith(EXTRA):
            key = unquote(header.removeprefix(EXTRA))
            extra[key] = (*extra.get(key, ()), *value.split(SEPARATOR))
    groups = tuple(headers[GROUP].split(SEPARATOR)) if GROUP in headers else ()
    wanted = Wanted(headers.get(USER, ""), headers.get(UID, ""), groups, extra)
    if wanted.name:
        return wanted
    if not wanted.name_only:
        raise bad_request(f"requested {wanted} without impersonating a user name")
    return None


class Impersonation:
    """Decides who may act as whom."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def act_as(self, requestor: UserInfo, wanted: Wanted, info: RequestInfo) -> UserInfo:
        """The user that the request goes on as.

        Raises:
            StatusError: 403, the requestor may not.
        """
        refusal: StatusError | None = None
        for mode, applies in _MODES.items():
            if not applies(wanted, requestor):
                continue
            try:
                return self._constrained(mode, requestor, wanted, info)
            except StatusError as error:
                refusal = refusal or error
        try:
            return self._checked("impersonate", requestor, wanted, constrained=False)
        except StatusError as error:
            raise refusal or error from error

    def _constrained(self, mode: str, requestor: UserInfo, wanted: Wanted, info: RequestInfo) -> UserInfo:
        self._ask(requestor, replace(info, verb=f"impersonate-on:{mode}:{info.verb}"))
        return self._checked(f"impersonate:{mode}", requestor, wanted, constrained=True)

    def _checked(self, verb: str, requestor: UserInfo, wanted: Wanted, *, constrained: bool) -> UserInfo:
        """Each thing that is asked for needs a right of its own."""
        for asked in _questions(verb, requestor, wanted, constrained=constrained):
            if isinstance(asked, RequestInfo):
                self._ask(requestor, asked)
            elif not self._authorizer.decide(requestor, asked.all_at_once)[0]:
                for one in asked.one_by_one:
                    self._ask(requestor, one)
        return _result(wanted, constrained=constrained)

    def _ask(self, requestor: UserInfo, info: RequestInfo) -> None:
        allowed, reason = self._authorizer.decide(requestor, info)
        if not allowed:
            raise refused(requestor, info, reason)


@dataclass(frozen=True, slots=True)
class _Many:
    """Questions that one wildcard may answer together."""

    all_at_once: RequestInfo
    one_by_one: tuple[RequestInfo, ...]


def _questions(verb: str, requestor: UserInfo, wanted: Wanted, *, constrained: bool) -> Iterator[RequestInfo | _Many]:
    group = AUTHENTICATION if constrained else ""
    yield _name_question(verb, group, wanted, constrained=constrained)
    if wanted.uid:
        yield RequestInfo(verb, "", AUTHENTICATION, "v1", "uids", name=wanted.uid)
    if wanted.groups:
        asked = RequestInfo(verb, "", group, "v1", "groups")
        if constrained:
            _check_groups(requestor, wanted, asked)
        each = tuple(replace(asked, name=name) for name in wanted.groups)
        yield from _together(each, replace(asked, name="*"), many=constrained and len(each) >= MANY)
    if wanted.extra:
        asked = RequestInfo(verb, "", AUTHENTICATION, "v1", "userextras")
        if constrained:
            _check_extra(requestor, wanted, asked)
        pairs = [(key, value) for key, values in wanted.extra.items() for value in values]
        each = tuple(replace(asked, subresource=key, name=value) for key, value in pairs)
        yield from _together(each, replace(asked, subresource="*", name="*"), many=constrained and len(each) >= MANY)


def _together(each: tuple[RequestInfo, ...], wildcard: RequestInfo, *, many: bool) -> Iterator[RequestInfo | _Many]:
    if many:
        yield _Many(wildcard, each)
    else:
        yield from each


def _name_question(verb: str, group: str, wanted: Wanted, *, constrained: bool) -> RequestInfo:
    asked = RequestInfo(verb, "", group, "v1", "users", name=wanted.name)
    node, account = node_of(wanted.name), split_service_account(wanted.name)
    if node is not None and constrained:
        name = "*" if verb == "impersonate:associated-node" else node
        return replace(asked, resource="nodes", name=name)
    if account is not None:
        return replace(asked, resource="serviceaccounts", namespace=account[0], name=account[1])
    return asked


def _result(wanted: Wanted, *, constrained: bool) -> UserInfo:
    groups = wanted.groups
    account = split_service_account(wanted.name)
    if constrained and node_of(wanted.name) is not None:
        groups = (NODES,)
    elif account is not None and not groups:
        groups = service_account_groups(account[0])
    if wanted.name == ANONYMOUS_NAME:
        groups = with_group(groups, UNAUTHENTICATED)
    elif UNAUTHENTICATED not in groups:
        groups = with_group(groups, AUTHENTICATED)
    return UserInfo(wanted.name, wanted.uid, groups, wanted.extra)


def _check_groups(requestor: UserInfo, wanted: Wanted, asked: RequestInfo) -> None:
    if "" in wanted.groups:
        raise refused(requestor, asked, "impersonating the empty string group is not allowed")
    if MASTERS in wanted.groups:
        why = "impersonating the system:masters group is not allowed"
        raise refused(requestor, replace(asked, name=MASTERS), why)


def _check_extra(requestor: UserInfo, wanted: Wanted, asked: RequestInfo) -> None:
    why = next((why for key, values in wanted.extra.items() if (why := _bad_extra(key, values))), "")
    if why:
        raise refused(requestor, asked, f"impersonating {why}")


def _bad_extra(key: str, values: tuple[str, ...]) -> str:
    if not key:
        return "the empty string key in extra is not allowed"
    domain, slash, path = key.partition("/")
    if not slash or not path or naming.dns_subdomain(domain):
        why = f'extra.key: Invalid value: {_go(key)}: must be a domain-prefixed path (such as "acme.io/foo")'
        return f"an invalid key in extra is not allowed: {why}"
    if key != key.lower():
        return f"a non-lowercase key in extra is not allowed: {_go(key)}"
    return "the empty string value in extra is not allowed" if "" in values else ""


def _associated(wanted: Wanted, requestor: UserInfo) -> bool:
    node = node_of(wanted.name)
    if node is None or not wanted.name_only or split_service_account(requestor.name) is None:
        return False
    return tuple(requestor.extra.get(NODE_NAME, ())) == (node,)


def _other(wanted: Wanted, _: UserInfo) -> bool:
    return node_of(wanted.name) is None and split_service_account(wanted.name) is None


_MODES: Final[Mapping[str, Applies]] = {
    "associated-node": _associated,
    "arbitrary-node": lambda wanted, _: wanted.name_only and node_of(wanted.name) is not None,
    "serviceaccount": lambda wanted, _: wanted.name_only and split_service_account(wanted.name) is not None,
    "user-info": _other,
}


def _go(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _go_list(values: tuple[str, ...]) -> str:
    if not values:
        return "[]string(nil)"
    return f"[]string{{{', '.join(_go(value) for value in values)}}}"
