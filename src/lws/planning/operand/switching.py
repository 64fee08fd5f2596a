"""Changing who makes the certificates, without a refused admission (operator 5.5).

While pods roll, some serve cert-manager's certificate and some the operand's own, so the bundle in the webhook
configurations has to trust both. The operand publishes whatever its Secret holds under ``extra.crt`` beside its own
authority:

    * to Internal: the inject annotation goes and the bundle stays, a fresh Secret holds cert-manager's authority as
      extra, the pods roll, and then the extra, the Certificates and their Secrets go.
    * to CertManager: once the Certificates are Ready their authority is the extra; when both bundles have had it for
      15 s the pods roll, the annotation is set, and the operand's own Secret goes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Final

from lws.api.operand import names
from lws.api.operand.types import CERT_MANAGER, INTERNAL
from lws.apimachinery.actions import Action, Create, Delete, JsonPatch
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import SECRETS
from lws.planning.operand.facts import Facts
from lws.planning.operand.world import World

SETTLE_SECONDS: Final = 15.0  # that API servers are given to see a bundle before something is served that needs it
EXTRA: Final = "extra.crt"
_AUTHORITY: Final = "ca.crt"
_CONFIGURATIONS: Final = (
    ("MutatingWebhookConfiguration", names.MUTATING),
    ("ValidatingWebhookConfiguration", names.VALIDATING),
)
_CERTIFICATES: Final = (names.SERVING_CERTIFICATE, names.METRICS_CERTIFICATE, names.AUTHORITY)


def mode_of(pod_spec: JSON) -> str:
    """Whose certificates a pod serves: cert-manager's if it mounts their Secret."""
    secrets = {(volume.get("secret") or {}).get("secretName") for volume in pod_spec.get("volumes") or ()}
    return CERT_MANAGER if names.SERVING_SECRET in secrets else INTERNAL


def modes_in_use(deployment: JSON | None, replica_sets: Iterable[JSON]) -> frozenset[str]:
    """Whose certificates the pods serve that there are, or that are about to be."""
    if deployment is None:
        return frozenset()
    templates = [
        each["spec"]["template"]
        for each in replica_sets
        if each["spec"].get("replicas") or (each.get("status") or {}).get("replicas")
    ]
    return frozenset(mode_of(each["spec"]) for each in [*templates, deployment["spec"]["template"]])


def preparation(facts: Facts, world: World) -> tuple[list[Action], str]:
    """What must be done before pods roll from one mode to the other, and what is waited for; empty: they may."""
    others = facts.in_use - {facts.certificates}
    if not others:
        return [], ""
    return _to_internal(facts, world) if facts.certificates == INTERNAL else _to_cert_manager(world)


def _to_internal(facts: Facts, world: World) -> tuple[list[Action], str]:
    if INTERNAL in facts.in_use:  # the pods are rolling already, and the Secret is theirs
        return [], ""
    trusted = _member(world.secrets.get(names.SERVING_SECRET), _AUTHORITY) or _bundle(world)
    secret = world.secrets.get(names.INTERNAL_SECRET)
    if secret is not None and _member(secret, EXTRA) == trusted:
        return [], ""
    if secret is not None:
        meta = secret["metadata"]
        stale = Delete(SECRETS, meta["namespace"], meta["name"], meta["uid"])
        return [stale], "the Secret of the operand's own certificates is made anew"
    manifest = {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {"name": names.INTERNAL_SECRET, "namespace": facts.namespace},
        "data": {EXTRA: base64.b64encode(trusted).decode()},
    }
    return [Create(SECRETS, manifest)], ""


def _to_cert_manager(world: World) -> tuple[list[Action], str]:
    trusted = _member(world.secrets.get(names.SERVING_SECRET), _AUTHORITY)
    secret = world.secrets.get(names.INTERNAL_SECRET)
    if not trusted:
        return [], f"Secret {names.SERVING_SECRET} has no {_AUTHORITY} yet"
    if secret is None or world.trusted_for >= SETTLE_SECONDS:
        return [], ""
    waits = "API servers get to know cert-manager's authority"
    if _member(secret, EXTRA) == trusted:
        return [], waits
    meta = secret["metadata"]
    value = base64.b64encode(trusted).decode()
    known = isinstance(secret.get("data"), dict)
    operation = (
        {"op": "add", "path": f"/data/{EXTRA}", "value": value}
        if known
        else {"op": "add", "path": "/data", "value": {EXTRA: value}}
    )
    patch = JsonPatch(SECRETS, meta["namespace"], meta["name"], meta["resourceVersion"], (operation,))
    return [patch], waits


def trusted(world: World) -> bool:
    """Whether both configurations trust cert-manager's authority in every hook."""
    authority = _member(world.secrets.get(names.SERVING_SECRET), _AUTHORITY).strip()
    return bool(authority) and all(authority in bundle for bundle in _bundles(world))


def clean_up(facts: Facts, world: World) -> list[Action]:
    """What is left of the other mode, once all pods are of the one in force and the webhook answers."""
    if world.probe is None or world.probe.fault or facts.in_use != {facts.certificates}:
        return []
    if facts.certificates == CERT_MANAGER:
        injected = all(names.INJECT_CA in annotations_of(world.live.get(key) or {}) for key in _CONFIGURATIONS)
        former = world.secrets.get(names.INTERNAL_SECRET)
        return [_delete(former)] if injected and former is not None else []
    actions: list[Action] = []
    secret = world.secrets.get(names.INTERNAL_SECRET)
    if secret is not None and EXTRA in (secret.get("data") or {}):
        meta = secret["metadata"]
        operation = {"op": "remove", "path": f"/data/{EXTRA}"}
        actions.append(JsonPatch(SECRETS, meta["namespace"], meta["name"], meta["resourceVersion"], (operation,)))
    for name in (names.SERVING_SECRET, names.METRICS_SECRET, names.AUTHORITY):
        found = world.secrets.get(name)
        if found is not None and annotations_of(found).get(names.CERTIFICATE_NAME) in _CERTIFICATES:
            actions.append(_delete(found))
    return actions


def _delete(secret: JSON) -> Delete:
    meta = secret["metadata"]
    return Delete(SECRETS, meta["namespace"], meta["name"], meta["uid"])


def _member(secret: JSON | None, name: str) -> bytes:
    data: Mapping[str, str] = (secret or {}).get("data") or {}
    return _decoded(data.get(name))


def _bundle(world: World) -> bytes:
    """What is trusted now; the first hook tells for all."""
    return next((bundle for bundle in _bundles(world) if bundle), b"")


def _bundles(world: World) -> list[bytes]:
    hooks = [hook for key in _CONFIGURATIONS for hook in (world.live.get(key) or {}).get("webhooks") or ()]
    return [_decoded((hook.get("clientConfig") or {}).get("caBundle")) for hook in hooks]


def _decoded(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError):
        return b""
