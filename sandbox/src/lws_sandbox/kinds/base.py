"""What all built-in kinds share: defaults by schema, rules for names, fields to select by, columns of tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.kinds import defaulting
from lws_sandbox.schema import builtin
from lws_sandbox.schema.gostruct import zero
from lws_sandbox.status import Cause, Causes
from lws_sandbox.strategy import AGE, NAME, Column, GenericStrategy, WriteContext, age

CORE: Final = "io.k8s.api.core.v1"
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
IMMUTABLE: Final = "field is immutable"
NEGATIVE: Final = "must be greater than or equal to 0"
NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"
Print = Callable[[JSON, datetime], Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A column and what stands in it."""

    column: Column
    cell: Print


def shown(name: str, cell: Print, doc: str, *, wide: bool = False, kind: str = "string", form: str = "") -> Shown:
    """A column; a ``doc`` such as ``core.v1.PodStatus#podIP`` is the published description of that field."""
    return Shown(Column(name, kind, form, doc, 1 if wide else 0), cell)


def shown_name(*, wide: bool = False) -> Shown:
    """The column of names."""
    column = Column(NAME.name, NAME.type, NAME.format, f"{META}#name", 1 if wide else 0)
    return Shown(column, lambda obj, _now: obj["metadata"]["name"])


def shown_age() -> Shown:
    """The column of ages."""
    column = Column(AGE.name, AGE.type, AGE.format, f"{META}#creationTimestamp", AGE.priority)
    return Shown(column, lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))


def shown_created(*, kind: str = "string") -> Shown:
    """The column of times of creation; clients show one of type ``date`` as an age."""
    column = Column("Created At", kind, "", f"{META}#creationTimestamp")
    return Shown(column, lambda obj, _now: str(obj["metadata"].get("creationTimestamp") or ""))


def described(column: Column) -> Column:
    """The column with its description looked up."""
    definition, mark, member = column.description.partition("#")
    if not mark or " " in definition:
        return column
    name = definition if definition.startswith("io.") else f"io.k8s.api.{definition}"
    text = builtin.descriptions()[name][member]
    return Column(column.name, column.type, column.format, text, column.priority)


@dataclass
class Kind(GenericStrategy):
    """A built-in kind.

    Attributes:
        name_rule: what a name must be.
        fields: fields to select by and how they are read.
        table: columns and cells; empty for the usual name and age.
        initial_status: the status of a new object, or None for that of its Go type.
    """

    name_rule: Callable[[str], list[str]] = nameformats.dns_subdomain
    fields: Mapping[str, Callable[[JSON], str]] = field(default_factory=dict)
    table: Sequence[Shown] = ()
    initial_status: JSON | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.selectable = frozenset(self.fields)
        if self.table:
            self.columns = [described(each.column) for each in self.table]

    def default(self, obj: JSON) -> None:
        """The defaults of the kind's Go types."""
        if self.schema is not None:
            defaulting.apply(obj, self.schema.root)

    def name_errors(self, name: str) -> list[str]:
        """As the kind's rule says."""
        return self.name_rule(name)

    def selectable_fields(self, obj: JSON) -> Mapping[str, str]:
        """The fields to select by, with their values."""
        return {name: read(obj) for name, read in self.fields.items()}

    def row(self, obj: JSON, now: datetime) -> list[Any]:
        """The cells of the kind's table."""
        if not self.table:
            return super().row(obj, now)
        return [each.cell(obj, now) for each in self.table]

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A status that was sent is dropped; what its Go type always writes is there."""
        super().prepare_create(obj, context)
        status = self.initial_status
        if status is None and self.has_status and self.schema is not None:
            status = zero(self.schema.root).get("status")
        if status is not None:
            obj["status"] = copied(status)

    def prepare_status(self, new: JSON, old: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """All but the status and the metadata stays."""
        for member in {**new, **old}:
            if member in ("metadata", "status", "kind", "apiVersion"):
                continue
            if member in old:
                new[member] = old[member]
            else:
                new.pop(member, None)

    def validate_create(self, obj: JSON, context: WriteContext) -> list[Cause]:
        """What the kind refuses in a new object."""
        causes = Causes()
        self.check(obj, causes)
        self.check_new(obj, causes, context)
        return causes.found

    def validate_update(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:
        """What the kind refuses in a change."""
        causes = Causes()
        self.check(new, causes)
        self.check_change(new, old, causes, context)
        return causes.found

    def validate_status(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002
        """What the kind refuses in a status."""
        causes = Causes()
        self.check_status(new, old, causes)
        return causes.found

    def check(self, obj: JSON, causes: Causes) -> None:
        """Rules for the object as such."""

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:
        """Rules for a new object only."""

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:
        """Rules for a change."""

    def check_status(self, new: JSON, old: JSON, causes: Causes) -> None:
        """Rules for a status."""


def settings(strategy: GenericStrategy) -> dict[str, Any]:
    """What discovery says of a kind, as arguments for a strategy of its own."""
    return {each.name: getattr(strategy, each.name) for each in fields(GenericStrategy)}


def at(obj: Any, path: str) -> Any:
    """The value at a dotted path, or None."""
    for step in path.split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(step)
    return obj


def text_at(path: str, default: str = "") -> Callable[[JSON], str]:
    """Reads the text at a path."""
    return lambda obj: at(obj, path) or default


def flag_at(path: str) -> Callable[[JSON], str]:
    """Reads the truth value at a path, as ``true`` or ``false``."""
    return lambda obj: "true" if at(obj, path) else "false"


def cell(path: str, default: Any = "") -> Print:
    """Prints the value at a path."""

    def read(obj: JSON, _now: datetime) -> Any:
        value = at(obj, path)
        return default if value is None or value == "" else value

    return read


def non_negative(causes: Causes, path: str, value: Any) -> None:
    """A number that is given must not be negative."""
    if isinstance(value, int) and value < 0:
        causes.invalid(path, value, NEGATIVE)


def immutable(causes: Causes, path: str, new: Any, old: Any) -> None:
    """Two values must be the same."""
    if new != old:
        causes.invalid(path, new, IMMUTABLE)
