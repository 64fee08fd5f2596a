"""The CustomResourceDefinition of the LeaderWorkerSetOperator, made from its models (operator 2)."""

from __future__ import annotations

from typing import Final

from lws.api.customresource import AGE, Column, CustomResource
from lws.api.operand.names import GROUP, KIND, PLURAL, VERSION
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.resources import Resource

OPERATORS: Final = Resource(GROUP, VERSION, PLURAL, KIND, namespaced=False)
LEADERWORKERSETOPERATOR: Final = CustomResource(
    resource=OPERATORS,
    model=LeaderWorkerSetOperator,
    description="Tells the operator how to install and keep the LeaderWorkerSet controller.",
    columns=(
        Column("State", "string", ".spec.managementState"),
        Column("Version", "string", ".status.version"),
        Column("Available", "string", ".status.conditions[?(@.type=='Available')].status"),
        Column("Degraded", "string", ".status.conditions[?(@.type=='Degraded')].status"),
        AGE,
    ),
)
