"""StatefulSets, Deployments, ReplicaSets, DaemonSets, replication controllers, and ControllerRevisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.apimachinery.gotext import encoded
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import podspec, selectors
from lws_sandbox.kinds.base import (
    IMMUTABLE,
    NONE,
    Kind,
    Shown,
    at,
    cell,
    non_negative,
    shown,
    shown_age,
    shown_name,
)
from lws_sandbox.kinds.podsecurity import evaluate
from lws_sandbox.kinds.rollouts import at_most_all, int_or_percent
from lws_sandbox.rest.metadata import validate_annotations, validate_labels
from lws_sandbox.schema.gojson import Spelled
from lws_sandbox.status import Causes, show
from lws_sandbox.strategy import WriteContext

TEMPLATE_LABELS: Final = "spec.template.metadata.labels"
MISMATCH: Final = "`selector` does not match template `labels`"
_EMPTY: Final = "empty selector is invalid for {}"


def _containers(member: str) -> Any:
    def read(obj: JSON, _now: datetime) -> str:
        containers = at(obj, "spec.template.spec.containers") or ()
        return ",".join(each.get(member, "") for each in containers)

    return read


def _selector(obj: JSON, _now: datetime) -> str:
    return selectors.text(obj["spec"].get("selector"))


WIDE: Final[tuple[Shown, ...]] = (
    shown("Containers", _containers("name"), "Names of each container in the template.", wide=True),
    shown("Images", _containers("image"), "Images referenced by each container in the template.", wide=True),
)


def of_wanted(ready: str, wanted: str) -> Any:
    """Prints ``ready/wanted``."""

    def read(obj: JSON, _now: datetime) -> str:
        return f"{at(obj, ready) or 0}/{at(obj, wanted) or 0}"

    return read


@dataclass
class Workload(Kind):
    """A kind with a selector and a pod template."""

    kind_in_texts: str = ""

    def admit_final(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """Warn of a template whose pods the namespace would refuse."""
        if new is None or (old is not None and new["spec"].get("template") == old["spec"].get("template")):
            return []
        template = new["spec"].get("template") or {}
        metadata = {**(template.get("metadata") or {}), "namespace": new["metadata"].get("namespace")}
        return evaluate(metadata, template.get("spec") or {}, context, self.resource, enforced=False)

    def check_selector(self, spec: JSON, causes: Causes) -> bool:
        """The selector is there and sound; returns whether it selects at all."""
        selector = spec.get("selector")
        if selector is None:
            causes.required("spec.selector")
            return True
        sound = selectors.validate(selector, "spec.selector", causes)
        if selectors.empty(selector):
            causes.invalid("spec.selector", selector, _EMPTY.format(self.kind_in_texts))
        if not sound:
            causes.add("FieldValueInvalid", "spec.selector", f"Invalid value: {show(selector)}")
        return sound

    def check_template(self, spec: JSON, causes: Causes) -> None:
        """The template is sound, its labels are selected, and its pods are restarted for ever."""
        template = spec.get("template") or {}
        metadata = template.get("metadata") or {}
        selector = spec.get("selector")
        if not selectors.empty(selector) and not selectors.matches(selector, metadata.get("labels")):
            causes.invalid(TEMPLATE_LABELS, metadata.get("labels"), MISMATCH)
        pod_template(template, "spec.template", causes)
        always_restarted(template, causes)


def pod_template(template: JSON, path: str, causes: Causes, *, claimed: Iterable[str | None] = ()) -> None:
    """Rules of a PodTemplateSpec; ``claimed`` names the volumes that claim templates provide."""
    metadata = template.get("metadata") or {}
    validate_labels(metadata.get("labels"), f"{path}.metadata.labels", causes)
    validate_annotations(metadata.get("annotations"), f"{path}.metadata.annotations", causes)
    podspec.validate(template.get("spec") or {}, f"{path}.spec", causes, template=True, claimed=claimed)


def always_restarted(template: JSON, causes: Causes) -> None:
    """Controllers of services restart their pods always and give them no deadline."""
    spec = template.get("spec") or {}
    if spec.get("restartPolicy") != "Always":
        causes.not_supported("spec.template.spec.restartPolicy", spec.get("restartPolicy", ""), ["Always"])
    if spec.get("activeDeadlineSeconds") is not None:
        causes.forbidden(
            "spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"
        )


@dataclass
class DeploymentKind(Workload):
    """Deployments."""

    kind_in_texts: str = "deployment"

    def default(self, obj: JSON) -> None:
        """Mirrored members of the template agree."""
        super().default(obj)
        podspec.mirror(obj["spec"]["template"]["spec"])

    def changed(self, new: JSON, old: JSON) -> bool:
        """Changes of the spec count, and of annotations too."""
        annotations = (obj["metadata"].get("annotations") or {} for obj in (new, old))
        return new.get("spec") != old.get("spec") or next(annotations) != next(annotations)

    def check(self, obj: JSON, causes: Causes) -> None:
        """The rules of the spec."""
        spec = obj["spec"]
        non_negative(causes, "spec.replicas", spec.get("replicas"))
        self.check_selector(spec, causes)
        self.check_template(spec, causes)
        self._check_strategy(spec.get("strategy") or {}, causes)
        non_negative(causes, "spec.minReadySeconds", spec.get("minReadySeconds"))
        non_negative(causes, "spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
        deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
        non_negative(causes, "spec.progressDeadlineSeconds", deadline)
        if deadline is not None and deadline <= ready:
            causes.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")

    def _check_strategy(self, strategy: JSON, causes: Causes) -> None:
        path, kind, rolling = "spec.strategy", strategy.get("type", ""), strategy.get("rollingUpdate")
        if kind == "Recreate":
            if rolling is not None:
                why = "may not be specified when strategy `type` is 'Recreate'"
                causes.forbidden(f"{path}.rollingUpdate", why)
        elif kind == "RollingUpdate":
            if rolling is None:
                causes.required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
                return
            unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
            int_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable", causes)
            int_or_percent(surge, f"{path}.rollingUpdate.maxSurge", causes)
            if _zero(unavailable) and _zero(surge):
                why = "may not be 0 when `maxSurge` is 0"
                causes.invalid(f"{path}.rollingUpdate.maxUnavailable", unavailable, why)
            at_most_all(unavailable, f"{path}.rollingUpdate.maxUnavailable", causes)
        else:
            causes.not_supported(f"{path}.type", kind, ["Recreate", "RollingUpdate"])

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """The selector stays."""
        _fixed_selector(new, old, causes)


def _zero(value: Any) -> bool:
    return value in (0, "0%")


def _fixed_selector(new: JSON, old: JSON, causes: Causes) -> None:
    if new["spec"].get("selector") != old["spec"].get("selector"):
        causes.invalid("spec.selector", new["spec"].get("selector"), IMMUTABLE)


@dataclass
class ReplicaSetKind(Workload):
    """ReplicaSets."""

    kind_in_texts: str = "deployment"

    def default(self, obj: JSON) -> None:
        """Mirrored members of the template agree."""
        super().default(obj)
        podspec.mirror(obj["spec"]["template"]["spec"])

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A new set has no replicas yet."""
        super().prepare_create(obj, context)
        obj["status"] = {"replicas": 0}

    def check(self, obj: JSON, causes: Causes) -> None:
        """The rules of the spec."""
        spec = obj["spec"]
        non_negative(causes, "spec.replicas", spec.get("replicas"))
        non_negative(causes, "spec.minReadySeconds", spec.get("minReadySeconds"))
        self.check_selector(spec, causes)
        self.check_template(spec, causes)

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """The selector stays."""
        _fixed_selector(new, old, causes)


