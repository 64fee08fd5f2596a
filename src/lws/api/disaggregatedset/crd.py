"""The CustomResourceDefinitions of the DisaggregatedSet and its role scaler (disaggregatedset 2)."""

from __future__ import annotations

from typing import Final

from lws.api.customresource import AGE, Column, CustomResource
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler

DISAGGREGATEDSET: Final = CustomResource(
    DISAGGREGATEDSETS,
    DisaggregatedSet,
    "Roles of one inference service, such as prefill and decode: each a LeaderWorkerSet, updated together.",
)
ROLESCALER: Final = CustomResource(
    ROLESCALERS,
    DisaggregatedSetRoleScaler,
    "The scale of one role of a DisaggregatedSet, for autoscalers.",
    short_names=("dsrs",),
    columns=(
        Column("Desired", "integer", ".spec.replicas", "Number of desired replicas"),
        Column("Current", "integer", ".status.replicas", "Number of replicas that exist"),
        AGE,
    ),
    scale={
        "labelSelectorPath": ".status.selector",
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
    },
)
