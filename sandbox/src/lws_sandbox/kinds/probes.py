"""The rules of probes and lifecycle handlers."""

from __future__ import annotations

from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds.base import non_negative
from lws_sandbox.status import Causes

_NUMBERS: Final = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def validate_all(container: JSON, path: str, causes: Causes) -> None:
    """Check the lifecycle and the probes of a container."""
    lifecycle = container.get("lifecycle") or {}
    for member in ("postStart", "preStop"):
        if lifecycle.get(member) is not None:
            _handler(lifecycle[member], f"{path}.lifecycle.{member}", causes)
    for member in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(member) is not None:
            _probe(container[member], f"{path}.{member}", causes, once=member != "readinessProbe")


def _probe(probe: JSON, path: str, causes: Causes, *, once: bool) -> None:
    _handler(probe, path, causes)
    for member in _NUMBERS:
        non_negative(causes, f"{path}.{member}", probe.get(member))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None:
        if not once:
            why = "must not be set for readinessProbes"
            causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, why)
        elif grace <= 0:
            causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if once and probe.get("successThreshold") != 1:
        causes.invalid(f"{path}.successThreshold", probe.get("successThreshold") or 0, "must be 1")


def _handler(handler: JSON, path: str, causes: Causes) -> None:
    found = [member for member in _HANDLERS if handler.get(member) is not None]
    for extra in found[1:]:
        causes.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    if not found:
        causes.required(path, "must specify a handler type")
        return
    kind, value = found[0], handler[found[0]]
    where = f"{path}.{kind}"
    if kind == "exec":
        if not value.get("command"):
            causes.required(f"{where}.command")
    elif kind == "httpGet":
        _http(value, where, causes)
    elif kind == "tcpSocket" or kind == "grpc":
        port(value.get("port"), f"{where}.port", causes)


def _http(action: JSON, path: str, causes: Causes) -> None:
    if not action.get("path"):
        causes.required(f"{path}.path")
    port(action.get("port"), f"{path}.port", causes)
    scheme = action.get("scheme") or ""
    if scheme not in ("HTTP", "HTTPS"):
        causes.not_supported(f"{path}.scheme", scheme, ["HTTP", "HTTPS"])


def port(value: Any, path: str, causes: Causes) -> None:
    """A port by number or name."""
    if isinstance(value, str):
        for why in nameformats.port_name(value):
            causes.invalid(path, value, why)
    else:
        for why in nameformats.port_number(value or 0):
            causes.invalid(path, value or 0, why)
