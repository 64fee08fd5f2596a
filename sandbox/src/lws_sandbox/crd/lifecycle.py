"""The life of CustomResourceDefinitions: their names are accepted, they are served, and their objects go with them.

A real server does this in controllers of its own, which lag behind: an answer shows a definition as it was written, and
what follows from it is there a moment later. So it is here, `LAG` seconds later, or with the next change if that comes
sooner.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from lws.clock import Clock
from lws_sandbox import managedfields
from lws_sandbox.catalog import Catalog
from lws_sandbox.crd import definitionrules, naming
from lws_sandbox.crd.definition import CLEANUP, DefinitionStrategy, with_condition
from lws_sandbox.crd.strategy import CustomStrategy, schemas, storage_key, storage_version
from lws_sandbox.rest.deleting import mark
from lws_sandbox.storage import Storage

DEFINITIONS: Final = str(CUSTOMRESOURCEDEFINITIONS)
LAG: Final = 0.01
MANAGER: Final = "kube-apiserver"


def install_definitions(storage: Storage, catalog: Catalog, clock: Clock) -> Definitions:
    """Serve definitions by their rules, and what they declare."""
    definitions = Definitions(storage, catalog, clock)
    resource = CUSTOMRESOURCEDEFINITIONS
    key = (resource.group, resource.version, resource.plural)
    catalog.builtin[key] = replace(catalog.builtin[key], strategy=definitions.strategy)
    return definitions


class Definitions:
    """Follows the definitions in the store, and serves what they declare.

    Attributes:
        strategy: of the definitions themselves.
    """

    def __init__(self, storage: Storage, catalog: Catalog, clock: Clock) -> None:
        self.strategy = DefinitionStrategy(self._changed)
        self._storage = storage
        self._catalog = catalog
        self._clock = clock
        self._todo: deque[str] = deque()
        self._due: asyncio.TimerHandle | None = None
        self._serving: dict[str, JSON] = {}

    def _changed(self, new: JSON | None, old: JSON | None) -> None:
        self.work()
        found = new if new is not None else old
        assert found is not None
        if new is None:
            self._unserve(found)
            self._requeue_group(found)
        else:
            self._todo.append(found["metadata"]["name"])
        self._later()

    def _later(self) -> None:
        if self._due is None and self._todo:
            self._due = asyncio.get_running_loop().call_later(LAG, self.work)

    def work(self) -> None:
        """Do what is due now; what comes up meanwhile is done in turn."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        while self._todo:
            self._follow(self._todo.popleft())

    def _follow(self, name: str) -> None:
        crd = self._storage.get(DEFINITIONS, "", name)
        if crd is None:
            return
        crd = self._establish(self._approve(self._name(crd)))
        self._serve(crd)
        if crd["metadata"].get("deletionTimestamp") and CLEANUP in (crd["metadata"].get("finalizers") or []):
            self._clean_up(crd)

    def _name(self, crd: JSON) -> JSON:
        """Accept what names are free."""
        if naming.same_names(crd["spec"]["names"], naming.accepted_names(crd)):
            return crd
        names, reason, message = naming.accept(crd, self._group(crd))
        now = self._now()
        verdict = ("False", reason, message) if reason else ("True", "NoConflicts", "no conflicts found")
        before = definitionrules.condition(crd, "NamesAccepted")
        told = (before.get("status"), before.get("reason"), before.get("message"))
        if naming.same_names(names, naming.accepted_names(crd)) and told == verdict:
            return crd
        new = with_condition(crd, "NamesAccepted", *verdict, now)
        new["status"]["acceptedNames"] = names
        if not definitionrules.established(crd):
            if not reason:
                text = "the initial names have been accepted"
                new = with_condition(new, "Established", "False", "Installing", text, now)
            elif not definitionrules.condition(crd, "Established"):
                new = with_condition(new, "Established", "False", "NotAccepted", "not all names are accepted", now)
        stored = self._write(new, crd)
        self._requeue_group(stored)
        return stored

    def _approve(self, crd: JSON) -> JSON:
        """Groups of Kubernetes itself tell whether their definitions are approved."""
        verdict = definitionrules.approval(crd)
        old = definitionrules.condition(crd, "KubernetesAPIApprovalPolicyConformant")
        if verdict is None or (old.get("status"), old.get("reason"), old.get("message")) == verdict:
            return crd
        return self._write(with_condition(crd, "KubernetesAPIApprovalPolicyConformant", *verdict, self._now()), crd)

    def _establish(self, crd: JSON) -> JSON:
        if definitionrules.established(crd) or definitionrules.condition(crd, "NamesAccepted").get("status") != "True":
            return crd
        text = "the initial names have been accepted"
        return self._write(with_condition(crd, "Established", "True", "InitialNamesAccepted", text, self._now()), crd)

    def _serve(self, crd: JSON) -> None:
        """Serve the versions of an established definition; a changed one ends the watches of its objects."""
        if not definitionrules.established(crd):
            return
        name, key = crd["metadata"]["name"], storage_key(crd)
        shape = {
            "spec": crd["spec"],
            "names": naming.accepted_names(crd),
            "terminating": definitionrules.condition(crd, "Terminating").get("status"),
        }
        before = self._serving.get(name)
        if before == shape:
            return
        self._serving[name] = shape
        stored = (crd["spec"]["group"], storage_version(crd), crd["spec"]["names"]["kind"])
        since = self._storage.revision

        def gone() -> None:
            if (
                definitionrules.condition(self._storage.get(DEFINITIONS, "", name) or {}, "Terminating").get("status")
                == "True"
            ):
                self._todo.append(name)
                self._later()

        versions = [version for version in crd["spec"]["versions"] if version.get("served")]
        known = schemas(crd)
        strategies = [CustomStrategy(crd, version, known, since=since, gone=gone) for version in versions]
        if before is None:
            self._storage.open(key)
        elif before["spec"] != shape["spec"] or before["names"] != shape["names"]:
            self._storage.end_watches(key)
        self._catalog.serve_custom(name, [(strategy, stored) for strategy in strategies])

    def _unserve(self, crd: JSON) -> None:
        name = crd["metadata"]["name"]
        if self._serving.pop(name, None) is not None:
            self._catalog.serve_custom(name, [])
            self._storage.close(storage_key(crd))

    def _clean_up(self, crd: JSON) -> None:
        """Delete the objects of a definition, and then the definition."""
        now = self._now()
        begun = definitionrules.condition(crd, "Terminating").get("reason") == "InstanceDeletionInProgress"
        if not begun:
            text = "CustomResource deletion is in progress"
            new = with_condition(crd, "Terminating", "True", "InstanceDeletionInProgress", text, now)
            crd = self._write(new, crd)
        if definitionrules.established(crd):
            self._delete_objects(storage_key(crd), now)
            if self._storage.count(storage_key(crd)):
                return  # goes on when the last of them is gone
        finalizers = [name for name in crd["metadata"]["finalizers"] if name != CLEANUP]
        if finalizers:
            self._release(crd, finalizers, now)
            return
        self._storage.delete(DEFINITIONS, "", crd["metadata"]["name"], crd)
        self._unserve(crd)
        self._requeue_group(crd)

    def _delete_objects(self, key: str, now: datetime) -> None:
        for namespace, name, obj in self._storage.entries(key):
            if not obj["metadata"].get("finalizers"):
                self._storage.delete(key, namespace, name, obj)
            elif not obj["metadata"].get("deletionTimestamp"):
                meta = dict(obj["metadata"])
                mark(meta, now)
                self._storage.update(key, namespace, name, {**obj, "metadata": meta}, obj)

    def _release(self, crd: JSON, finalizers: list[str], now: datetime) -> None:
        """Others hold the definition: it stays, with nothing left to clean up."""
        done = ("False", "InstanceDeletionCompleted", "removed all instances")
        never = ("False", "NeverEstablished", "resource was never established")
        new = with_condition(crd, "Terminating", *(done if definitionrules.established(crd) else never), now)
        new["metadata"] = {**crd["metadata"], "finalizers": finalizers}
        self._serve(self._write(new, crd))

    def _write(self, new: JSON, old: JSON) -> JSON:
        """Store a change of the status."""
        tracked = managedfields.track(
            old,
            {**new, "metadata": dict(new["metadata"])},
            manager=MANAGER,
            subresource="status",
            schema=self.strategy.schema,
            now=self._now(),
            reset=self.strategy.reset_fields("status"),
        )
        return self._storage.update(DEFINITIONS, "", old["metadata"]["name"], tracked, old)

    def _group(self, crd: JSON) -> list[JSON]:
        return [other for other in self._storage.objects(DEFINITIONS) if other["spec"]["group"] == crd["spec"]["group"]]

    def _requeue_group(self, crd: JSON) -> None:
        """A name may be free now."""
        own = crd["metadata"]["name"]
        others = [other["metadata"]["name"] for other in self._group(crd)]
        self._todo.extend(sorted(name for name in others if name != own))

    def _now(self) -> datetime:
        return self._clock.now()
