"""What a token may be bound to (k8s.io/kubernetes `pkg/registry/core/serviceaccount/storage/token.go`)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.auth.tokens import Bound
from lws_sandbox.status import GroupResource, bad_request, conflict, not_found
from lws_sandbox.storage import Storage

_KINDS: Final = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


def find_bound(storage: Storage, reference: JSON | None, namespace: str, account: str) -> Bound | None:
    """The object that a request for a token of ``account`` refers to, or None if it refers to none.

    Raises:
        StatusError: 400, not to such an object; 404, it is not there; 409, it is another one.
    """
    if not reference:
        return None
    group, _, version = reference.get("apiVersion", "").rpartition("/")
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if group or kind not in _KINDS:
        raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    stored = storage.get(_KINDS[kind], "" if kind == "Node" else namespace, name)
    if stored is None:
        raise not_found(GroupResource("", _KINDS[kind]), name)
    spec = stored.get("spec") or {}
    if kind == "Pod" and spec.get("serviceAccountName") != account:
        why = "to pod running with different serviceaccount name."
        raise bad_request(f'cannot bind token for serviceaccount "{account}" {why}')
    uid, wanted = stored["metadata"]["uid"], reference.get("uid")
    if wanted and wanted != uid:
        why = f"the UID in the bound object reference ({wanted}) does not match the UID in record"
        text = f"{why}. The object might have been deleted and then recreated"
        raise conflict(GroupResource("", kind), name, text)
    node = (spec.get("nodeName") or "") if kind == "Pod" else ""
    machine = storage.get("nodes", "", node) if node else None
    return Bound(kind.lower(), name, uid, node, machine["metadata"]["uid"] if machine else "")
