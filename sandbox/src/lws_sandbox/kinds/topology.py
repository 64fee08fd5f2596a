"""The admission plugin PodTopologyLabels: a pod carries zone and region of its node (on from Kubernetes 1.35)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON

NODES: Final = "nodes"
COPIED: Final = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


def topology_labels(node: JSON | None) -> dict[str, str]:
    """Those labels of a node that its pods get, over their own; none of a node that is not there."""
    labels = (node or {"metadata": {}})["metadata"].get("labels") or {}
    return {key: labels[key] for key in COPIED if key in labels}


def place(pod: JSON, node: JSON | None) -> None:
    """Give a pod the labels of its node, in place."""
    if copied := topology_labels(node):
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **copied}
