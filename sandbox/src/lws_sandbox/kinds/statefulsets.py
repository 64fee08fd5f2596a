"""StatefulSets (`pkg/apis/apps/validation`, `pkg/registry/apps/statefulset`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import claims, podspec, selectors
from lws_sandbox.kinds.base import Kind, at, non_negative, shown, shown_age, shown_name
from lws_sandbox.kinds.rollouts import at_least_one, at_most_all, int_or_percent
from lws_sandbox.kinds.workloads import MISMATCH, TEMPLATE_LABELS, WIDE, Workload, of_wanted, pod_template
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

_CHANGEABLE: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED: Final = (
    "updates to statefulset spec for fields other than "
    + ", ".join(f"'{member}'" for member in _CHANGEABLE[:-1])
    + " and 'minReadySeconds' are forbidden"
)
_IMMUTABLE: Final = ("selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy")


@dataclass
class StatefulSetKind(Workload):
    """StatefulSets (`pkg/apis/apps/validation`, ValidateStatefulSetSpec).

    Attributes:
        keep_max_unavailable: the feature MaxUnavailableStatefulSet is on.
        each_immutable_field: what is fixed is refused by the name of its field, as from Kubernetes 1.37 on.
    """

    keep_max_unavailable: bool = False
    each_immutable_field: bool = False

    def default(self, obj: JSON) -> None:
        """Claim templates are told to be claims; a gated member has a default only where it is kept."""
        super().default(obj)
        spec = obj["spec"]
        for claim in spec.get("volumeClaimTemplates") or ():
            claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"
            claim.setdefault("metadata", {})
        template = spec["template"]
        template.setdefault("metadata", {})
        podspec.mirror(template["spec"])
        rolling = at(obj, "spec.updateStrategy.rollingUpdate")
        if self.keep_max_unavailable and rolling is not None:
            rolling.setdefault("maxUnavailable", 1)

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A new set has no replicas yet."""
        super().prepare_create(obj, context)
        obj["status"] = {"replicas": 0, "availableReplicas": 0}
        self._drop_gated(obj, None)

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """As usual, without what no feature has enabled."""
        super().prepare_update(new, old, context)
        self._drop_gated(new, old)

    def _drop_gated(self, new: JSON, old: JSON | None) -> None:
        if self.keep_max_unavailable or at(old, "spec.updateStrategy.rollingUpdate.maxUnavailable") is not None:
            return
        rolling = at(new, "spec.updateStrategy.rollingUpdate")
        if rolling is not None:
            rolling.pop("maxUnavailable", None)

    def changed(self, new: JSON, old: JSON) -> bool:
        """Changes of the spec count."""
        return new.get("spec") != old.get("spec")

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """All rules."""
        self._check(obj["spec"], causes, new=True, template=True)

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """Rules for what may change; most of the spec may not."""
        spec, before = new["spec"], old["spec"]
        self._check(spec, causes, new=False, template=spec.get("template") != before.get("template"))
        if self.each_immutable_field:
            for member in _IMMUTABLE:
                if spec.get(member) != before.get(member):
                    causes.invalid(f"spec.{member}", spec.get(member), "field is immutable")
        elif _fixed(spec) != _fixed(before):
            causes.forbidden("spec", _FIXED)

    def _check(self, spec: JSON, causes: Causes, *, new: bool, template: bool) -> None:
        policy = spec.get("podManagementPolicy", "")
        if not policy:
            causes.required("spec.podManagementPolicy")
        elif policy not in ("OrderedReady", "Parallel"):
            causes.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
        self._check_strategy(spec.get("updateStrategy") or {}, causes)
        self._check_retention(spec.get("persistentVolumeClaimRetentionPolicy"), causes)
        if new:
            for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
                claims.validate_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec", causes)
        non_negative(causes, "spec.replicas", spec.get("replicas"))
        non_negative(causes, "spec.minReadySeconds", spec.get("minReadySeconds"))
        non_negative(causes, "spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
        name = spec.get("serviceName") or ""
        for why in nameformats.dns_label(name) if name and new else ():
            causes.invalid("spec.serviceName", name, why)
        sound = self.check_selector(spec, causes)
        self._check_template(spec, causes, deeply=template and sound)

    def _check_strategy(self, strategy: JSON, causes: Causes) -> None:
        path, kind, rolling = "spec.updateStrategy", strategy.get("type", ""), strategy.get("rollingUpdate")
        if not kind:
            causes.required(path)
        elif kind == "OnDelete":
            if rolling is not None:
                causes.invalid(f"{path}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
        elif kind == "RollingUpdate":
            if rolling is not None:
                non_negative(causes, f"{path}.rollingUpdate.partition", rolling.get("partition"))
                value, where = rolling.get("maxUnavailable"), f"{path}.rollingUpdate.maxUnavailable"
                int_or_percent(value, where, causes)
                at_least_one(value, where, causes)
                at_most_all(value, where, causes)
        else:
            shown_strategy = {"Type": kind, "RollingUpdate": rolling}
            causes.invalid(path, shown_strategy, "must be 'RollingUpdate' or 'OnDelete'")

    def _check_retention(self, policy: JSON | None, causes: Causes) -> None:
        for member in ("whenDeleted", "whenScaled"):
            value = (policy or {}).get(member, "")
            if value not in ("Retain", "Delete"):
                path = f"spec.persistentVolumeClaimRetentionPolicy.{member}"
                causes.not_supported(path, value, ["Retain", "Delete"])

    def _check_template(self, spec: JSON, causes: Causes, *, deeply: bool) -> None:
        template = spec.get("template") or {}
        metadata, pod = template.get("metadata") or {}, template.get("spec") or {}
        labels = metadata.get("labels")
        if deeply:
            if not _selected(spec.get("selector"), labels):
                causes.invalid(TEMPLATE_LABELS, labels, MISMATCH)
            claimed = [claim["metadata"].get("name") for claim in spec.get("volumeClaimTemplates") or ()]
            pod_template(template, "spec.template", causes, claimed=claimed)
        if pod.get("restartPolicy") != "Always":
            causes.not_supported("spec.template.spec.restartPolicy", pod.get("restartPolicy", ""), ["Always"])
        if pod.get("activeDeadlineSeconds") is not None:
            why = "activeDeadlineSeconds in StatefulSet is not Supported"
            causes.forbidden("spec.template.spec.activeDeadlineSeconds", why)

    def check_status(self, new: JSON, old: JSON, causes: Causes) -> None:
        """Counts are not negative and fit each other."""
        status = new.get("status") or {}
        counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        for member in counts:
            non_negative(causes, f"status.{member}", status.get(member))
        non_negative(causes, "status.observedGeneration", status.get("observedGeneration"))
        non_negative(causes, "status.collisionCount", status.get("collisionCount"))
        replicas = status.get("replicas") or 0
        for member in counts[1:]:
            count = status.get(member) or 0
            if count > replicas:
                causes.invalid(f"status.{member}", count, "cannot be greater than status.replicas")
        available = status.get("availableReplicas") or 0
        if available > (status.get("readyReplicas") or 0):
            causes.invalid("status.availableReplicas", available, "cannot be greater than status.readyReplicas")
        collisions = (old.get("status") or {}).get("collisionCount")
        if collisions is not None and (status.get("collisionCount") or 0) < collisions:
            causes.invalid("status.collisionCount", status.get("collisionCount") or 0, "cannot be decremented")


def _selected(selector: JSON | None, labels: JSON | None) -> bool:
    """Whether the template's labels are selected; nothing is selected by none."""
    return selector is not None and selectors.matches(selector, labels)


def _fixed(spec: JSON) -> JSON:
    return {key: value for key, value in spec.items() if key not in _CHANGEABLE}


_TABLE: Final = (
    shown_name(),
    shown("Ready", of_wanted("status.readyReplicas", "spec.replicas"), "Number of the pod with ready state"),
    shown_age(),
    *WIDE,
)

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("apps", "statefulsets"): (
        StatefulSetKind,
        {"table": _TABLE, "kind_in_texts": "statefulset", "name_rule": nameformats.dns_label},
    ),
}
