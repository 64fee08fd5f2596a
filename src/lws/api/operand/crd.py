"""The CustomResourceDefinition of the LeaderWorkerSetOperator, made from its models (operator 2)."""

from __future__ import annotations

from typing import Final

from lws.api import schemas
from lws.api.customresource import printer_column, struct
from lws.api.fields import JSON
from lws.api.operand import messages
from lws.api.operand.names import API_VERSION, GROUP, KIND, PLURAL, SINGLETON, VERSION
from lws.api.operand.status import LeaderWorkerSetOperatorStatus
from lws.api.operand.types import LeaderWorkerSetOperatorSpec

NAME: Final = f"{PLURAL}.{GROUP}"
_TYPE_META: Final[JSON] = {
    "apiVersion": {"type": "string", "description": f"{API_VERSION}."},
    "kind": {"type": "string", "description": f"{KIND}."},
    "metadata": {"type": "object"},
}
_COLUMNS: Final = (
    printer_column("State", "string", ".spec.managementState"),
    printer_column("Version", "string", ".status.version"),
    printer_column("Available", "string", ".status.conditions[?(@.type=='Available')].status"),
    printer_column("Degraded", "string", ".status.conditions[?(@.type=='Degraded')].status"),
    printer_column("Age", "date", ".metadata.creationTimestamp"),
)


def manifest() -> JSON:
    """The CustomResourceDefinition, ready to be applied to a server."""
    names = {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()}
    version = {
        "additionalPrinterColumns": [*_COLUMNS],
        "name": VERSION,
        "schema": {"openAPIV3Schema": schemas.expand(schema(), schemas.definitions())},
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {"group": GROUP, "names": names, "scope": "Cluster", "versions": [version]},
    }


def schema() -> JSON:
    """The schema of the whole object; what Kubernetes publishes stays a reference (`lws.api.schemas`)."""
    parts = {
        "spec": struct(LeaderWorkerSetOperatorSpec, "What is wanted."),
        "status": struct(LeaderWorkerSetOperatorStatus, "What was last seen."),
    }
    return {
        "description": "Tells the operator how to install and keep the LeaderWorkerSet controller.",
        "type": "object",
        "required": ["spec"],
        "properties": _TYPE_META | parts,
        "x-kubernetes-validations": [{"rule": f"self.metadata.name == '{SINGLETON}'", "message": messages.SINGLETON}],
    }
