"""Sets of fields: a tree whose nodes may be members, without their children being so."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields.paths import SELF, Path, order, parse_step


class FieldSet:
    """A set of paths. Operations return new sets; only `insert` changes one.

    Attributes:
        members: steps that are in the set.
        children: steps below which something is in the set; never empty ones, except while a set is built.
    """

    __slots__ = ("_json", "children", "members")

    def __init__(self, members: Iterable[str] = (), children: dict[str, FieldSet] | None = None) -> None:
        self.members: frozenset[str] | set[str] = set(members)
        self.children: dict[str, FieldSet] = children or {}
        self._json: JSON | None = None

    @classmethod
    def of(cls, *paths: Path) -> FieldSet:
        """The set of the given paths."""
        built = cls()
        for path in paths:
            built.insert(path)
        return built

    @classmethod
    def from_json(cls, fields: JSON) -> FieldSet:
        """Read FieldsV1; the set is shared, so not to be inserted into.

        Raises:
            PathError: a step makes no sense.
        """
        return _read(orjson.dumps(fields))

    def to_json(self) -> JSON:
        """As FieldsV1, steps in order; remembered, so not to be changed."""
        if self._json is None:
            self._json = self._written()
        return self._json

    def _written(self) -> JSON:
        out: JSON = {}
        for step in sorted(self.members | self.children.keys(), key=order):
            child = self.children.get(step)
            own: JSON = {SELF: {}} if step in self.members and child else {}
            out[step] = own | child.to_json() if child else {}
        return out

    def __bool__(self) -> bool:
        return bool(self.members) or any(self.children.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FieldSet):
            return NotImplemented
        return set(self.members) == set(other.members) and self._filled() == other._filled()

    __hash__ = None  # type: ignore[assignment]

    def _filled(self) -> dict[str, FieldSet]:
        return {step: child for step, child in self.children.items() if child}

    def insert(self, path: Path) -> None:
        """Add a path; the whole object's, which is empty, cannot be owned."""
        if not path:
            return
        node = self
        node._json = None
        for step in path[:-1]:
            below = node.children.get(step)
            if below is None:
                below = node.children[step] = FieldSet()
            node = below
            node._json = None
        if not isinstance(node.members, set):
            node.members = set(node.members)
        node.members.add(path[-1])

    def below(self, step: str) -> FieldSet:
        """What is in the set below a step, relative to it."""
        return self.children.get(step) or _EMPTY

    def has(self, path: Path) -> bool:
        """Whether a path is in the set."""
        node: FieldSet | None = self
        for step in path[:-1]:
            node = node.children.get(step) if node is not None else None
        return node is not None and bool(path) and path[-1] in node.members

    def union(self, other: FieldSet) -> FieldSet:
        """What is in either."""
        children = dict(self.children)
        for step, child in other.children.items():
            own = children.get(step)
            children[step] = own.union(child) if own is not None else child
        return FieldSet(self.members | other.members, children)

    def intersection(self, other: FieldSet) -> FieldSet:
        """What is in both."""
        children = {}
        for step, child in self.children.items():
            if step in other.children:
                shared = child.intersection(other.children[step])
                if shared:
                    children[step] = shared
        return FieldSet(self.members & other.members, children)

    def difference(self, other: FieldSet) -> FieldSet:
        """What is in this one and not in the other; children of a member stay."""
        children = {}
        for step, child in self.children.items():
            rest = child.difference(other.children[step]) if step in other.children else child
            if rest:
                children[step] = rest
        return FieldSet(self.members - other.members, children)

    def recursive_difference(self, other: FieldSet) -> FieldSet:
        """What is in this one, and neither in the other nor below one of its members."""
        children = {}
        for step, child in self.children.items():
            if step in other.members:
                continue
            rest = child.recursive_difference(other.children[step]) if step in other.children else child
            if rest:
                children[step] = rest
        return FieldSet(self.members - other.members, children)

    def __iter__(self) -> Iterator[Path]:
        """Every path: members of a node in order, then those below it, step by step."""
        yield from ((step,) for step in sorted(self.members, key=order))
        for step in sorted(self.children, key=order):
            yield from ((step, *path) for path in self.children[step])

    def __repr__(self) -> str:
        return f"FieldSet({self.to_json()})"


@functools.lru_cache(4096)
def _read(text: bytes) -> FieldSet:
    """The set that FieldsV1 tells, as many objects have the same."""
    return _parsed(orjson.loads(text))


def _parsed(fields: JSON) -> FieldSet:
    built = FieldSet()
    members: set[str] = set()
    for text, below in fields.items():
        if text == SELF:
            continue
        step = parse_step(text)
        child = _parsed(below or {})
        if not below or SELF in below:
            members.add(step)
        if child:
            built.children[step] = child
    built.members = frozenset(members)
    return built


_EMPTY = FieldSet()
