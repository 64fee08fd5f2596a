"""What one served kind is: its names, its subresources, and its rules for writing.

The server knows no kind by name. For every kind it holds a `Strategy`; `GenericStrategy` is the default, which built-in
kinds and custom resources refine. Calls come in this order (k8s.io/apiserver `registry/rest`):

```text
create: decode -> default -> admit -> mutating webhooks -> default -> prepare_create -> validate_create
        -> admit_final -> validating webhooks -> stored
update: the same with prepare_update and validate_update, or prepare_status and validate_status for /status
delete: admit -> admit_final -> validating webhooks -> stored
read:   stored -> read (conversion to this version, defaults that came later)
```
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, ClassVar, Protocol

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox import naming
from lws_sandbox.columns import AGE, NAME, Column, age, duration
from lws_sandbox.status import Cause
from lws_sandbox.user import ADMIN, UserInfo

__all__ = [
    "AGE",
    "ALL_VERBS",
    "NAME",
    "Column",
    "GenericStrategy",
    "ScalePaths",
    "Strategy",
    "WriteContext",
    "age",
    "duration",
]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers: dotted paths without a leading dot."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str | None = None  # of a text selector, as CRDs have it; None: spec.selector, a LabelSelector


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a rule may know besides the objects.

    Attributes:
        now: the time of day.
        random: the server's source of randomness.
        user: who writes.
        dry_run: nothing will be stored.
        subresource: through which is written, such as ``resize``; empty for the object itself.
        peek: stored object of (storage key, namespace, name), or None; never to be changed.
        stored: all stored objects of (storage key, namespace); an empty namespace means all of them.
    """

    now: datetime
    random: Random
    user: UserInfo = ADMIN
    dry_run: bool = False
    subresource: str = ""
    peek: Callable[[str, str, str], JSON | None] = lambda _key, _namespace, _name: None
    stored: Callable[[str, str], Sequence[JSON]] = lambda _key, _namespace: ()


