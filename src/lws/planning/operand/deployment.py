"""The operand's Deployment: that of `config/manager`, with what spec and cluster say (operator 3.4, 5.2, 5.6)."""

from __future__ import annotations

from typing import Any, Final

from lws.api.operand import names
from lws.api.operand.types import CERT_MANAGER, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import QuantityError, canonical
from lws.planning.operand import sizing
from lws.planning.operand.facts import Facts

_LEVELS: Final = {"Normal": 2, "Debug": 4, "Trace": 6, "TraceAll": 9}
_LEVEL_FLAG: Final = "--zap-log-level="
_NUMERIC_IDS: Final = ("runAsUser", "runAsGroup", "fsGroup")  # OpenShift assigns its own
MIN_READY_SECONDS: Final = 10


def log_level_argument(level: str) -> str:
    """The operand's flag for a log level; unknown ones count as Normal, as in the reference."""
    return f"{_LEVEL_FLAG}{_LEVELS.get(level, 2)}"


def shaped(spec: JSON, wanted: LeaderWorkerSetOperatorSpec, facts: Facts, *, config_map: str, digest: str) -> JSON:
    """The Deployment's ``spec``.

    Args:
        spec: as `config/` has it.
        wanted: what the LeaderWorkerSetOperator asks for.
        facts: what the cluster is like.
        config_map: name of the ConfigMap whose file the pods mount.
        digest: of that file.
    """
    template = spec["template"]
    metadata = template["metadata"]
    secret = names.SERVING_SECRET if facts.certificates == CERT_MANAGER else names.INTERNAL_SECRET
    annotations = {
        **(metadata.get("annotations") or {}),
        names.CONFIG_HASH: digest,
        names.SECRET_NAME: secret,
    }
    return {
        **spec,
        "replicas": wanted.operand.replicas,
        "minReadySeconds": MIN_READY_SECONDS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            **template,
            "metadata": {**metadata, "annotations": annotations},
            "spec": _pod(template["spec"], wanted, facts, config_map),
        },
    }


def _pod(spec: JSON, wanted: LeaderWorkerSetOperatorSpec, facts: Facts, config_map: str) -> JSON:
    pod = {
        **spec,
        "containers": [_container(each, wanted, facts) for each in spec["containers"]],
        "volumes": [_volume(each, config_map) for each in spec["volumes"]],
    }
    if facts.openshift:
        context = {key: value for key, value in pod["securityContext"].items() if key not in _NUMERIC_IDS}
        pod["securityContext"] = context
    placement = wanted.node_placement
    pod |= {"nodeSelector": placement.node_selector} if placement.node_selector else {}
    if placement.tolerations is not None:
        pod.pop("tolerations", None)
        pod |= {"tolerations": placement.tolerations} if placement.tolerations else {}
    pod |= {"affinity": placement.affinity} if placement.affinity is not None else {}
    operand = wanted.operand
    pod |= {"priorityClassName": operand.priority_class_name} if operand.priority_class_name else {}
    return pod | ({"imagePullSecrets": operand.image_pull_secrets} if operand.image_pull_secrets else {})


def _container(container: JSON, wanted: LeaderWorkerSetOperatorSpec, facts: Facts) -> JSON:
    if container["name"] != names.CONTAINER:
        return container
    level = log_level_argument(wanted.log_level)
    arguments = [level if each.startswith(_LEVEL_FLAG) else each for each in container["args"]]
    result = {**container, "args": arguments}
    result |= {"image": facts.image} if facts.image else {}
    if wanted.operand.resources is not None:
        return result | {"resources": _canonical(wanted.operand.resources)}
    return result | ({"resources": sizing.resources(facts.tier)} if facts.tier is not None else {})


def _volume(volume: JSON, config_map: str) -> JSON:
    if "configMap" in volume and volume["configMap"].get("name") == names.CONFIG_MAP:
        return {**volume, "configMap": {**volume["configMap"], "name": config_map}}
    if "secret" in volume:
        return {**volume, "secret": {**volume["secret"], "secretName": secret_name(volume["secret"]["secretName"])}}
    return volume


def secret_name(name: str) -> str:
    """The reference's name of a Secret that cert-manager fills, for the one that `config/certmanager` has."""
    return name.removeprefix("lws-") if name in ("lws-webhook-server-cert", "lws-metrics-server-cert") else name


def _canonical(resources: JSON) -> JSON:
    """Quantities as the API server writes them, so that an apply can be seen to change nothing."""

    def one(value: Any) -> Any:
        try:
            return canonical(value)
        except QuantityError:
            return value  # the API server's own refusal tells more

    return {
        key: {name: one(value) for name, value in amounts.items()} if key in ("limits", "requests") else amounts
        for key, amounts in resources.items()
    }
