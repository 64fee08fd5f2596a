"""What is kept of rollouts: the installation that was good last, and what became of the newest (operator 5.7).

One ConfigMap beside the operator holds it. A rendering has no definitions: those are never rolled back. Lost or
unreadable, there is nothing to go back to, and the next rollout that holds begins the record anew.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, CUSTOMRESOURCEDEFINITIONS, Resource
from lws.planning.operand.desired import Desired, Wanted
from lws.planning.operand.facts import Facts

NAME: Final = "lws-operator-last-good"
STATE: Final = "state.json"
_RENDERING: Final = "rendering"  # gzip and base64 of the objects
KEPT: Final = 5  # rollouts in the history


@dataclass(frozen=True, slots=True)
class Rendering:
    """One installation as it was applied.

    Attributes:
        digest: of all of its objects.
        template: digest of the operand's pod template, whose change is a rollout.
        version: of the operand.
        image: of the operand.
        config_map: the configuration that pods mount.
        objects: all but definitions.
    """

    digest: str
    template: str
    version: str
    image: str
    config_map: str
    objects: tuple[Wanted, ...] = ()

    @classmethod
    def of(cls, facts: Facts, desired: Desired) -> Rendering:
        """The rendering of what is wanted now."""
        kept = tuple(each for each in desired.objects if each.resource != CUSTOMRESOURCEDEFINITIONS)
        deployment = desired.get("Deployment", names.DEPLOYMENT) or {}
        template = (deployment.get("spec") or {}).get("template") or {}
        manifests = [each.manifest for each in desired.objects]
        return cls(_digest(manifests), _digest(template), facts.version, facts.image, desired.config_map, kept)

    def desired(self) -> Desired:
        """What is wanted while this is in force."""
        return Desired(self.objects, {}, self.config_map)

    def to_json(self) -> JSON:
        """All but the objects."""
        members = ("digest", "template", "version", "image", "config_map")
        return {member: getattr(self, member) for member in members}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The rollout that is under way, or that failed.

    Attributes:
        digest: of the rendering.
        started: when.
        sets_available: sets that were Available then.
        failed: why it failed; empty while it goes on.
        held: whether it was left as it is, or else rolled back.
    """

    digest: str
    started: str
    sets_available: int = 0
    failed: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """All of it."""

    good: Rendering | None = None
    attempt: Attempt | None = None
    history: tuple[JSON, ...] = field(default=())

    def noting(self, entry: JSON) -> Record:
        """The record with one more rollout in its history."""
        return replace(self, history=(*self.history, entry)[-KEPT:])


def decoded(config_map: JSON | None) -> Record:
    """The record that a ConfigMap holds; an empty one if it holds none that can be read."""
    data = (config_map or {}).get("data") or {}
    try:
        state: JSON = orjson.loads(data[STATE])
        objects = orjson.loads(gzip.decompress(base64.b64decode(data[_RENDERING])))
        good = Rendering(**state["good"], objects=tuple(_wanted(each) for each in objects))
        attempt = Attempt(**state["attempt"]) if state.get("attempt") else None
        return Record(good, attempt, tuple(state.get("history") or ()))
    except (KeyError, TypeError, ValueError, OSError, EOFError, binascii.Error):
        return Record()


def encoded(record: Record, facts: Facts, owner: JSON) -> Wanted | None:
    """The ConfigMap that holds a record; None while there is nothing to keep."""
    if record.good is None:
        return None
    attempt = record.attempt
    members = ("digest", "started", "sets_available", "failed", "held")
    state = {
        "good": record.good.to_json(),
        "attempt": {name: getattr(attempt, name) for name in members} if attempt is not None else None,
        "history": [*record.history],
    }
    raw = orjson.dumps([_entry(each) for each in record.good.objects], option=orjson.OPT_SORT_KEYS)
    manifest = {
        "apiVersion": CONFIGMAPS.api_version,
        "kind": CONFIGMAPS.kind,
        "metadata": {
            "name": NAME,
            "namespace": facts.operator_namespace,
            "labels": {**names.LABELS},
            "ownerReferences": [owner],
        },
        "data": {
            STATE: orjson.dumps(state, option=orjson.OPT_SORT_KEYS).decode(),
            _RENDERING: base64.b64encode(gzip.compress(raw, mtime=0)).decode(),
        },
    }
    return Wanted(CONFIGMAPS, manifest)


def _entry(wanted: Wanted) -> JSON:
    resource = wanted.resource
    return {
        "group": resource.group,
        "version": resource.version,
        "plural": resource.plural,
        "kind": resource.kind,
        "namespaced": resource.namespaced,
        "manifest": wanted.manifest,
    }


def _wanted(entry: JSON) -> Wanted:
    manifest = entry.pop("manifest")
    return Wanted(Resource(**entry), manifest)


def _digest(node: Iterable[Any] | JSON) -> str:
    return hashlib.sha256(orjson.dumps(node, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
