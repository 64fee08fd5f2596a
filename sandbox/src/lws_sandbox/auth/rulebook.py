"""Which rules hold for whom, from the roles and bindings that are stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.auth.identities import service_account_user
from lws_sandbox.auth.rules import Rule, rules_of
from lws_sandbox.status import GroupResource, StatusError, not_found
from lws_sandbox.storage import Storage
from lws_sandbox.user import UserInfo

GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = f"roles.{GROUP}"
ROLE_BINDINGS: Final = f"rolebindings.{GROUP}"
CLUSTER_ROLES: Final = f"clusterroles.{GROUP}"
CLUSTER_ROLE_BINDINGS: Final = f"clusterrolebindings.{GROUP}"


@dataclass(frozen=True, slots=True)
class Grant:
    """Rules that a binding gives to a caller, and why; ``problem`` is set where its role is missing."""

    rules: tuple[Rule, ...] = ()
    source: str = ""
    problem: str = ""


class Rulebook:
    """Reads roles and bindings from the store at every question, so that a grant holds as soon as it is stored."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def grants(self, user: UserInfo, namespace: str = "") -> Iterator[Grant]:
        """What the bindings of the cluster, and of the namespace if one is given, grant to a caller."""
        for binding in self._storage.objects(CLUSTER_ROLE_BINDINGS):
            yield from self._granted(user, binding, "")
        if namespace:
            for binding in self._storage.objects(ROLE_BINDINGS, namespace):
                yield from self._granted(user, binding, namespace)

    def rules(self, user: UserInfo, namespace: str = "") -> tuple[list[Rule], list[str]]:
        """All rules that hold for a caller, and what kept others from being found."""
        grants = list(self.grants(user, namespace))
        return [rule for grant in grants for rule in grant.rules], [g.problem for g in grants if g.problem]

    def role_rules(self, reference: Mapping[str, Any], namespace: str) -> tuple[Rule, ...]:
        """The rules of the role that a binding in ``namespace`` refers to.

        Raises:
            StatusError: 404, there is no such role.
        """
        kind, name = reference.get("kind"), str(reference.get("name"))
        if kind == "ClusterRole":
            role = self._storage.get(CLUSTER_ROLES, "", name)
        elif kind == "Role":
            role = self._storage.get(ROLES, namespace, name)
        else:
            role = None
        if role is None:
            raise not_found(GroupResource(GROUP, str(kind).lower()), name)
        return rules_of(role)

    def _granted(self, user: UserInfo, binding: JSON, namespace: str) -> Iterator[Grant]:
        for subject in binding.get("subjects") or ():
            if _applies(subject, user, namespace):
                break
        else:
            return
        reference = binding.get("roleRef") or {}
        try:
            rules = self.role_rules(reference, namespace)
        except StatusError as error:
            yield Grant(problem=error.message)
            return
        yield Grant(rules, _source(binding, reference, subject, namespace))


def _applies(subject: Mapping[str, Any], user: UserInfo, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(user.name == subject.get("name"))
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return bool(where) and user.name == service_account_user(where, str(subject.get("name")))
    return False


def _source(binding: JSON, reference: Mapping[str, Any], subject: Mapping[str, Any], namespace: str) -> str:
    """As an access review gives the reason."""
    name = binding["metadata"]["name"]
    kind, shown = ("RoleBinding", f"{name}/{namespace}") if namespace else ("ClusterRoleBinding", name)
    who = str(subject.get("name"))
    if subject.get("kind") == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    role = f"{reference.get('kind')} {_quote(str(reference.get('name')))}"
    return f"{kind} {_quote(shown)} of {role} to {subject.get('kind')} {_quote(who)}"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
