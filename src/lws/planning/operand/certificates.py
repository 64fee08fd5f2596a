"""Who makes the operand's certificates: the decision, and cert-manager's objects (operator 5.5)."""

from __future__ import annotations

from collections.abc import Iterator

from lws.api.operand import names
from lws.api.operand.types import AUTO, CERT_MANAGER, INTERNAL, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON, name_of
from lws.apimachinery.resources import CERTIFICATES, ISSUERS, Resource
from lws.planning.operand.deployment import secret_name
from lws.planning.operand.facts import Facts
from lws.yamltext import YamlError, load

_AUTHORITY_LIFE = "87600h"  # ten years
_AUTHORITY_RENEWAL = "17520h"  # two years before its end


def decided(
    spec: LeaderWorkerSetOperatorSpec, recorded: str, config_map: JSON | None, *, served: bool, ending: bool = False
) -> str:
    """The mode in force.

    Args:
        spec: what is asked for; a mode other than Auto is obeyed.
        recorded: the mode that the status records; empty if none.
        config_map: the live ConfigMap of the operand, if there is one.
        served: whether cert-manager's API is there.
        ending: whether cert-manager's certificate is gone, or ends soon.
    """
    if spec.certificates.mode != AUTO:
        return spec.certificates.mode
    known = recorded if recorded in (CERT_MANAGER, INTERNAL) else mode_of(config_map)
    if known == CERT_MANAGER and not served and ending:
        return INTERNAL  # nobody will renew it
    return known or (CERT_MANAGER if served else INTERNAL)


def mode_of(config_map: JSON | None) -> str | None:
    """The mode that a configuration file was written for; None if there is none that says."""
    try:
        content = load(((config_map or {}).get("data") or {}).get(names.CONFIG_KEY) or "")
        enable = content["internalCertManagement"]["enable"]
    except (YamlError, KeyError, TypeError):
        return None
    return INTERNAL if enable else CERT_MANAGER


def left_out(key: tuple[str, str], spec: LeaderWorkerSetOperatorSpec) -> bool:
    """Whether an object is not needed, because the issuer is somebody else's."""
    return key == (ISSUERS.kind, names.ISSUER) and spec.certificates.issuer_ref is not None


def certificate(manifest: JSON, *, spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> JSON:
    """A serving certificate: for the Service in the operand's namespace, into the reference's Secret."""
    reference = spec.certificates.issuer_ref
    issuer = (
        {"kind": reference.kind, "name": reference.name, "group": reference.group}
        if reference is not None
        else {"kind": ISSUERS.kind, "name": names.AUTHORITY}
    )
    body = manifest["spec"]
    hosts = [_moved(host, facts.namespace) for host in body["dnsNames"]]
    secret = secret_name(body["secretName"])
    return {**manifest, "spec": {**body, "dnsNames": hosts, "secretName": secret, "issuerRef": issuer}}


def authority(spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> Iterator[tuple[Resource, JSON]]:
    """An authority of our own: its certificate outlives those that it signs, so their renewal leaves bundles alone."""
    if facts.certificates != CERT_MANAGER or spec.certificates.issuer_ref is not None:
        return
    yield (
        CERTIFICATES,
        {
            "apiVersion": CERTIFICATES.api_version,
            "kind": CERTIFICATES.kind,
            "metadata": {"name": names.AUTHORITY},
            "spec": {
                "isCA": True,
                "commonName": names.AUTHORITY,
                "secretName": names.AUTHORITY,
                "duration": _AUTHORITY_LIFE,
                "renewBefore": _AUTHORITY_RENEWAL,
                "issuerRef": {"kind": ISSUERS.kind, "name": names.ISSUER},
            },
        },
    )
    yield (
        ISSUERS,
        {
            "apiVersion": ISSUERS.api_version,
            "kind": ISSUERS.kind,
            "metadata": {"name": names.AUTHORITY},
            "spec": {"ca": {"secretName": names.AUTHORITY}},
        },
    )


def not_ready(certificates: list[JSON]) -> list[tuple[str, str]]:
    """Certificates that are not Ready, each with its own message."""
    found = []
    for each in certificates:
        conditions = (each.get("status") or {}).get("conditions") or ()
        ready: JSON = next((one for one in conditions if one.get("type") == "Ready"), {})
        if ready.get("status") != "True":
            found.append((name_of(each), str(ready.get("message") or "it has not been issued yet")))
    return found


def _moved(host: str, namespace: str) -> str:
    """The host name of a Service, in another namespace."""
    service, _, *rest = host.split(".")
    return ".".join((service, namespace, *rest))
