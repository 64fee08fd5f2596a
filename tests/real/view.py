"""What there is in one namespace, kept by watches, and the means to wait for what shall be there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    EVENTS,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.informers.kinds import raw_kind
from lws.informers.registry import InformerRegistry

L: Final = "leaderworkerset.sigs.k8s.io/"
LIMIT: Final = 90.0  # seconds that anything may take
KINDS: Final = (
    LEADERWORKERSETS,
    STATEFULSETS,
    PODS,
    SERVICES,
    CONTROLLERREVISIONS,
    PERSISTENTVOLUMECLAIMS,
    SERVICEACCOUNTS,
    EVENTS,
)
QUIET: Final = (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS)


class View:
    """One namespace as it is seen.

    Args:
        client: by which it is looked at.
        clock: for ages.
        namespace: its name.
        patience: seconds of silence after which nothing more is to come.

    Attributes:
        changes: how many there were of what belongs to sets.
    """

    def __init__(self, client: ApiClient, clock: Clock, namespace: str, patience: float) -> None:
        self.namespace = namespace
        self.changes = 0
        self._patience = patience
        self._changed = asyncio.Event()
        self._registry = InformerRegistry(client, clock=clock, random=Random(1))
        self._informers = {kind: self._registry.informer(raw_kind(kind), namespace=namespace) for kind in KINDS}
        for kind, informer in self._informers.items():
            informer.on_change(lambda *_, kind=kind: self._note(kind))

    def _note(self, kind: Resource) -> None:
        self.changes += kind in QUIET
        self._changed.set()

    async def look(self) -> asyncio.Task[None]:
        """Begin to look; the task that does, for as long as it is not cancelled."""
        looking = asyncio.create_task(self._registry.run(), name="view")
        await self._registry.wait_synced()
        return looking

    # Looking.

    def all(self, resource: Resource, **labels: str) -> list[JSON]:
        """Objects that carry these labels of ours, by name; ``group_index="0"`` is ``…/group-index: "0"``."""
        wanted = {f"{L}{key.replace('_', '-')}": value for key, value in labels.items()}
        found = [each.raw for each in self._informers[resource].store]
        kept = [each for each in found if wanted.items() <= (each["metadata"].get("labels") or {}).items()]
        return sorted(kept, key=lambda each: str(each["metadata"]["name"]))

    def get(self, resource: Resource, name: str) -> JSON | None:
        """One object."""
        found = self._informers[resource].store.get(self.namespace, name)
        return found.raw if found is not None else None

    def names(self, resource: Resource, **labels: str) -> list[str]:
        """Names of objects."""
        return [str(each["metadata"]["name"]) for each in self.all(resource, **labels)]

    def revisions(self, name: str = "sample") -> list[JSON]:
        """The revisions of a set, oldest first."""
        found = [each for each in self.all(CONTROLLERREVISIONS, name=name) if _owner(each) == LEADERWORKERSETS.kind]
        return sorted(found, key=lambda each: int(each["revision"]))

    def uids(self, resource: Resource = PODS) -> dict[str, str]:
        """UIDs by name."""
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in self.all(resource)}

    def images(self, name: str) -> dict[str, str]:
        """The image that each pod of a set runs."""
        return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in self.all(PODS, name=name)}

    def notes(self, reason: str = "") -> list[str]:
        """Notes of the operators' events, oldest first."""
        found = [each for each in self.all(EVENTS) if each.get("reportingComponent") == "leaderworkerset"]
        found += [each for each in self.all(EVENTS) if each.get("reportingController") == "leaderworkerset"]
        found.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [str(each.get("note") or each["message"]) for each in found if reason in ("", each["reason"])]

    # Waiting.

    async def until(self, holds: Callable[[], bool], what: str = "a condition", seconds: float = LIMIT) -> None:
        """Wait until something holds of what is seen.

        Raises:
            TimeoutError: it does not within so many seconds; the message tells how far things have come.
        """
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s:\n{self.told()}") from None

    async def counts(self, kind: Resource, number: int) -> None:
        """Wait until there are exactly so many objects."""
        await self.until(lambda: len(self.all(kind)) == number, f"{number} {kind.plural}")

    async def replaced(self, name: str, before: dict[str, str], kind: Resource = PODS) -> None:
        """Wait until there is another object of this name than the one whose UID is given."""
        await self.until(lambda: self.uids(kind).get(name, before[name]) != before[name], f"a new {kind.kind} {name}")

    async def available(self, name: str) -> JSON:
        """Wait until a set is Available at its own generation; the set."""
        await self.until(lambda: self.is_available(name), f"{name} Available")
        found = self.get(LEADERWORKERSETS, name)
        assert found is not None
        return found

    def is_available(self, name: str) -> bool:
        """Whether a set is Available at its own generation."""
        found = self.get(LEADERWORKERSETS, name) or {}
        status = found.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        current = bool(status) and status.get("observedGeneration") == found["metadata"]["generation"]
        return current and conditions.get("Available") == "True"

    async def rest(self, seconds: float = 0.0, limit: float = LIMIT) -> None:
        """Wait until nothing of the namespace changed for so many seconds; for the own patience if not given.

        Raises:
            TimeoutError: it goes on and on.
        """
        deadline = asyncio.get_running_loop().time() + limit
        while True:
            before = self.changes
            with suppress(TimeoutError):
                await self.until(lambda: self.changes != before, seconds=seconds or self._patience)  # noqa: B023
            if self.changes == before:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"no rest within {limit:.0f} s:\n{self.told()}")

    async def settled(self, name: str) -> JSON:
        """Wait until a set is Available and nothing changes any more; the set."""
        while True:
            await self.available(name)
            await self.rest()
            if self.is_available(name):
                return await self.available(name)

    def told(self) -> str:
        """Sets and pods, one line each."""
        lines = [f"{each['metadata']['name']}: {each.get('status')}" for each in self.all(LEADERWORKERSETS)]
        for kind in (STATEFULSETS, PODS):
            for each in self.all(kind):
                meta, status = each["metadata"], each.get("status") or {}
                going = " terminating" if meta.get("deletionTimestamp") else ""
                lines.append(f"{kind.kind} {meta['name']}{going}: {_brief(status)}")
        return "\n".join([*lines, *self.notes()])


def _owner(obj: JSON) -> str:
    return str((obj["metadata"].get("ownerReferences") or [{"kind": ""}])[0]["kind"])


def _brief(status: JSON) -> JSON:
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return {key: value for key, value in status.items() if isinstance(value, int | str)} | conditions
