"""Network policies: stored, checked and shown; nothing here has a network to hold to them.

Rules are those of `pkg/apis/networking/validation`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import probes, selectors
from lws_sandbox.kinds.base import Kind, at, shown, shown_age, shown_name
from lws_sandbox.status import Causes

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TYPES: Final = ("Ingress", "Egress")
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_CIDR: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@dataclass
class NetworkPolicyKind(Kind):
    """Network policies."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Selectors, ports and peers of all rules are sound, and each direction is named once at most."""
        spec = obj.get("spec") or {}
        selectors.validate(spec.get("podSelector"), "spec.podSelector", causes)
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for index, rule in enumerate(spec.get(direction) or ()):
                path = f"spec.{direction}[{index}]"
                for number, port in enumerate(rule.get("ports") or ()):
                    _port(port, f"{path}.ports[{number}]", causes)
                for number, peer in enumerate(rule.get(peers) or ()):
                    _peer(peer, f"{path}.{peers}[{number}]", causes)
        types = spec.get("policyTypes") or []
        if len(types) > len(TYPES):
            causes.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
            return
        for index, name in enumerate(types):
            if name not in TYPES:
                causes.not_supported(f"spec.policyTypes[{index}]", name, TYPES)


def _port(port: JSON, path: str, causes: Causes) -> None:
    number, end, protocol = port.get("port"), port.get("endPort"), port.get("protocol")
    if protocol is not None and protocol not in PROTOCOLS:
        causes.not_supported(f"{path}.protocol", protocol, ("TCP", "UDP", "SCTP"))
    if number is None:
        if end is not None:
            causes.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
        return
    if end is not None and isinstance(number, str):
        causes.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
    probes.port(number, f"{path}.port", causes)
    if end is not None and not isinstance(number, str):
        if end < number:
            causes.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`")
        probes.port(end, f"{path}.endPort", causes)


def _peer(peer: JSON, path: str, causes: Causes) -> None:
    chosen = [member for member in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(member) is not None]
    for member in chosen:
        if member == "ipBlock":
            _block(peer[member], f"{path}.{member}", causes)
        else:
            selectors.validate(peer[member], f"{path}.{member}", causes)
    if not chosen:
        causes.required(path, "must specify a peer")
    elif len(chosen) > 1 and "ipBlock" in chosen:
        causes.forbidden(path, "may not specify both ipBlock and another peer")


def _block(block: JSON, path: str, causes: Causes) -> None:
    if not block.get("cidr"):
        causes.required(f"{path}.cidr")
        return
    whole = _network(block["cidr"], f"{path}.cidr", causes)
    for index, text in enumerate(block.get("except") or ()) if whole is not None else ():
        part = _network(text, f"{path}.except[{index}]", causes)
        if part is not None and not _within(part, whole):
            causes.invalid(f"{path}.except[{index}]", text, "must be a strict subset of `cidr`")


def _network(text: str, path: str, causes: Causes) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        causes.invalid(path, text, _CIDR)
        return None


def _within(part: Network, whole: Network | None) -> bool:
    if isinstance(part, ipaddress.IPv4Network) and isinstance(whole, ipaddress.IPv4Network):
        return part != whole and part.subnet_of(whole)
    if isinstance(part, ipaddress.IPv6Network) and isinstance(whole, ipaddress.IPv6Network):
        return part != whole and part.subnet_of(whole)
    return False


_TABLE: Final = (
    shown_name(),
    shown(
        "Pod-Selector",
        lambda obj, _now: selectors.text(at(obj, "spec.podSelector")),
        "networking.v1.NetworkPolicySpec#podSelector",
    ),
    shown_age(),
)
KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("networking.k8s.io", "networkpolicies"): (NetworkPolicyKind, {"table": _TABLE, "generation": True}),
}
