"""Objects as they may be handed to others: without secret material (operator 5.12)."""

from __future__ import annotations

import base64
from typing import Any, Final

from lws.apimachinery.manifests import JSON

_SHOWN: Final = ("name", "namespace", "uid", "creationTimestamp", "labels", "ownerReferences")
BUNDLE: Final = "caBundle"


def secret(manifest: JSON, certificates: dict[str, list[str]]) -> JSON:
    """A Secret: its identity, its type, the names and sizes of what it holds, and what its certificates say.

    Args:
        manifest: the Secret.
        certificates: by member, the subject and dates of each certificate in it.
    """
    data = manifest.get("data") or {}
    return {
        "metadata": {key: value for key, value in manifest["metadata"].items() if key in _SHOWN},
        "type": manifest.get("type"),
        "members": {name: f"{len(base64.b64decode(value or ''))} bytes" for name, value in sorted(data.items())},
        "certificates": certificates,
    }


def shown(node: Any) -> Any:
    """An object without the server's bookkeeping, and without bundles, which are told of elsewhere."""
    if isinstance(node, dict):
        left_out = ("managedFields", "kubectl.kubernetes.io/last-applied-configuration")
        kept = {key: shown(value) for key, value in node.items() if key not in left_out}
        return {key: f"{len(value)} characters" if key == BUNDLE and value else value for key, value in kept.items()}
    return [shown(each) for each in node] if isinstance(node, list) else node
