"""Nobody grants more than he has (k8s.io/kubernetes `pkg/registry/rbac`).

Who writes a role must hold all that it grants, or the verb ``escalate`` on it; who writes a binding must hold all that
its role grants, or the verb ``bind`` on the role.
"""

from __future__ import annotations

from typing import Any, Final, cast

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.auth.authorizer import Authorizer
from lws_sandbox.auth.identities import MASTERS
from lws_sandbox.auth.rulebook import GROUP, Rulebook
from lws_sandbox.auth.rules import Rule, compact, missing, quoted, rules_of
from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.status import forbidden, of
from lws_sandbox.strategy import Strategy, WriteContext
from lws_sandbox.user import UserInfo

GUARDED: Final = ("clusterrolebindings", "clusterroles", "rolebindings", "roles")
EVERYTHING: Final = (Rule(("*",), ("*",), ("*",)), Rule(("*",), urls=("*",)))
AGGREGATION_RULE: Final = "must have cluster-admin privileges to use the aggregationRule"


class Escalation:
    """Refuses writes of roles and bindings that would grant more than their writer has."""

    def __init__(self, rulebook: Rulebook, authorizer: Authorizer) -> None:
        self._rulebook = rulebook
        self._authorizer = authorizer

    def check(self, resource: Resource, new: JSON, old: JSON | None, user: UserInfo) -> None:
        """Look at a write before it is stored.

        Raises:
            StatusError: 403, it would escalate; 404, the role to bind is not there.
        """
        if MASTERS in user.groups or (old is not None and _only_collects(new, old)):
            return
        if resource.kind.endswith("Binding"):
            self._check_binding(resource, new, user)
        else:
            self._check_role(resource, new, old, user)

    def _check_role(self, resource: Resource, new: JSON, old: JSON | None, user: UserInfo) -> None:
        meta = new["metadata"]
        namespace, name = meta.get("namespace") or "", meta.get("name") or ""
        asked = RequestInfo("escalate", "", GROUP, "*", resource.plural, namespace=namespace, name=name if old else "")
        if self._authorizer.decide(user, asked)[0]:
            return
        if new.get("aggregationRule") and self._uncovered(user, namespace, EVERYTHING):
            raise forbidden(of(resource), name, AGGREGATION_RULE)
        why = self._uncovered(user, namespace, rules_of(new))
        if why:
            raise forbidden(of(resource), name, why)

    def _check_binding(self, resource: Resource, new: JSON, user: UserInfo) -> None:
        meta, reference = new["metadata"], new.get("roleRef") or {}
        namespace = meta.get("namespace") or ""
        plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        asked = RequestInfo("bind", "", GROUP, "*", plural, namespace=namespace, name=str(reference.get("name") or ""))
        if self._authorizer.decide(user, asked)[0]:
            return
        why = self._uncovered(user, namespace, self._rulebook.role_rules(reference, namespace))
        if why:
            raise forbidden(of(resource), meta.get("name") or "", why)

    def _uncovered(self, user: UserInfo, namespace: str, wanted: tuple[Rule, ...]) -> str:
        """Why the user may not grant these rules; empty if he may."""
        held, problems = self._rulebook.rules(user, namespace)
        lacking = missing(held, wanted)
        if not lacking:
            return ""
        lines = "\n".join(sorted({str(rule) for rule in compact(lacking)}))
        why = (
            f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions '
            f"not currently held:\n{lines}"
        )
        return f"{why}; resolution errors: [{' '.join(problems)}]" if problems else why


class GuardedStrategy:
    """A strategy of a role or binding whose writes are looked at before anything else; all else is the strategy's."""

    def __init__(self, inner: Strategy, escalation: Escalation) -> None:
        self._inner = inner
        self._escalation = escalation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """Refuse what would escalate, then what the kind itself looks at."""
        if new is not None:
            self._escalation.check(self._inner.resource, new, old, context.user)
        return self._inner.admit(new, old, context)


def guarded(strategy: Strategy, escalation: Escalation) -> Strategy:
    """The strategy with its writes guarded."""
    return cast(Strategy, GuardedStrategy(strategy, escalation))


def _only_collects(new: JSON, old: JSON) -> bool:
    """Whether a change touches nothing but what garbage collection needs to touch."""
    ignored = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")

    def rest(obj: JSON) -> JSON:
        meta = {key: value for key, value in obj["metadata"].items() if key not in ignored}
        return {**obj, "metadata": meta}

    return rest(new) == rest(old)
