"""The normal form of revision content (spec appendix A).

Two sections are equal when their normal forms are. The normal form is what decoding into the core API types and
encoding again yields; it is found by walking the value along the schema that the CustomResourceDefinition embeds.
The functions are total and idempotent: a value of an unexpected type stays as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lws.api import customresource, schemas
from lws.api.leaderworkerset.types import SHARED, LeaderWorkerTemplate, NetworkConfig
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError

_OPTIONAL: Final = ("optional",)
_PROJECTED: Final = ("optional", "defaultMode")

# The member of ``spec.leaderWorkerTemplate`` that is no part of a revision: the live one rules (next 5.2).
LIVE: Final = "maxGroupRestarts"

# A6: scalars whose explicit zero is significant, because the core types hold them by reference.
SIGNIFICANT_ZEROS: Final[Mapping[str, tuple[str, ...]]] = {
    "PodSpec": (
        "terminationGracePeriodSeconds",
        "activeDeadlineSeconds",
        "automountServiceAccountToken",
        "shareProcessNamespace",
        "priority",
        "runtimeClassName",
        "enableServiceLinks",
        "preemptionPolicy",
        "setHostnameAsFQDN",
        "hostUsers",
        "hostnameOverride",
    ),
    "PodSecurityContext": (
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "fsGroup",
        "fsGroupChangePolicy",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ),
    "SecurityContext": (
        "privileged",
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "readOnlyRootFilesystem",
        "allowPrivilegeEscalation",
        "procMount",
    ),
    "SeccompProfile": ("localhostProfile",),
    "AppArmorProfile": ("localhostProfile",),
    "WindowsSecurityContextOptions": ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName", "hostProcess"),
    "Container": ("restartPolicy",),
    "EphemeralContainer": ("restartPolicy",),
    "Probe": ("terminationGracePeriodSeconds",),
    "GRPCAction": ("service",),
    "Lifecycle": ("stopSignal",),
    "VolumeMount": ("recursiveReadOnly", "mountPropagation"),
    "ConfigMapKeySelector": _OPTIONAL,
    "SecretKeySelector": _OPTIONAL,
    "FileKeySelector": _OPTIONAL,
    "ConfigMapEnvSource": _OPTIONAL,
    "SecretEnvSource": _OPTIONAL,
    "ConfigMapProjection": _OPTIONAL,
    "SecretProjection": _OPTIONAL,
    "ConfigMapVolumeSource": _PROJECTED,
    "SecretVolumeSource": _PROJECTED,
    "ProjectedVolumeSource": ("defaultMode",),
    "DownwardAPIVolumeSource": ("defaultMode",),
    "DownwardAPIVolumeFile": ("mode",),
    "KeyToPath": ("mode",),
    "ClusterTrustBundleProjection": ("optional", "name", "signerName"),
    "ServiceAccountTokenProjection": ("expirationSeconds",),
    "PodCertificateProjection": ("maxExpirationSeconds",),
    "HostPathVolumeSource": ("type",),
    "CSIVolumeSource": ("readOnly", "fsType"),
    "AzureDiskVolumeSource": ("cachingMode", "fsType", "readOnly", "kind"),
    "FCVolumeSource": ("lun",),
    "ISCSIVolumeSource": ("initiatorName",),
    "Toleration": ("tolerationSeconds",),
    "TopologySpreadConstraint": ("minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy"),
    "PodDNSConfigOption": ("value",),
    "PodResourceClaim": ("resourceClaimName", "resourceClaimTemplateName"),
    "PodSchedulingGroup": ("podGroupName",),
    "PersistentVolumeClaimSpec": ("storageClassName", "volumeMode", "volumeAttributesClassName"),
    "TypedLocalObjectReference": ("apiGroup",),
    "TypedObjectReference": ("apiGroup", "namespace"),
    "LeaderWorkerTemplate": ("size",),
    "SubGroupPolicy": ("subGroupSize", "subGroupPolicyType"),
}
# A4, A5: members that the core types hold by value, so that they are always there.
ALWAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "LeaderWorkerTemplate": ("workerTemplate",),
    "PodTemplateSpec": ("metadata", "spec"),
    "Container": ("resources",),
    "EphemeralContainer": ("resources",),
    "ResourceFieldSelector": ("divisor",),
    "PersistentVolumeClaim": ("metadata", "spec", "status"),
    "PersistentVolumeClaimTemplate": ("metadata", "spec"),
    "PersistentVolumeClaimSpec": ("resources",),
}


class _Absent:
    """Stands for a member that the normal form does not have."""


_ABSENT: Final = _Absent()


@dataclass(slots=True)
class _Node:
    """One place of the schema."""

    kind: str = ""
    fields: dict[str, _Node] = field(default_factory=dict)
    element: _Node | None = None
    keeps_zero: bool = False
    always: bool = False
    default: Any = None
    known: bool = True


def template(section: JSON) -> JSON:
    """The normal form of ``spec.leaderWorkerTemplate``."""
    return _struct(section, _leader_worker_template())


def network(section: JSON | None) -> JSON:
    """The normal form of ``spec.networkConfig``; absent, or without a policy, it is ``Shared`` (spec 6.2)."""
    return {"subdomainPolicy": SHARED} | _struct(section or {}, _network_config())


def normalize(value: JSON, definition: str) -> JSON:
    """The normal form of a published struct, such as ``PodTemplateSpec`` or ``PersistentVolumeClaim``."""
    return _struct(value, _compile({"$ref": definition}, ""))


@functools.cache
def _leader_worker_template() -> _Node:
    node = _compile(customresource.struct(LeaderWorkerTemplate), "LeaderWorkerTemplate")
    policy = customresource.struct(LeaderWorkerTemplate)["properties"]["subGroupPolicy"]
    node.fields["subGroupPolicy"] = _compile(policy, "SubGroupPolicy")
    del node.fields[LIVE]
    return node


@functools.cache
def _network_config() -> _Node:
    return _compile(customresource.struct(NetworkConfig), "NetworkConfig")


@functools.cache
def _definition(name: str) -> _Node:
    return _compile(schemas.definitions()[name], name)


def _compile(schema: Mapping[str, Any], name: str) -> _Node:
    if "$ref" in schema:
        reference = schema["$ref"]
        if reference in (schemas.QUANTITY, schemas.INT_OR_STRING):
            return _Node(kind=reference)
        return _definition(reference)
    if "properties" in schema:
        return _Node(
            kind="struct",
            fields={key: _member(key, value, schema, name) for key, value in schema["properties"].items()},
        )
    if isinstance(schema.get("additionalProperties"), Mapping):
        return _Node(kind="map", element=_compile(schema["additionalProperties"], ""))
    if "items" in schema:
        return _Node(kind="list", element=_compile(schema["items"], ""))
    if schema.get("x-kubernetes-int-or-string"):
        return _Node(kind=schemas.INT_OR_STRING)
    return _Node(kind=schema.get("type", ""), known=schema.get("type") != "object")


def _member(key: str, schema: Mapping[str, Any], owner: Mapping[str, Any], name: str) -> _Node:
    node = _compile(schema, "")
    return _Node(
        kind=node.kind,
        fields=node.fields,
        element=node.element,
        keeps_zero=key in owner.get("required", ()) or key in SIGNIFICANT_ZEROS.get(name, ()),
        always=key in ALWAYS.get(name, ()),
        default=schema.get("default"),
    )


def _struct(value: Mapping[str, Any], node: _Node) -> JSON:
    out: JSON = {}
    for key, member in node.fields.items():
        given = value.get(key)
        if given is None:
            given = member.default
        if given is None and member.always:
            given = "0" if member.kind == schemas.QUANTITY else {}
        if given is not None:
            normal = _value(given, member)
            if isinstance(normal, _Absent) and member.always and member.kind == "struct":
                normal = _struct({}, member)
            if not isinstance(normal, _Absent):
                out[key] = normal
    return out


def _value(value: Any, node: _Node) -> Any:
    if isinstance(value, dict):
        if node.kind == "struct":
            return _struct(value, node)
        return _map(value, node) if node.kind == "map" else value
    if isinstance(value, list):
        return _list(value, node) or _ABSENT
    scalar = _scalar(value, node.kind)
    return scalar if scalar or node.keeps_zero or node.kind in _WRITTEN else _ABSENT


_WRITTEN: Final = (schemas.QUANTITY, schemas.INT_OR_STRING)


def _map(value: Mapping[str, Any], node: _Node) -> Any:
    assert node.element is not None
    out = {key: _element(item, node.element) for key, item in value.items() if item is not None}
    return out or _ABSENT


def _list(value: list[Any], node: _Node) -> list[Any]:
    return [_element(item, node.element) for item in value] if node.element else value


def _element(value: Any, node: _Node) -> Any:
    """An entry of a list or map: it is there, whatever it holds."""
    normal = _value(value, node)
    return value if isinstance(normal, _Absent) else normal


def _scalar(value: Any, kind: str) -> Any:
    if kind == schemas.QUANTITY:
        try:
            return Quantity.parse(value).canonical()
        except QuantityError:
            return value
    whole = isinstance(value, float) and kind in ("integer", schemas.INT_OR_STRING) and value == int(value)
    return int(value) if whole else value
