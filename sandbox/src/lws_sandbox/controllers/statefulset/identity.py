"""Who a pod of a StatefulSet is: its ordinal, name, labels, host name, and the claims behind its volumes."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.names import parent_and_ordinal
from lws_sandbox.controllers.objects import controller_reference, labels_of, name_of, namespace_of
from lws_sandbox.controllers.pods import REVISION_LABEL
from lws_sandbox.copying import copied

POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"


def ordinal_of(pod: JSON) -> int:
    """The ordinal in the pod's name, or -1."""
    return parent_and_ordinal(name_of(pod))[1]


def is_member(statefulset: JSON, pod: JSON) -> bool:
    """Whether the pod's name is one that this set gives."""
    return parent_and_ordinal(name_of(pod))[0] == name_of(statefulset)


def first_ordinal(statefulset: JSON) -> int:
    """The lowest ordinal of the set."""
    return int((statefulset["spec"].get("ordinals") or {}).get("start") or 0)


def wanted_replicas(statefulset: JSON) -> int:
    """How many pods the set shall have."""
    replicas = statefulset["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def in_range(statefulset: JSON, ordinal: int) -> bool:
    """Whether the set shall have a pod of this ordinal."""
    first = first_ordinal(statefulset)
    return first <= ordinal < first + wanted_replicas(statefulset)


def claim_name(statefulset: JSON, template: JSON, ordinal: int) -> str:
    """The name of a pod's claim."""
    return f"{name_of(template)}-{name_of(statefulset)}-{ordinal}"


def claims_for(statefulset: JSON, ordinal: int) -> list[JSON]:
    """The claims that the pod of this ordinal mounts."""
    claims = []
    for template in statefulset["spec"].get("volumeClaimTemplates") or ():
        metadata = template.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), **(statefulset["spec"]["selector"].get("matchLabels") or {})}
        kept = {key: metadata[key] for key in ("annotations", "finalizers") if metadata.get(key)}
        claims.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    **kept,
                    "name": claim_name(statefulset, template, ordinal),
                    "namespace": namespace_of(statefulset),
                    "labels": labels,
                },
                "spec": copied(template.get("spec") or {}),
            }
        )
    return claims


def new_pod(statefulset: JSON, ordinal: int, revision: str) -> JSON:
    """The pod of this ordinal from the set's template, as it is sent to the API server."""
    name = f"{name_of(statefulset)}-{ordinal}"
    template = statefulset["spec"]["template"]
    metadata = template.get("metadata") or {}
    kept = {key: copied(metadata[key]) for key in ("annotations", "finalizers") if metadata.get(key)}
    labels = {**(metadata.get("labels") or {}), **identity_labels(name, ordinal), REVISION_LABEL: revision}
    spec: JSON = {**copied(template["spec"]), "hostname": name}
    if statefulset["spec"].get("serviceName"):
        spec["subdomain"] = statefulset["spec"]["serviceName"]
    else:
        spec.pop("subdomain", None)
    pod: JSON = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            "name": name,
            "generateName": f"{name_of(statefulset)}-",
            "namespace": namespace_of(statefulset),
            "labels": labels,
            "ownerReferences": [controller_reference(statefulset, "apps/v1", "StatefulSet")],
        },
        "spec": spec,
    }
    return with_storage(statefulset, pod)


def identity_labels(name: str, ordinal: int) -> dict[str, str]:
    """The labels by which a pod says who it is."""
    return {POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}


def identity_matches(statefulset: JSON, pod: JSON) -> bool:
    """Whether the pod carries its name as a label."""
    return is_member(statefulset, pod) and labels_of(pod).get(POD_NAME_LABEL) == name_of(pod)


def storage_matches(statefulset: JSON, pod: JSON) -> bool:
    """Whether every claim template is mounted from the pod's own claim."""
    ordinal = ordinal_of(pod)
    if ordinal < 0:
        return False
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    return all(
        (volumes.get(name_of(template), {}).get("persistentVolumeClaim") or {}).get("claimName")
        == claim_name(statefulset, template, ordinal)
        for template in statefulset["spec"].get("volumeClaimTemplates") or ()
    )


def with_identity(pod: JSON) -> JSON:
    """The pod with the labels of its identity."""
    labels = {**labels_of(pod), **identity_labels(name_of(pod), ordinal_of(pod))}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


def with_storage(statefulset: JSON, pod: JSON) -> JSON:
    """The pod with its claims as volumes, before its own; a volume of a claim's name gives way."""
    ordinal = ordinal_of(pod)
    templates = statefulset["spec"].get("volumeClaimTemplates") or ()
    if not templates:
        return pod
    mounted = [
        {"name": name_of(item), "persistentVolumeClaim": {"claimName": claim_name(statefulset, item, ordinal)}}
        for item in templates
    ]
    names = {volume["name"] for volume in mounted}
    others = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in names]
    return {**pod, "spec": {**pod["spec"], "volumes": [*mounted, *others]}}
