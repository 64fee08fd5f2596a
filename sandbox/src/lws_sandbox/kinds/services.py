"""Services: addresses, families, ports (`pkg/registry/core/service`, `ValidateService`)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import probes, selectors
from lws_sandbox.kinds.base import NONE, Kind, Shown, at, cell, shown, shown_age, shown_name, text_at
from lws_sandbox.rest.metadata import validate_labels
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

RANGE: Final = ipaddress.ip_network("10.0.0.0/16")
_TYPES: Final = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
_PROTOCOLS: Final = ["SCTP", "TCP", "UDP"]
_TRIES: Final = 64
_NODE_PORTS: Final = range(30000, 32768)


def headless(spec: JSON) -> bool:
    """Whether a service has no address on purpose."""
    return bool(spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [""])[0] == "None")


def _ports(service: JSON, _now: datetime) -> str:
    listed = (service.get("spec") or {}).get("ports") or ()
    texts = []
    for port in listed:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port', 0)}{node}/{port.get('protocol', '')}")
    return ",".join(texts) or NONE


def _external(service: JSON, _now: datetime) -> str:
    spec = service.get("spec") or {}
    outside = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        ingress = at(service, "status.loadBalancer.ingress") or ()
        outside = [each.get("ip") or each.get("hostname") or "" for each in ingress] + outside
        return ",".join(outside) or "<pending>"
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    return ",".join(outside) or NONE


def _selector(service: JSON, _now: datetime) -> str:
    return selectors.labels_text((service.get("spec") or {}).get("selector"))


_SPEC: Final = "core.v1.ServiceSpec"
TABLE: Final[tuple[Shown, ...]] = (
    shown_name(),
    shown("Type", cell("spec.type"), f"{_SPEC}#type"),
    shown("Cluster-IP", cell("spec.clusterIP", NONE), f"{_SPEC}#clusterIP"),
    shown("External-IP", _external, f"{_SPEC}#externalIPs"),
    shown("Port(s)", _ports, f"{_SPEC}#ports"),
    shown_age(),
    shown("Selector", _selector, f"{_SPEC}#selector", wide=True),
)


@dataclass
class ServiceKind(Kind):
    """Services. Addresses in use are remembered as services come and go."""

    table: tuple[Shown, ...] = TABLE
    initial_status: JSON | None = field(default_factory=lambda: {"loadBalancer": {}})
    fields: dict[str, Any] = field(
        default_factory=lambda: {"spec.clusterIP": text_at("spec.clusterIP"), "spec.type": text_at("spec.type")}
    )
    used: dict[str, int] = field(default_factory=dict)
    used_ports: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.name_rule = nameformats.dns_label

    def stored(self, new: JSON | None, old: JSON | None) -> None:
        """Remember which addresses and node ports are in use."""
        for obj, step in ((old, -1), (new, 1)):
            spec = (obj or {}).get("spec") or {}
            for address in spec.get("clusterIPs") or ():
                if address != "None":
                    self.used[address] = self.used.get(address, 0) + step
            for port in spec.get("ports") or ():
                if port.get("nodePort"):
                    (self.used_ports.add if step > 0 else self.used_ports.discard)(port["nodePort"])

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """An address, its family, and node ports where the type asks for them."""
        super().prepare_create(obj, context)
        spec = obj.setdefault("spec", {})
        _normalize(spec, {})
        self._allocate(spec, context)

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """What was allocated stays unless the type says otherwise."""
        super().prepare_update(new, old, context)
        spec, before = new.setdefault("spec", {}), old.get("spec") or {}
        _normalize(spec, before)
        if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
            for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                if not spec.get(member) and before.get(member):
                    spec[member] = before[member]
        if spec.get("type") == before.get("type") != "ClusterIP":
            _keep_node_ports(spec, before)
        self._allocate(spec, context)

    def _allocate(self, spec: JSON, context: WriteContext) -> None:
        if spec.get("type") == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._free(context)
            spec["clusterIPs"] = [spec["clusterIP"]]
        if headless(spec) and not spec.get("selector") and not spec.get("ipFamilyPolicy"):
            spec["ipFamilyPolicy"] = "RequireDualStack"
            spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = self._free_port(context)

    def _free(self, context: WriteContext) -> str:
        size = RANGE.num_addresses
        for _ in range(_TRIES):
            address = str(RANGE[context.random.randrange(16, size - 1)])
            if not self.used.get(address):
                return address
        return next(str(address) for address in RANGE.hosts() if not self.used.get(str(address)))

    def _free_port(self, context: WriteContext) -> int:
        free = [port for port in _NODE_PORTS if port not in self.used_ports]
        return context.random.choice(free)

    def check(self, obj: JSON, causes: Causes) -> None:
        """The rules of the spec, in the order of the real server."""
        spec = obj.get("spec") or {}
        ports, kind = spec.get("ports") or [], spec.get("type") or ""
        if not ports and not headless(spec) and kind != "ExternalName":
            causes.required("spec.ports")
        if kind in ("LoadBalancer", "NodePort") and headless(spec):
            causes.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
        if kind == "ExternalName":
            _external_name(spec, causes)
        _check_ports(ports, causes)
        validate_labels(spec.get("selector"), "spec.selector", causes)
        affinity = spec.get("sessionAffinity") or ""
        if affinity not in ("ClientIP", "None"):
            causes.not_supported("spec.sessionAffinity", affinity, ["ClientIP", "None"])
        _check_addresses(spec, causes)
        if kind not in _TYPES:
            causes.not_supported("spec.type", kind, _TYPES)
        _duplicates(ports, causes)

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """An address that was asked for is in the range and free."""
        addresses = (obj.get("spec") or {}).get("clusterIPs") or []
        if causes.found or not addresses or addresses[0] == "None":
            return
        if ipaddress.ip_address(addresses[0]) not in RANGE:
            why = "the provided network does not match the current range"
        elif self.used.get(addresses[0]):
            why = "provided IP is already allocated"
        else:
            return
        causes.invalid("spec.clusterIPs", addresses, f"failed to allocate IP {addresses[0]}: {why}")

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """An address stays as long as there is one."""
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        addresses, had = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
        if "ExternalName" in (spec.get("type"), before.get("type")) or not had:
            return
        if not addresses or addresses[0] != had[0]:
            causes.invalid("spec.clusterIPs[0]", addresses, "may not change once set")


def _normalize(spec: JSON, before: JSON) -> None:
    """The single address and the list of addresses say the same."""
    address, addresses = spec.get("clusterIP"), spec.get("clusterIPs")
    if address and not addresses:
        spec["clusterIPs"] = [address]
    elif addresses and not address and not before:
        spec["clusterIP"] = addresses[0]
    elif address and addresses and address != addresses[0] and addresses == before.get("clusterIPs"):
        spec["clusterIPs"] = [address]


def _keep_node_ports(spec: JSON, before: JSON) -> None:
    had = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        kept = had.get((port.get("protocol"), port.get("port")))
        if kept and not port.get("nodePort"):
            port["nodePort"] = kept


def _external_name(spec: JSON, causes: Causes) -> None:
    if spec.get("clusterIPs"):
        causes.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        causes.required("spec.externalName")
    for why in nameformats.dns_subdomain(name) if name else ():
        causes.invalid("spec.externalName", name, why)


def _check_ports(ports: list[JSON], causes: Causes) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        name = port.get("name") or ""
        if not name and len(ports) > 1:
            causes.required(f"{where}.name")
        elif name:
            for why in nameformats.dns_label(name):
                causes.invalid(f"{where}.name", name, why)
            if name in names:
                causes.duplicate(f"{where}.name", name)
            names.add(name)
        for why in nameformats.port_number(port.get("port") or 0):
            causes.invalid(f"{where}.port", port.get("port") or 0, why)
        protocol = port.get("protocol") or ""
        if not protocol:
            causes.required(f"{where}.protocol")
        elif protocol not in _PROTOCOLS:
            causes.not_supported(f"{where}.protocol", protocol, _PROTOCOLS)
        probes.port(port.get("targetPort"), f"{where}.targetPort", causes)


def _duplicates(ports: list[JSON], causes: Causes) -> None:
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        pair = (port.get("protocol"), port.get("port"))
        if pair in seen:
            causes.duplicate(f"spec.ports[{index}]", {"protocol": pair[0], "port": pair[1]})
        seen.add(pair)


def _check_addresses(spec: JSON, causes: Causes) -> None:
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if addresses and address != addresses[0]:
        causes.invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`")
    if len(addresses) > 2:
        causes.invalid("spec.clusterIPs", addresses, "may only hold up to 2 values")
    for index, each in enumerate(addresses):
        if each == "None":
            continue
        try:
            ipaddress.ip_address(each)
        except ValueError:
            why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            causes.invalid(f"spec.clusterIPs[{index}]", each, why)
