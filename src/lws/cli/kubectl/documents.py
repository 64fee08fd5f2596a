"""What ``kubectl lws -o json`` prints: one document for each command, stable, with a schema in ``docs/``.

A member is never taken away nor given another meaning within an ``apiVersion``; new ones may come. Every member is
always there: what is not known is null, an empty text or an empty list. Times are RFC 3339 in UTC, quantities are
Kubernetes quantities.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

replace = msgspec.structs.replace

API_VERSION: Final = "kubectl.leaderworkerset.x-k8s.io/v1"
SetKind = Literal["LeaderWorkerSet", "DisaggregatedSet"]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a document."""


class Document(Part, frozen=True, kw_only=True, rename="camel", tag_field="kind"):
    """A whole document; ``kind`` is the name of its class."""

    api_version: Literal["kubectl.leaderworkerset.x-k8s.io/v1"] = API_VERSION


class SetDocument(Document, frozen=True, kw_only=True):
    """A document about one set."""

    set_kind: SetKind
    namespace: str
    name: str


class Condition(Part, frozen=True, kw_only=True):
    """A condition of the set's status."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class Finding(Part, frozen=True, kw_only=True):
    """One thing that is not as wanted, as resilience 4 names it; ``group`` is null where it concerns the whole set."""

    reason: str
    message: str
    remedy: str = ""
    set: str = ""
    group: int | None = None
    object_kind: str = ""
    object_name: str = ""
    node: str = ""


class Role(Part, frozen=True, kw_only=True):
    """A role of a DisaggregatedSet; ``replicas`` is null while its autoscaler has not said."""

    name: str
    replicas: int | None
    ready: int
    updated: int


class SetStatus(SetDocument, frozen=True, kw_only=True):
    """What ``status`` shows. Counts are groups; those of a DisaggregatedSet are in ``roles``."""

    replicas: int | None = None
    present: int | None = None
    ready: int | None = None
    updated: int | None = None
    partition: int | None = None
    max_unavailable: int | None = None
    max_surge: int | None = None
    revision: str = ""
    owner: str = ""
    roles: tuple[Role, ...] = ()
    conditions: tuple[Condition, ...] = ()
    sentences: tuple[str, ...] = ()


class Explanation(SetDocument, frozen=True, kw_only=True):
    """What ``explain-stuck`` says: findings, and the sentences that it makes of them."""

    waiting: bool
    owner: str = ""
    findings: tuple[Finding, ...] = ()
    sentences: tuple[str, ...] = ()


class Pod(Part, frozen=True, kw_only=True):
    """A pod; ``problem`` says why it is not ready."""

    name: str
    node: str
    phase: str
    ready: bool
    problem: str = ""


class Group(Part, frozen=True, kw_only=True):
    """A group: ``ready`` and ``updated`` as the controller counts them, ``missing`` pods by name."""

    index: int
    revision: str
    size: int
    ready: bool
    updated: bool
    surge: bool
    pods: tuple[Pod, ...] = ()
    missing: tuple[str, ...] = ()


class Child(Part, frozen=True, kw_only=True):
    """A LeaderWorkerSet of a DisaggregatedSet."""

    name: str
    slice: int
    role: str
    revision: str
    updated: bool
    replicas: int
    ready: int


class SetTree(SetDocument, frozen=True, kw_only=True):
    """What ``tree`` draws: groups of a LeaderWorkerSet, children of a DisaggregatedSet."""

    revision: str
    owner: str = ""
    groups: tuple[Group, ...] = ()
    strays: tuple[Pod, ...] = ()
    children: tuple[Child, ...] = ()


class Revision(Part, frozen=True, kw_only=True):
    """A stored revision, or one that still has LeaderWorkerSets; ``change`` is a unified diff from the one before."""

    number: int | None
    key: str
    current: bool
    size: int | None = None
    images: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    children: tuple[str, ...] = ()
    change: str = ""
    template: dict[str, Any] | None = None


class History(SetDocument, frozen=True, kw_only=True):
    """What ``rollout history`` lists, oldest first; ``template`` is there where one revision was asked for."""

    revisions: tuple[Revision, ...] = ()


class RolloutStatus(SetDocument, frozen=True, kw_only=True):
    """How far a rollout is: one document for each change."""

    complete: bool
    message: str


class Done(SetDocument, frozen=True, kw_only=True):
    """What a command wrote, or would have with ``--dry-run``."""

    action: str
    message: str


class ListedSet(Part, frozen=True, kw_only=True):
    """A set in a list. ``reason`` says why it is not Available."""

    set_kind: SetKind
    namespace: str
    name: str
    replicas: int | None
    ready: int
    updated: int
    size: int | None
    revision: str
    created: str
    owner: str = ""
    reason: str = ""


class SetList(Document, frozen=True, kw_only=True):
    """What ``list`` lists, by namespace and name."""

    items: tuple[ListedSet, ...] = ()


class SetEvent(Part, frozen=True, kw_only=True):
    """An event; ``group`` is its index or the beginning of its key, and empty where it is about the whole set."""

    time: str
    type: str
    reason: str
    object_kind: str
    object_name: str
    message: str
    name: str
    group: str = ""
    count: int = 1
    source: str = ""


class EventList(SetDocument, frozen=True, kw_only=True):
    """What ``events`` lists: of the set, its StatefulSets and pods, the newest last."""

    items: tuple[SetEvent, ...] = ()


class LogLine(Document, frozen=True, kw_only=True):
    """A line of ``logs -o json``: one document on each line."""

    pod: str
    container: str
    line: str


class NodeUse(Part, frozen=True, kw_only=True):
    """What the set's pods on one node request, beside what the node can give; ``node`` is empty for pods without one.

    ``allocatable`` is null where nodes may not be read.
    """

    node: str
    pods: tuple[str, ...]
    groups: tuple[int, ...]
    requests: dict[str, str]
    allocatable: dict[str, str] | None = None


class Top(SetDocument, frozen=True, kw_only=True):
    """What ``top`` adds up: requests, not measured use."""

    nodes: tuple[NodeUse, ...] = ()
    total: dict[str, str] = {}


class Failure(Part, frozen=True, kw_only=True):
    """A recorded failure of a group (resilience 2.1): its culprit, and how many other pods failed with it."""

    set: str
    time: str
    group: str
    pod: str
    node: str = ""
    container: str = ""
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    ran_seconds: int | None = None
    restarts: int | None = None
    also_failed: int = 0
    healed: bool = False
    revision: str = ""
    leader_uid: str = msgspec.field(default="", name="leaderUID")


class FailureList(SetDocument, frozen=True, kw_only=True):
    """What ``failures`` lists, newest first."""

    items: tuple[Failure, ...] = ()


class Difference(Document, frozen=True, kw_only=True):
    """What ``diff`` shows: a unified diff of two revisions as YAML; ``to`` is null for the current spec."""

    namespace: str
    name: str
    older: int = msgspec.field(name="from")
    newer: int | None = msgspec.field(name="to")
    equal: bool
    diff: str


class Restart(Document, frozen=True, kw_only=True):
    """What ``restart`` did: the groups whose leaders it deleted, in order, and those that were recovered instead.

    A group is named by its index, or by the beginning of its key.
    """

    namespace: str
    name: str
    restarted: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    ready: bool


class HandedBack(Part, frozen=True, kw_only=True):
    """What was removed of one set, and which groups the reference will recreate."""

    namespace: str
    name: str
    conditions: tuple[str, ...] = ()
    budget: str = ""
    recreated: tuple[str, ...] = ()


class HandBack(Document, frozen=True, kw_only=True):
    """What ``hand-back`` removed, or with ``--dry-run`` would remove."""

    dry_run: bool
    items: tuple[HandedBack, ...] = ()


class MovedSet(Part, frozen=True, kw_only=True):
    """The groups of one set on nodes that are to be emptied, in the order in which they go; ``waits``: for what now."""

    namespace: str
    name: str
    groups: tuple[str, ...]
    moved: bool
    how: str
    waits: str = ""


class Evacuation(Document, frozen=True, kw_only=True):
    """The nodes that ``evacuate`` cordoned, or with ``--dry-run`` would cordon, and the groups there."""

    nodes: tuple[str, ...]
    dry_run: bool
    items: tuple[MovedSet, ...] = ()


class Release(Document, frozen=True, kw_only=True):
    """The lost node that ``release`` tainted, or with ``--dry-run`` would taint, and the pods of sets there."""

    node: str
    dry_run: bool
    pods: tuple[str, ...] = ()


class Version(Document, frozen=True, kw_only=True):
    """The version of the plugin."""

    version: str
