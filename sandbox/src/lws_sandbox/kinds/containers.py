"""The rules of containers (`pkg/apis/core/validation`, validateContainers and what it calls), in their order."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError
from lws_sandbox.kinds import environment, probes
from lws_sandbox.status import Causes

_PULL: Final = ["Always", "IfNotPresent", "Never"]
_MESSAGES: Final = ["FallbackToLogsOnError", "File"]
_PROTOCOLS: Final = ["SCTP", "TCP", "UDP"]
_STANDARD: Final = ("cpu", "memory", "ephemeral-storage")
_PROPAGATION: Final = ["Bidirectional", "HostToContainer", "None"]
_INIT_FORBIDDEN: Final = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


def validate_all(spec: JSON, path: str, volumes: Collection[str], causes: Causes) -> None:
    """Check the containers and init containers of a pod spec; ``volumes`` are the names that may be mounted."""
    regular, init = spec.get("containers") or [], spec.get("initContainers") or []
    names: set[str] = set()
    if not regular:
        causes.required(f"{path}.containers")
    for index, container in enumerate(regular):
        where = f"{path}.containers[{index}]"
        _common(container, where, volumes, causes)
        _unique(container, where, names, causes)
        probes.validate_all(container, where, causes)
    _host_ports(regular, f"{path}.containers", causes)
    for index, container in enumerate(init):
        where = f"{path}.initContainers[{index}]"
        _common(container, where, volumes, causes)
        _unique(container, where, names, causes)
        _init(container, where, causes)
    _ephemeral(spec.get("ephemeralContainers") or [], path, volumes, names, causes)


def _init(container: JSON, path: str, causes: Causes) -> None:
    policy = container.get("restartPolicy")
    if policy == "Always":
        probes.validate_all(container, path, causes)
        return
    if policy is not None:
        causes.not_supported(f"{path}.restartPolicy", policy, ["Always"])
    for member in _INIT_FORBIDDEN:
        if container.get(member) is not None:
            causes.forbidden(f"{path}.{member}", "may not be set for init containers without restartPolicy=Always")


def _ephemeral(containers: list[JSON], path: str, volumes: Collection[str], names: set[str], causes: Causes) -> None:
    for index, container in enumerate(containers):
        where = f"{path}.ephemeralContainers[{index}]"
        _common(container, where, volumes, causes)
        _unique(container, where, names, causes)
        for member in (*_INIT_FORBIDDEN, "ports"):
            if container.get(member):
                causes.forbidden(f"{where}.{member}", "not allowed for ephemeral containers")


def _unique(container: JSON, path: str, names: set[str], causes: Causes) -> None:
    name = container.get("name") or ""
    if name in names:
        causes.duplicate(f"{path}.name", name)
    names.add(name)


def _common(container: JSON, path: str, volumes: Collection[str], causes: Causes) -> None:
    name = container.get("name") or ""
    if not name:
        causes.required(f"{path}.name")
    for why in nameformats.dns_label(name) if name else ():
        causes.invalid(f"{path}.name", name, why)
    if not container.get("image"):
        causes.required(f"{path}.image")
    policy = container.get("terminationMessagePolicy") or ""
    if not policy:
        causes.required(f"{path}.terminationMessagePolicy")
    elif policy not in _MESSAGES:
        causes.not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGES)
    _ports(container.get("ports") or [], f"{path}.ports", causes)
    environment.variables(container.get("env") or [], f"{path}.env", causes)
    environment.sources(container.get("envFrom") or [], f"{path}.envFrom", causes)
    _mounts(container, path, volumes, causes)
    pull = container.get("imagePullPolicy") or ""
    if not pull:
        causes.required(f"{path}.imagePullPolicy")
    elif pull not in _PULL:
        causes.not_supported(f"{path}.imagePullPolicy", pull, _PULL)
    requirements(container.get("resources") or {}, f"{path}.resources", causes)
    _security(container.get("securityContext") or {}, f"{path}.securityContext", causes)


def _ports(ports: list[JSON], path: str, causes: Causes) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        name = port.get("name") or ""
        wrong = nameformats.port_name(name) if name else []
        for why in wrong:
            causes.invalid(f"{where}.name", name, why)
        if name and not wrong and name in names:
            causes.duplicate(f"{where}.name", name)
        names.add(name)
        number = port.get("containerPort") or 0
        if number == 0:
            causes.required(f"{where}.containerPort")
        for why in nameformats.port_number(number) if number else ():
            causes.invalid(f"{where}.containerPort", number, why)
        host = port.get("hostPort") or 0
        for why in nameformats.port_number(host) if host else ():
            causes.invalid(f"{where}.hostPort", host, why)
        protocol = port.get("protocol") or ""
        if not protocol:
            causes.required(f"{where}.protocol")
        elif protocol not in _PROTOCOLS:
            causes.not_supported(f"{where}.protocol", protocol, _PROTOCOLS)


def _host_ports(containers: list[JSON], path: str, causes: Causes) -> None:
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            shown = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if shown in taken:
                causes.duplicate(f"{path}[{index}].ports[{place}].hostPort", shown)
            taken.add(shown)


def _mounts(container: JSON, path: str, volumes: Collection[str], causes: Causes) -> None:
    mounts, devices = container.get("volumeMounts") or [], container.get("volumeDevices") or []
    seen: set[str] = set()
    device_names = {device.get("name") for device in devices}
    for index, mount in enumerate(mounts):
        where = f"{path}.volumeMounts[{index}]"
        name, target = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            causes.required(f"{where}.name")
        if name not in volumes:
            causes.add("FieldValueNotFound", f"{where}.name", f'Not found: "{name}"')
        if not target:
            causes.required(f"{where}.mountPath")
        if target in seen:
            causes.invalid(f"{where}.mountPath", target, "must be unique")
        seen.add(target)
        if name in device_names:
            causes.invalid(f"{where}.name", name, "must not already exist in volumeDevices")
        _sub_path(mount, where, causes)
    for index, device in enumerate(devices):
        where = f"{path}.volumeDevices[{index}]"
        name = device.get("name") or ""
        if not name:
            causes.required(f"{where}.name")
        if name not in volumes:
            causes.add("FieldValueNotFound", f"{where}.name", f'Not found: "{name}"')
        if not device.get("devicePath"):
            causes.required(f"{where}.devicePath")


def _sub_path(mount: JSON, path: str, causes: Causes) -> None:
    if mount.get("subPath") and mount.get("subPathExpr"):
        causes.invalid(f"{path}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")
    for member in ("subPath", "subPathExpr"):
        value = mount.get(member) or ""
        if value.startswith("/"):
            causes.invalid(f"{path}.{member}", value, "must be a relative path")
        if ".." in value.split("/"):
            causes.invalid(f"{path}.{member}", value, "must not contain '..'")
    propagation = mount.get("mountPropagation")
    if propagation is not None and propagation not in _PROPAGATION:
        causes.not_supported(f"{path}.mountPropagation", propagation, _PROPAGATION)


def requirements(wanted: JSON, path: str, causes: Causes) -> None:
    """Requests and limits: names, amounts, and each request against its limit."""
    limits, requests = wanted.get("limits") or {}, wanted.get("requests") or {}
    amounts(limits, f"{path}.limits", causes)
    for name, value in sorted(requests.items()):
        _amount(name, value, f"{path}.requests[{name}]", causes)
        asked, limit = _parsed(value), _parsed(limits.get(name))
        if asked is None:
            continue
        if limit is None:
            if not _overcommitted(name):
                causes.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif asked != limit and not _overcommitted(name):
            causes.invalid(f"{path}.requests", str(asked), f"must be equal to {name} limit of {limit}")
        elif asked > limit:
            causes.invalid(f"{path}.requests", str(asked), f"must be less than or equal to {name} limit of {limit}")


def amounts(listed: JSON, path: str, causes: Causes) -> None:
    """Names and amounts of a resource list."""
    for name, value in sorted(listed.items()):
        _amount(name, value, f"{path}[{name}]", causes)


def _amount(name: str, value: Any, path: str, causes: Causes) -> None:
    for why in nameformats.qualified_name(name):
        causes.invalid(path, name, why)
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        causes.invalid(path, name, "must be a standard resource type or fully qualified")
        causes.invalid(path, name, "must be a standard resource for containers")
    amount = _parsed(value)
    if amount is None:
        return
    if amount < Quantity(0):
        causes.invalid(path, str(amount), "must be greater than or equal to 0")
    if not _overcommitted(name) and amount.milli_value() % 1000:
        causes.invalid(path, str(amount), "must be an integer")


def _overcommitted(name: str) -> bool:
    """Whether more may be promised of a resource than there is: not of extended ones and huge pages."""
    native = "/" not in name or "kubernetes.io/" in name
    return native and not name.startswith("hugepages-")


def _parsed(value: Any) -> Quantity | None:
    try:
        return Quantity.parse(value) if value is not None else None
    except QuantityError:
        return None


def _security(context: JSON, path: str, causes: Causes) -> None:
    for member in ("runAsUser", "runAsGroup"):
        value = context.get(member)
        if value is not None and not 0 <= value < 2**31:
            causes.invalid(f"{path}.{member}", value, f"must be between 0 and {2**31 - 1}, inclusive")
    escalation = context.get("allowPrivilegeEscalation")
    if escalation is False:
        if context.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            causes.invalid(path, context, why)
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            causes.invalid(path, context, why)
    seccomp(context.get("seccompProfile"), f"{path}.seccompProfile", causes)


def seccomp(profile: JSON | None, path: str, causes: Causes) -> None:
    """A seccomp profile: a local one names its file, others do not."""
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if kind == "Localhost" and not local:
        causes.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
    elif kind in ("RuntimeDefault", "Unconfined"):
        if local is not None:
            causes.invalid(f"{path}.localhostProfile", local, "can only be set when seccomp type is Localhost")
    elif not kind:
        causes.required(f"{path}.type", "type is required when seccompProfile is set")
    elif kind != "Localhost":
        causes.not_supported(f"{path}.type", kind, ["Localhost", "RuntimeDefault", "Unconfined"])
