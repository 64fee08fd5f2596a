"""Roles and their bindings: validation and tables; what they grant is the authorizer's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import selectors
from lws_sandbox.kinds.base import Kind, Shown, at, shown, shown_age, shown_created, shown_name
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

GROUP: Final = "rbac.authorization.k8s.io"
_SUBJECTS: Final = ["ServiceAccount", "User", "Group"]


@dataclass
class RoleKind(Kind):
    """Roles of a namespace or of the cluster."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Each rule names verbs, and what they may be done to."""
        for index, rule in enumerate(obj.get("rules") or ()):
            self._check_rule(rule, f"rules[{index}]", causes)
        for index, selector in enumerate(at(obj, "aggregationRule.clusterRoleSelectors") or ()):
            selectors.validate(selector, f"aggregationRule.clusterRoleSelectors[{index}]", causes)

    def _check_rule(self, rule: JSON, path: str, causes: Causes) -> None:
        if not rule.get("verbs"):
            causes.required(f"{path}.verbs", "verbs must contain at least one value")
        urls = rule.get("nonResourceURLs") or []
        if urls:
            if self.resource.namespaced:
                causes.invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
            if any(rule.get(member) for member in ("apiGroups", "resources", "resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                causes.invalid(f"{path}.nonResourceURLs", urls, why)
            return
        if not rule.get("apiGroups"):
            causes.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            causes.required(f"{path}.resources", "resource rules must supply at least one resource")


@dataclass
class BindingKind(Kind):
    """Bindings of roles to subjects."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """The role and every subject are well named."""
        role = obj.get("roleRef") or {}
        if role.get("apiGroup") != GROUP:
            causes.not_supported("roleRef.apiGroup", role.get("apiGroup") or "", [GROUP])
        kinds = ["Role", "ClusterRole"] if self.resource.namespaced else ["ClusterRole"]
        if role.get("kind") not in kinds:
            causes.not_supported("roleRef.kind", role.get("kind") or "", kinds)
        name = role.get("name") or ""
        if not name:
            causes.required("roleRef.name")
        for why in nameformats.path_segment(name):
            causes.invalid("roleRef.name", name, why)
        for index, subject in enumerate(obj.get("subjects") or ()):
            self._check_subject(subject, f"subjects[{index}]", causes)

    def _check_subject(self, subject: JSON, path: str, causes: Causes) -> None:
        name, kind, group = subject.get("name") or "", subject.get("kind") or "", subject.get("apiGroup") or ""
        if not name:
            causes.required(f"{path}.name")
        if kind == "ServiceAccount":
            for why in nameformats.dns_subdomain(name) if name else ():
                causes.invalid(f"{path}.name", name, why)
            if group:
                causes.not_supported(f"{path}.apiGroup", group, [""])
            if not self.resource.namespaced and not subject.get("namespace"):
                causes.required(f"{path}.namespace")
        elif kind in ("User", "Group"):
            if group != GROUP:
                causes.not_supported(f"{path}.apiGroup", group, [GROUP])
        else:
            causes.not_supported(f"{path}.kind", kind, _SUBJECTS)

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """The role stays."""
        role, before = new.get("roleRef") or {}, old.get("roleRef") or {}
        if role != before:
            names = (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))
            causes.invalid("roleRef", {shown: role.get(member, "") for shown, member in names}, "cannot change roleRef")


def _role(obj: JSON, _now: datetime) -> str:
    role = obj.get("roleRef") or {}
    return f"{role.get('kind', '')}/{role.get('name', '')}"


def _subjects(kind: str) -> Any:
    def read(obj: JSON, _now: datetime) -> str:
        found = [each for each in obj.get("subjects") or () if each.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{each.get('namespace', '')}/{each.get('name', '')}" for each in found)
        return ", ".join(each.get("name", "") for each in found)

    return read


_ROLES: Final[tuple[Shown, ...]] = (shown_name(), shown_created())


def _bindings(kind: str) -> tuple[Shown, ...]:
    return (
        shown_name(),
        shown("Role", _role, f"rbac.v1.{kind}#roleRef"),
        shown_age(),
        shown("Users", _subjects("User"), f"Users in the {_WORDS[kind]}", wide=True),
        shown("Groups", _subjects("Group"), f"Groups in the {_WORDS[kind]}", wide=True),
        shown("ServiceAccounts", _subjects("ServiceAccount"), f"ServiceAccounts in the {_WORDS[kind]}", wide=True),
    )


_WORDS: Final = {"RoleBinding": "roleBinding", "ClusterRoleBinding": "clusterRoleBinding"}
_COMMON: Final = {"name_rule": nameformats.path_segment, "create_on_update": True}

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    (GROUP, "roles"): (RoleKind, {"table": _ROLES, **_COMMON}),
    (GROUP, "clusterroles"): (RoleKind, {"table": _ROLES, **_COMMON}),
    (GROUP, "rolebindings"): (BindingKind, {"table": _bindings("RoleBinding"), **_COMMON}),
    (GROUP, "clusterrolebindings"): (BindingKind, {"table": _bindings("ClusterRoleBinding"), **_COMMON}),
}