@dataclass
class RevisionKind(Kind):
    """ControllerRevisions: data that never changes."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Data is there, its number not negative."""
        if obj.get("data") is None:
            causes.required("data", "data is mandatory")
        non_negative(causes, "revision", obj.get("revision"))

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """Only the number may change; the data is compared byte for byte."""
        if _spelling(new.get("data")) != _spelling(old.get("data")):
            causes.invalid("data", new.get("data"), IMMUTABLE)


def _spelling(data: Any) -> str:
    return data.text if isinstance(data, Spelled) else encoded(data, sort_keys=False)


def _controller(obj: JSON, _now: datetime) -> str:
    owner = next((each for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), None)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    kind = owner["kind"].lower()
    return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"


_DEPLOYMENT: Final = "apps.v1.DeploymentStatus"
_DEPLOYMENT_TABLE: Final = (
    shown_name(),
    shown("Ready", of_wanted("status.readyReplicas", "spec.replicas"), "Number of the pod with ready state"),
    shown("Up-to-date", cell("status.updatedReplicas", 0), f"{_DEPLOYMENT}#updatedReplicas"),
    shown("Available", cell("status.availableReplicas", 0), f"{_DEPLOYMENT}#availableReplicas"),
    shown_age(),
    *WIDE,
    shown("Selector", _selector, "apps.v1.DeploymentSpec#selector", wide=True),
)
_REPLICA_TABLE: Final = (
    shown_name(),
    shown("Desired", cell("spec.replicas", 0), "apps.v1.ReplicaSetSpec#replicas", kind="integer"),
    shown("Current", cell("status.replicas", 0), "apps.v1.ReplicaSetStatus#replicas", kind="integer"),
    shown("Ready", cell("status.readyReplicas", 0), "apps.v1.ReplicaSetStatus#readyReplicas", kind="integer"),
    shown_age(),
    *WIDE,
    shown("Selector", _selector, "apps.v1.ReplicaSetSpec#selector", wide=True),
)
_REVISION_TABLE: Final = (
    shown_name(),
    shown("Controller", _controller, "Controller of the object"),
    shown("Revision", cell("revision", 0), "apps.v1.ControllerRevision#revision"),
    shown_age(),
)

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("apps", "deployments"): (DeploymentKind, {"table": _DEPLOYMENT_TABLE}),
    ("apps", "replicasets"): (ReplicaSetKind, {"table": _REPLICA_TABLE}),
    ("apps", "controllerrevisions"): (RevisionKind, {"table": _REVISION_TABLE}),
}
