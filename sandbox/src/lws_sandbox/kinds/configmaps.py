"""ConfigMaps and Secrets; and kinds that have hardly a rule: service accounts, limit ranges, endpoints."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds.base import IMMUTABLE, Kind, cell, shown, shown_age, shown_created, shown_name, text_at
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


_TABLES: Final = {
    "limitranges": (shown_name(), shown_created(kind="date")),
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
}

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("", "configmaps"): (ConfigMapKind, {"table": _TABLES["configmaps"]}),
    ("", "secrets"): (SecretKind, {"table": _TABLES["secrets"], "fields": {"type": text_at("type")}}),
    ("", "serviceaccounts"): (Kind, {"table": _TABLES["serviceaccounts"], "returns_deleted": True}),
    ("", "limitranges"): (Kind, {"table": _TABLES["limitranges"], "create_on_update": True}),
    ("", "endpoints"): (Kind, {"create_on_update": True}),
    ("", "podtemplates"): (Kind, {"returns_deleted": True, "generation": True}),
    ("discovery.k8s.io", "endpointslices"): (Kind, {"generation": True}),
}
