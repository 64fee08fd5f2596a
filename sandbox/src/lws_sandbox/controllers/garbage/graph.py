"""Who owns whom: the graph that the garbage collector keeps, and what each change of it asks to be looked at.

Pure: changes come in, work comes out. An owner that is named by a dependent before it was seen itself is kept as a
virtual node, so that its dependents are known when it turns out never to have existed. An object whose owners are known
is not looked at before one of them changes: what is added to an owner that waits for its dependents stays until the
owner is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import is_terminating, meta, name_of, namespace_of, owners_of, uid_of

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"


@dataclass(frozen=True, slots=True)
class Identity:
    """One object, whether it exists or is only named as an owner."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class Node:
    """One object in the graph.

    Attributes:
        owners: its owner references.
        dependents: UIDs of the objects that name it as an owner, in the order in which they came.
        deleting: its deletion has begun.
        foreground: it waits for its dependents to go first.
        virtual: it is only known from a reference to it.
    """

    identity: Identity
    owners: list[JSON] = field(default_factory=list)
    dependents: dict[str, None] = field(default_factory=dict)
    deleting: bool = False
    foreground: bool = False
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Look whether the object still has a reason to be (``delete``), or set its dependents free (``orphan``)."""

    uid: str
    task: Literal["delete", "orphan"] = "delete"


Work: TypeAlias = list[Look]


class Graph:
    """All objects that are watched, by UID."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def node(self, uid: str) -> Node | None:
        """The node of that UID."""
        return self._nodes.get(uid)

    def dependents(self, node: Node) -> list[Node]:
        """The nodes that name this one as an owner."""
        return [self._nodes[uid] for uid in node.dependents if uid in self._nodes]

    def blocking_dependents(self, node: Node) -> list[Node]:
        """The dependents that hold this node while it is deleted in the foreground."""
        uid = node.identity.uid
        return [
            dependent
            for dependent in self.dependents(node)
            if any(ref.get("uid") == uid and ref.get("blockOwnerDeletion") for ref in dependent.owners)
        ]

    def observe(self, obj: JSON, api_version: str, kind: str) -> Work:
        """Take in an object as it is now."""
        uid = uid_of(obj)
        node = self._nodes.get(uid)
        identity = Identity(api_version, kind, namespace_of(obj), name_of(obj), uid)
        if node is None:
            node = self._nodes[uid] = Node(identity)
        node.identity, node.virtual = identity, False
        work = self._take_owners(node, owners_of(obj))
        return work + self._take_deletion(node, obj)

    def forget(self, uid: str) -> Work:
        """Take in that an object is gone, or never was: its dependents and its waiting owners are to be looked at."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return []
        work = [Look(dependent) for dependent in node.dependents if dependent in self._nodes]
        for reference in node.owners:
            owner = self._nodes.get(reference.get("uid", ""))
            if owner is None:
                continue
            owner.dependents.pop(uid, None)
            if owner.virtual and not owner.dependents:
                self._nodes.pop(owner.identity.uid)
            elif owner.foreground:
                work.append(Look(owner.identity.uid))
        return work

    def _take_owners(self, node: Node, references: list[JSON]) -> Work:
        """Move the node under its owners of now."""
        before = {ref.get("uid", ""): ref for ref in node.owners}
        after = {ref.get("uid", ""): ref for ref in references}
        node.owners = list(references)
        work: Work = []
        for uid in after.keys() - before.keys():
            owner = self._nodes.get(uid)
            named = _named(node, after[uid])
            if owner is None:
                owner = self._nodes[uid] = Node(named, virtual=True)
                work.append(Look(uid))
            elif not _means(named, owner.identity):
                work.append(Look(node.identity.uid))
            owner.dependents[node.identity.uid] = None
        for uid in before.keys() - after.keys():
            owner = self._nodes.get(uid)
            if owner is not None:
                owner.dependents.pop(node.identity.uid, None)
        unblocked = [
            uid
            for uid, ref in before.items()
            if ref.get("blockOwnerDeletion") and not after.get(uid, {}).get("blockOwnerDeletion")
        ]
        return work + [Look(uid) for uid in unblocked if (owner := self._nodes.get(uid)) and owner.foreground]

    def _take_deletion(self, node: Node, obj: JSON) -> Work:
        """Note that deletion has begun, and how."""
        uid = node.identity.uid
        if not is_terminating(obj):
            return []
        node.deleting = True
        finalizers = meta(obj).get("finalizers") or []
        if ORPHAN in finalizers:
            return [Look(uid, "orphan")]
        if FOREGROUND in finalizers:
            begun, node.foreground = node.foreground, True
            return [] if begun else [*(Look(dependent) for dependent in node.dependents), Look(uid)]
        return []


def _named(dependent: Node, reference: JSON) -> Identity:
    """What a reference says of its owner; the namespace is that of the dependent."""
    return Identity(
        reference.get("apiVersion", ""),
        reference.get("kind", ""),
        dependent.identity.namespace,
        reference.get("name", ""),
        reference.get("uid", ""),
    )


def _means(named: Identity, live: Identity) -> bool:
    """Whether a reference says of an object what it is; the object may also belong to the cluster."""
    here = live.namespace in ("", named.namespace)
    return here and (named.kind, named.name) == (live.kind, live.name)
