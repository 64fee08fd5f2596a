"""What a planner can ask for: a plan is a tuple of these values, empty when the world is as desired.

An executor (`lws.runtime.executor`) runs them in order and stops at the first failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import Resource

FOREIGN_RECHECK: Final = 60.0  # seconds until a name taken by an object that is not ours is looked at again

Propagation: TypeAlias = Literal["Foreground", "Background", "Orphan"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a successful apply sent, and how it left the object: equal still means that nothing needs applying."""

    digest: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owners: tuple[str, ...]

    @classmethod
    def left(cls, digest: str, meta: ObjectMeta) -> Applied:
        """The memory of an apply whose answer carries ``meta``."""
        owners = tuple(sorted(f"{owner.uid}/{owner.controller}" for owner in meta.owner_references or ()))
        return cls(digest, meta.uid, meta.generation, meta.labels or {}, meta.annotations or {}, owners)


@dataclass(frozen=True, slots=True)
class Reference:
    """Names an object that may not exist yet; the executor fills in uid and resourceVersion from what it wrote."""

    resource: Resource
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""

    @classmethod
    def to(cls, resource: Resource, meta: ObjectMeta) -> Reference:
        """Refer to a live object."""
        return cls(resource, meta.namespace, meta.name, meta.uid, meta.resource_version)


@dataclass(frozen=True, slots=True)
class Fold:
    """How an event may be told together with others of its kind about the same object (`lws.runtime.eventfolds`).

    Attributes:
        kind: of events that may be folded with one another.
        low: the first of the numbers that it tells of.
        high: the last of them.
        several: the note for several, with ``{low}``, ``{high}`` and ``{count}`` of them.
        single: how many are told by themselves first.
    """

    kind: str
    low: int
    high: int
    several: str
    single: int


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Record an event about the object that the plan is for.

    In a note of ``on_failure``, ``{error}`` is the cause. An event with ``once`` is recorded one time for each such
    value (an object's UID) by a process, as long as it remembers; an executor that has recorded it passes over it. One
    with ``fold`` may be told together with others.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    related: Reference | None = None
    once: str = ""
    fold: Fold | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object.

    If the name is taken, the executor's ownership rule decides: ours is success without an event, an earlier
    incarnation's is success too (its deletion wakes the key), anyone else's is ``on_foreign`` and never written. If
    what follows in the plan relies on the object (``required``), one that is not ours ends the run: with a
    `lws.errors.ConflictError` if an earlier incarnation has the name, with the refusal itself if anyone else has.

    ``owner`` is the object that the new one goes with. Before what we have made once is made again the server is asked
    for it: the cache that shows it may be behind (`lws.errors.StaleError`).
    """

    resource: Resource
    manifest: JSON
    on_success: tuple[EmitEvent, ...] = ()
    on_failure: tuple[EmitEvent, ...] = ()
    on_foreign: tuple[EmitEvent, ...] = ()
    required: bool = False
    owner: Reference | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply with force.

    ``digest`` identifies the manifest. ``look_first`` asks the executor to look at the live object before it
    writes: at ``live``, which is that object packed (`lws.apimachinery.packing`) as a cache holds it, or else at the
    server's. ``expected`` is the UID and generation that the cache believed, None for no object at all: if one is there
    all the same, nothing is written and the executor raises `lws.runtime.outcomes.FoundError`, so that ownership is
    judged first; if it is another object or generation, the plan is stale (`lws.errors.StaleError`); if applying would
    change nothing, nothing is written either (`lws.apimachinery.drift`). ``owner`` is as with `Create`.
    """

    resource: Resource
    manifest: JSON
    digest: str
    look_first: bool = False
    expected: tuple[str, int] | None = None
    live: bytes = b""
    owner: Reference | None = None
    on_success: tuple[EmitEvent, ...] = ()
    on_failure: tuple[EmitEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """Read one object, merge ``change`` into it (RFC 7386), write it back under ``resource_version``.

    ``otherwise`` is done instead if the server calls the object invalid: it may see a change in members that are
    written back as they were read.
    """

    resource: Resource
    namespace: str
    name: str
    resource_version: str
    change: JSON
    otherwise: Create | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge ``change`` into an object, or into a subresource of it (RFC 7386), if it still has this UID.

    A ``strategic`` one merges lists that are maps by a key, such as conditions, entry by entry; only the kinds of
    Kubernetes itself can be merged so.
    What the change does not name is left as it is, whoever wrote it meanwhile, so there is no conflict to be had.
    A ``strategic`` change adds to and takes from lists as the API defines it. One whose metadata has a resourceVersion
    is a `lws.errors.ConflictError` if the object has another. If we may not patch an ``optional`` one, ``on_failure``
    is told, the plan goes on, and it is not tried again for a minute.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    change: JSON
    subresource: str = ""
    optional: bool = False
    strategic: bool = False
    on_success: tuple[EmitEvent, ...] = ()
    on_failure: tuple[EmitEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """JSON patch of one object (RFC 6902), if it is still at this version; otherwise a `lws.errors.ConflictError`.

    If the server does not admit the object, ``on_refusal`` is told (``{error}`` is why), and ``otherwise`` is done.
    """

    resource: Resource
    namespace: str
    name: str
    resource_version: str
    operations: tuple[JSON, ...]
    otherwise: Update | None = None
    on_refusal: tuple[EmitEvent, ...] = ()
    on_success: tuple[EmitEvent, ...] = ()
    on_failure: tuple[EmitEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """Write the whole status with optimistic locking."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    resource_version: str
    status: Mapping[str, Any]
    on_success: tuple[EmitEvent, ...] = ()

    @property
    def manifest(self) -> JSON:
        """The object as it is sent: its identity, and the status alone."""
        metadata = {"name": self.name, "namespace": self.namespace, "uid": self.uid}
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {**metadata, "resourceVersion": self.resource_version},
            "status": dict(self.status),
        }


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one object, only if it still has this UID; gone or replaced is success without an event.

    ``witness`` is what the judgement rests on: unless the server still has it, the plan is not to be run. ``absent`` is
    what it takes for gone: while the server has it, under the UID if one is given, the plan is not to be run either.
    ``grace`` is how many seconds a pod has to end; None for what its spec says.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    propagation: Propagation | None = None
    on_success: tuple[EmitEvent, ...] = ()
    witness: Reference | None = None
    absent: Reference | None = None
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Relabel:
    """Put labels back on an object that lost those by which the caches select, if it is there and has this controller.

    The server is asked for it by name, no more than once a minute.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    controller: str
    labels: Mapping[str, str]
    on_failure: tuple[EmitEvent, ...] = ()


Write: TypeAlias = Relabel | Create | Apply | Update | Patch | JsonPatch | UpdateStatus | Delete
Action: TypeAlias = EmitEvent | Write


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to look again if nothing happens first (seconds; None: only on an event).

    ``error`` is raised after the actions have run: with back-off, or, if ``terminal``, to rest until something changes.
    ``remedy`` tells operators what to do about it; the words of the error itself are fixed by the specification.
    """

    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None
    error: str | None = None
    terminal: bool = False
    remedy: str = ""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.actions)


DONE = Plan()