class Strategy(Protocol):
    """One served version of one kind. Methods that take ``obj`` to change change it in place."""

    @property
    def resource(self) -> Resource:
        """Group, version, plural, kind, scope."""
        ...

    @property
    def singular(self) -> str:
        """As in discovery; empty for kinds without one."""
        ...

    @property
    def short_names(self) -> tuple[str, ...]:
        """As in discovery."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """As in discovery."""
        ...

    @property
    def list_kind(self) -> str:
        """Kind of its lists."""
        ...

    @property
    def deprecation(self) -> str:
        """Text of the Warning header on every request; empty for a version that is not deprecated."""
        ...

    @property
    def storage_key(self) -> str:
        """``plural`` or ``plural.group`` under which objects are stored: versions and twins share one."""
        ...

    @property
    def schema(self) -> Any:
        """The `lws_sandbox.schema.Schema`, or None for a kind without one."""
        ...

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition declares it."""
        ...

    @property
    def has_status(self) -> bool:
        """Whether ``/status`` is served, and PUT of the object leaves the status alone."""
        ...

    @property
    def scale(self) -> ScalePaths | None:
        """How ``/scale`` is served, or None."""
        ...

    @property
    def generation(self) -> bool:
        """Whether ``metadata.generation`` counts changes of the spec."""
        ...

    @property
    def unconditional_update(self) -> bool:
        """Whether PUT without a resourceVersion is taken."""
        ...

    @property
    def create_on_update(self) -> bool:
        """Whether PUT to a name that is not there creates."""
        ...

    @property
    def verbs(self) -> tuple[str, ...]:
        """As in discovery; a verb that is not here is 405."""
        ...

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of its Tables."""
        ...

    def row(self, obj: JSON, now: datetime) -> list[Any]:
        """The cells of an object, one for each column."""
        ...

    def row_conditions(self, obj: JSON) -> list[JSON]:
        """Conditions of a row, such as that a pod has completed."""
        ...

    def read(self, stored: JSON) -> JSON:
        """The stored object in this version, or the same object when nothing differs; never changes ``stored``."""
        ...

    def write(self, obj: JSON) -> JSON:
        """The form in which the object is stored."""
        ...

    def default(self, obj: JSON) -> None:
        """Defaults of the kind."""
        ...

    def name_errors(self, name: str) -> list[str]:
        """What is wrong with a name, in the words of `lws_sandbox.naming`."""
        ...

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """The built-in admission plugins that change objects (priority, tolerations, …), before any webhook.

        ``new`` is None for a deletion, ``old`` for a creation. Returns warnings; raises `StatusError` to refuse.
        """
        ...

    def admit_final(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """The built-in admission plugins that only look (pod security, …). As `admit`."""
        ...

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """Drop what may not be written at creation, fill in what the server decides."""
        ...

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """Restore what a PUT may not change (status), fill in what the server decides."""
        ...

    def prepare_status(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """Restore all but the status (and what goes with it)."""
        ...

    def validate_create(self, obj: JSON, context: WriteContext) -> list[Cause]:
        """What is wrong with a new object, besides its metadata."""
        ...

    def validate_update(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:
        """What is wrong with a change, besides that of metadata."""
        ...

    def validate_status(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:
        """What is wrong with a change of the status."""
        ...

    def warnings(self, obj: JSON, old: JSON | None) -> list[str]:
        """Texts of Warning headers for a write."""
        ...

    def selectable_fields(self, obj: JSON) -> Mapping[str, str]:
        """Field selectors and their values; ``metadata.name`` and ``metadata.namespace`` are always there."""
        ...

    @property
    def selectable(self) -> frozenset[str]:
        """Names of field selectors that may be used, besides metadata.name and metadata.namespace."""
        ...

    def graceful(self, obj: JSON, asked: int | None) -> int | None:
        """Seconds of grace for a deletion that asks for ``asked``; None: the kind has no graceful deletion."""
        ...

    @property
    def returns_deleted(self) -> bool:
        """Whether a deletion that is complete answers the object instead of a Status."""
        ...

    def begin_deletion(self, live: JSON, now: datetime) -> JSON | None:
        """The object as a first deletion marks it, where that is all that it does; None for the usual way."""
        ...

    def reset_fields(self, subresource: str) -> tuple[str, ...]:
        """Dotted paths that a write through ``subresource`` (empty: the object itself) cannot change, nor own."""
        ...

    def stored(self, new: JSON | None, old: JSON | None) -> None:
        """Called after a change was stored: creation (old None), update, or removal (new None)."""
        ...

    def changed(self, new: JSON, old: JSON) -> bool:
        """Whether the difference counts as a new generation."""
        ...


ALL_VERBS: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass
class GenericStrategy:
    """A kind without rules of its own: anything goes in, a status stays out of PUT if ``has_status``."""

    resource: Resource
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    storage_key: str = ""
    list_kind: str = ""
    deprecation: str = ""
    schema: Any = None
    custom: bool = False
    has_status: bool = False
    scale: ScalePaths | None = None
    generation: bool = False
    unconditional_update: bool = True
    create_on_update: bool = False
    verbs: tuple[str, ...] = ALL_VERBS
    returns_deleted: bool = False
    columns: Sequence[Column] = (NAME, AGE)
    selectable: frozenset[str] = field(default_factory=frozenset)

    UNCOUNTED: ClassVar[frozenset[str]] = frozenset({"metadata", "status", "kind", "apiVersion"})

    def __post_init__(self) -> None:
        self.singular = self.singular or self.resource.kind.lower()
        self.storage_key = self.storage_key or str(self.resource)
        self.list_kind = self.list_kind or f"{self.resource.kind}List"

    def row(self, obj: JSON, now: datetime) -> list[Any]:
        """Name and age."""
        metadata = obj["metadata"]
        return [metadata["name"], age(metadata.get("creationTimestamp"), now)]

    def row_conditions(self, obj: JSON) -> list[JSON]:  # noqa: ARG002 -- the protocol's
        """None."""
        return []

    def read(self, stored: JSON) -> JSON:
        """As stored."""
        return stored

    def write(self, obj: JSON) -> JSON:
        """As it is."""
        return obj

    def default(self, obj: JSON) -> None:
        """The defaults of the schema, if there is one."""
        if self.schema is not None:
            self.schema.default(obj)

    def name_errors(self, name: str) -> list[str]:
        """An RFC 1123 subdomain."""
        return naming.dns_subdomain(name)

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:  # noqa: ARG002
        """No plugin."""
        return []

    def admit_final(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:  # noqa: ARG002
        """No plugin."""
        return []

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """A status is never created."""
        if self.has_status:
            obj.pop("status", None)

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """The status stays."""
        if self.has_status:
            _keep(new, old, "status")

    def prepare_status(self, new: JSON, old: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """All but the status stays; of the metadata only managedFields may change."""
        for key in [key for key in {**new, **old} if key not in ("metadata", "status", "kind", "apiVersion")]:
            _keep(new, old, key)
        kept = {name: new["metadata"][name] for name in ("managedFields", "resourceVersion") if name in new["metadata"]}
        bare = {name: value for name, value in old["metadata"].items() if name != "managedFields"}
        new["metadata"] = {**bare, **kept}

    def validate_create(self, obj: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002 -- the protocol's
        """What the schema refuses."""
        return list(self.schema.validate(obj)) if self.schema is not None else []

    def validate_update(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:  # noqa: ARG002
        """What the schema refuses."""
        return list(self.schema.validate(new, old)) if self.schema is not None else []

    def validate_status(self, new: JSON, old: JSON, context: WriteContext) -> list[Cause]:
        """What the schema refuses."""
        return self.validate_update(new, old, context)

    def warnings(self, obj: JSON, old: JSON | None) -> list[str]:  # noqa: ARG002 -- the protocol's
        """None."""
        return []

    def selectable_fields(self, obj: JSON) -> Mapping[str, str]:  # noqa: ARG002 -- the protocol's
        """None besides name and namespace."""
        return {}

    def graceful(self, obj: JSON, asked: int | None) -> int | None:  # noqa: ARG002 -- the protocol's
        """No graceful deletion."""
        return None

    def begin_deletion(self, live: JSON, now: datetime) -> JSON | None:  # noqa: ARG002 -- the protocol's
        """The usual way."""
        return None

    def reset_fields(self, subresource: str) -> tuple[str, ...]:
        """The status, and through ``/status`` the spec."""
        if subresource == "status":
            return ("spec",)
        return ("status",) if self.has_status else ()

    def stored(self, new: JSON | None, old: JSON | None) -> None:
        """Nothing to remember."""

    def changed(self, new: JSON, old: JSON) -> bool:
        """Whether anything but metadata and status differs; without a status subresource the status counts too."""
        uncounted = self.UNCOUNTED if self.has_status else self.UNCOUNTED - {"status"}
        keys = (new.keys() | old.keys()) - uncounted
        return any(new.get(key) != old.get(key) for key in keys)


def _keep(new: JSON, old: JSON, key: str) -> None:
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)
