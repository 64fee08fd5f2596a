"""The life of namespaces: nothing is created in one that is missing or on its way out."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.resources import NAMESPACES
from lws_sandbox.rest.call import Call
from lws_sandbox.rest.core import Core
from lws_sandbox.status import StatusError, forbidden, not_found, of

IMMORTAL: Final = ("default", "kube-system", "kube-public")
NAMESPACE_KEY: Final = str(NAMESPACES)


def check_creation(core: Core, call: Call, name: str) -> None:
    """The namespace of a creation is there and stays.

    Raises:
        StatusError: 404 it is missing, 403 it is being deleted.
    """
    namespace = call.info.namespace
    if not namespace or call.strategy.storage_key == NAMESPACE_KEY:
        return
    found = core.storage.get(NAMESPACE_KEY, "", namespace)
    if found is None:
        raise not_found(of(NAMESPACES), namespace)
    if (found.get("status") or {}).get("phase") != "Terminating" and not found["metadata"].get("deletionTimestamp"):
        return
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(of(call.strategy.resource), name, why)
    assert error.details is not None
    error.details["causes"] = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    raise error


def check_deletion(call: Call) -> None:
    """Three namespaces stay for ever.

    Raises:
        StatusError: 403.
    """
    if call.strategy.storage_key == NAMESPACE_KEY and not call.subresource and call.info.name in IMMORTAL:
        raise _immortal(call.info.name)


def _immortal(name: str) -> StatusError:
    return forbidden(of(NAMESPACES), name, "this namespace may not be deleted")
