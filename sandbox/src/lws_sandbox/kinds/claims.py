"""The rules of what a volume claim asks for (`ValidatePersistentVolumeClaimSpec`)."""

from __future__ import annotations

from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError
from lws_sandbox.kinds import selectors
from lws_sandbox.status import Causes

_MODES: Final = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
_VOLUME_MODES: Final = ["Block", "Filesystem"]


def validate_spec(spec: JSON, path: str, causes: Causes) -> None:
    """Check the spec of a claim."""
    modes = spec.get("accessModes") or []
    if not modes:
        causes.required(f"{path}.accessModes", "at least 1 access mode is required")
    selectors.validate(spec.get("selector"), f"{path}.selector", causes)
    for mode in modes:
        if mode not in _MODES:
            causes.not_supported(f"{path}.accessModes", mode, _MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        causes.forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        causes.required(f"{path}.resources[storage]")
    else:
        _positive(storage, f"{path}.resources[storage]", causes)
    name = spec.get("storageClassName") or ""
    for why in nameformats.dns_subdomain(name) if name else ():
        causes.invalid(f"{path}.storageClassName", name, why)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in _VOLUME_MODES:
        causes.not_supported(f"{path}.volumeMode", mode, _VOLUME_MODES)


def _positive(value: Any, path: str, causes: Causes) -> None:
    try:
        amount = Quantity.parse(value)
    except QuantityError:
        return
    if not amount > Quantity(0):
        causes.invalid(path, str(amount), "must be greater than zero")
