"""Kinds of few rules: ConfigMaps, Secrets, service accounts, leases, disruption budgets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import selectors
from lws_sandbox.kinds.base import IMMUTABLE, Kind, cell, non_negative, shown, shown_age, shown_name, text_at
from lws_sandbox.kinds.rollouts import at_most_all, int_or_percent
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

MAX_SIZE: Final = 1024 * 1024
_TYPED: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_FROZEN: Final = "field is immutable when `immutable` is set"


def _entries(obj: JSON) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


@dataclass
class ConfigMapKind(Kind):
    """ConfigMaps."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Keys are sound and told apart, and all of it is not too large."""
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        for key in data:
            for why in nameformats.config_key(key):
                causes.invalid(f"data[{key}]", key, why)
            if key in binary:
                causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        for key in binary:
            for why in nameformats.config_key(key):
                causes.invalid(f"binaryData[{key}]", key, why)
        size = sum(len(value.encode()) for value in data.values())
        size += sum(len(base64.b64decode(value)) for value in binary.values())
        if size > MAX_SIZE:
            causes.add("FieldValueTooLong", "[]", f"Too long: may not be more than {MAX_SIZE} bytes")

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """An immutable one stays as it is."""
        _frozen(new, old, ("data", "binaryData"), causes)


def _frozen(new: JSON, old: JSON, members: tuple[str, ...], causes: Causes) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        causes.forbidden("immutable", _FROZEN)
    for member in members:
        if (new.get(member) or {}) != (old.get(member) or {}):
            causes.forbidden(member, _FROZEN)


@dataclass
class SecretKind(Kind):
    """Secrets."""

    def default(self, obj: JSON) -> None:
        """Text that was sent as such becomes data."""
        super().default(obj)
        texts = obj.pop("stringData", None)
        if texts:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
            obj["data"] = dict(sorted({**(obj.get("data") or {}), **encoded}.items()))

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """A type that is left out stays."""
        super().prepare_update(new, old, context)
        if not new.get("type"):
            new["type"] = old.get("type", "")

    def check(self, obj: JSON, causes: Causes) -> None:
        """Keys are sound, and those that the type asks for are there."""
        data = obj.get("data") or {}
        for key in data:
            for why in nameformats.config_key(key):
                causes.invalid(f"data[{key}]", key, why)
        if sum(len(base64.b64decode(value)) for value in data.values()) > MAX_SIZE:
            causes.add("FieldValueTooLong", "data", f"Too long: may not be more than {MAX_SIZE} bytes")
        kind = obj.get("type") or ""
        for key in _TYPED.get(kind, ()):
            if key not in data:
                causes.required(f"data[{key}]")
        if kind == "kubernetes.io/basic-auth" and not ({"username", "password"} & set(data)):
            causes.required("data[username]")
            causes.required("data[password]")
        if kind == "kubernetes.io/service-account-token":
            name = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name")
            if not name:
                causes.required("metadata.annotations[kubernetes.io/service-account.name]")

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """The type stays, and an immutable one stays as it is."""
        if new.get("type") != old.get("type"):
            causes.invalid("type", new.get("type"), IMMUTABLE)
        _frozen(new, old, ("data",), causes)


@dataclass
class LeaseKind(Kind):
    """Leases: written by PUT whether they are there or not, but never blindly."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Spans are positive, counts not negative."""
        spec = obj.get("spec") or {}
        duration = spec.get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            causes.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
        non_negative(causes, "spec.leaseTransitions", spec.get("leaseTransitions"))


@dataclass
class BudgetKind(Kind):
    """Disruption budgets."""

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A new budget allows nothing yet."""
        super().prepare_create(obj, context)
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        obj["status"] = dict.fromkeys(counts, 0)

    def check(self, obj: JSON, causes: Causes) -> None:
        """One bound at most, and a sound selector."""
        spec = obj.get("spec") or {}
        low, high, policy = spec.get("minAvailable"), spec.get("maxUnavailable"), spec.get("unhealthyPodEvictionPolicy")
        if low is not None and high is not None:
            internal = {
                "MinAvailable": low,
                "Selector": spec.get("selector"),
                "MaxUnavailable": high,
                "UnhealthyPodEvictionPolicy": policy,
            }
            causes.invalid("spec", internal, "minAvailable and maxUnavailable cannot be both set")
        for value, path in ((low, "spec.minAvailable"), (high, "spec.maxUnavailable")):
            int_or_percent(value, path, causes)
            at_most_all(value, path, causes)
        selectors.validate(spec.get("selector"), "spec.selector", causes)
        if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
            causes.not_supported("spec.unhealthyPodEvictionPolicy", policy, ["AlwaysAllow", "IfHealthyBudget"])


_TABLES: Final = {
    "configmaps": (
        shown_name(),
        shown("Data", lambda obj, _now: _entries(obj), "core.v1.ConfigMap#data"),
        shown_age(),
    ),
    "secrets": (
        shown_name(),
        shown("Type", cell("type"), "core.v1.Secret#type"),
        shown("Data", lambda obj, _now: len(obj.get("data") or {}), "core.v1.Secret#data"),
        shown_age(),
    ),
    "serviceaccounts": (
        shown_name(),
        shown("Secrets", lambda obj, _now: len(obj.get("secrets") or ()), "core.v1.ServiceAccount#secrets"),
        shown_age(),
    ),
    "leases": (
        shown_name(),
        shown("Holder", cell("spec.holderIdentity"), "coordination.v1.LeaseSpec#holderIdentity"),
        shown_age(),
    ),
    "poddisruptionbudgets": (
        shown_name(),
        shown(
            "Min Available",
            lambda obj, _now: str((obj.get("spec") or {}).get("minAvailable", "N/A")),
            "The minimum number of pods that must be available.",
        ),
        shown(
            "Max Unavailable",
            lambda obj, _now: str((obj.get("spec") or {}).get("maxUnavailable", "N/A")),
            "The maximum number of pods that may be unavailable.",
        ),
        shown(
            "Allowed Disruptions",
            cell("status.disruptionsAllowed", 0),
            "Calculated number of pods that may be disrupted at this time.",
            kind="integer",
        ),
        shown_age(),
    ),
}

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("", "configmaps"): (ConfigMapKind, {"table": _TABLES["configmaps"]}),
    ("", "secrets"): (SecretKind, {"table": _TABLES["secrets"], "fields": {"type": text_at("type")}}),
    ("", "serviceaccounts"): (Kind, {"table": _TABLES["serviceaccounts"], "returns_deleted": True}),
    ("", "limitranges"): (Kind, {"create_on_update": True}),
    ("", "endpoints"): (Kind, {"create_on_update": True}),
    ("", "podtemplates"): (Kind, {"returns_deleted": True, "generation": True}),
    ("coordination.k8s.io", "leases"): (
        LeaseKind,
        {"table": _TABLES["leases"], "create_on_update": True, "unconditional_update": False},
    ),
    ("policy", "poddisruptionbudgets"): (
        BudgetKind,
        {"table": _TABLES["poddisruptionbudgets"], "unconditional_update": False},
    ),
    ("discovery.k8s.io", "endpointslices"): (Kind, {"generation": True}),
}
