"""One request, as the handlers see it: who asks, for what, with which options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.status import Causes, StatusError, bad_request, invalid
from lws_sandbox.strategy import Strategy
from lws_sandbox.user import UserInfo

FIELD_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")
PROPAGATIONS: Final = ("Foreground", "Background", "Orphan")
MANAGER_LIMIT: Final = 128


class Query:
    """Decoded query parameters; a name may come several times."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """The first value, or the empty string."""
        return self._values.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """Every value."""
        return self._values.get(name, [])

    def flag(self, name: str) -> bool | None:
        """A truth value as Go reads it from a query: all but ``0`` and ``false`` is true; None when absent."""
        values = self._values.get(name)
        return None if values is None else values[0].lower() not in ("0", "false")

    def number(self, name: str) -> int | None:
        """A 64 bit number.

        Raises:
            StatusError: 400, it is none.
        """
        text = self.text(name)
        if not text:
            return None
        if not re.fullmatch(r"[+-]?\d+", text):
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a path and method mean.

    Attributes:
        verb: as authorization names it: get, list, watch, create, update, patch, delete, deletecollection; for paths
            that are no resource the method in lower case.
        resource: plural; empty for a path that is no resource.
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    watch_path: bool = False


@dataclass(slots=True)
class Call:
    """A request for a resource that is served."""

    info: RequestInfo
    strategy: Strategy
    user: UserInfo
    query: Query
    headers: Mapping[str, str]
    body: bytes
    warnings: list[str] = field(default_factory=list)

    @property
    def subresource(self) -> str:
        """The subresource asked for, or the empty string."""
        return self.info.subresource

    @property
    def content_type(self) -> str:
        """Media type of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def manager(self, options: WriteOptions) -> str:
        """The field manager: as named, else the User-Agent up to its slash, cut to 128 bytes."""
        agent = self.headers.get("user-agent", "").partition("/")[0]
        return options.field_manager or "".join(char for char in agent if char.isprintable())[:MANAGER_LIMIT]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Options of create, update and patch."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = ""
    force: bool | None = None

    def to_json(self, kind: str) -> JSON:
        """As an AdmissionReview carries them: those of a patch are shown as those of the create or update it is."""
        out: JSON = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            out["dryRun"] = ["All"]
        if self.field_manager:
            out["fieldManager"] = self.field_manager
        if self.field_validation:
            out["fieldValidation"] = self.field_validation
        return out


def write_options(query: Query, kind: str, *, patch_type: str = "") -> WriteOptions:
    """Options of a write from its query; ``kind`` is CreateOptions, UpdateOptions or PatchOptions.

    Raises:
        StatusError: 422, they do not fit.
    """
    manager, validation, dry_run = query.text("fieldManager"), query.text("fieldValidation"), query.all("dryRun")
    causes = Causes()
    force = query.flag("force")
    if kind == "PatchOptions":
        applying = patch_type.startswith("application/apply-patch")
        if applying and not manager:
            causes.required("fieldManager", "is required for apply patch")
        if not applying and force is not None:
            causes.forbidden("force", "may not be specified for non-apply patch")
    if len(manager.encode()) > MANAGER_LIMIT:
        causes.add("FieldValueTooLong", "fieldManager", f"Too long: may not be more than {MANAGER_LIMIT} bytes")
    for index, char in enumerate(manager):
        if not char.isprintable():
            place = len(manager[:index].encode())
            causes.invalid("fieldManager", manager, f"invalid character U+{ord(char):04X} (at position {place})")
    check_dry_run(dry_run, causes)
    if validation not in FIELD_VALIDATIONS:
        causes.not_supported("fieldValidation", validation, FIELD_VALIDATIONS)
    refuse(kind, causes)
    return WriteOptions(bool(dry_run), manager, validation, force)


def check_dry_run(values: Sequence[str], causes: Causes) -> None:
    """The only dry run there is: ``All``."""
    if any(value != "All" for value in values):
        causes.not_supported("dryRun", list(values), ["All"])


def refuse(kind: str, causes: Causes) -> None:
    """Raise what was found wrong with options of ``kind``."""
    if causes.found:
        raise invalid(kind, "", causes.found, group="meta.k8s.io")


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Options of a deletion."""

    grace_period_seconds: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    orphan_dependents: bool | None = None
    propagation: str | None = None
    dry_run: bool = False
    raw: JSON = field(default_factory=dict)


def delete_options(source: JSON) -> DeleteOptions:
    """Options of a deletion from their JSON form.

    Raises:
        StatusError: 422, they do not fit.
    """
    causes = Causes()
    propagation, orphan = source.get("propagationPolicy"), source.get("orphanDependents")
    if propagation is not None and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        causes.invalid("propagationPolicy", propagation, why)
    if propagation is not None and propagation not in PROPAGATIONS:
        causes.not_supported("propagationPolicy", propagation, [*PROPAGATIONS, "nil"])
    dry_run = source.get("dryRun") or []
    check_dry_run(dry_run, causes)
    refuse("DeleteOptions", causes)
    preconditions = source.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=source.get("gracePeriodSeconds"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        orphan_dependents=orphan,
        propagation=propagation,
        dry_run=bool(dry_run),
        raw=source,
    )


def query_delete_options(query: Query) -> JSON:
    """The JSON form of delete options that came as a query."""
    out: JSON = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    seconds = query.number("gracePeriodSeconds")
    if seconds is not None:
        out["gracePeriodSeconds"] = seconds
    orphan = query.flag("orphanDependents")
    if orphan is not None:
        out["orphanDependents"] = orphan
    if query.text("propagationPolicy"):
        out["propagationPolicy"] = query.text("propagationPolicy")
    if query.all("dryRun"):
        out["dryRun"] = query.all("dryRun")
    return out


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Options of list and watch, as sent."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    match: str = ""
    limit: int = 0
    continue_: str = ""
    timeout_seconds: int | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


def list_options(query: Query, *, watch: bool) -> ListOptions:
    """Options of a list or watch from its query.

    Raises:
        StatusError: 400 or 422, they cannot be read or do not fit.
    """
    options = ListOptions(
        label_selector=query.text("labelSelector"),
        field_selector=query.text("fieldSelector"),
        resource_version=query.text("resourceVersion"),
        match=query.text("resourceVersionMatch"),
        limit=max(0, query.number("limit") or 0),
        continue_=query.text("continue"),
        timeout_seconds=query.number("timeoutSeconds"),
        bookmarks=bool(query.flag("allowWatchBookmarks")),
        initial_events=query.flag("sendInitialEvents"),
    )
    causes = Causes()
    _check_watch(options, causes) if watch else _check_list(options, causes)
    refuse("ListOptions", causes)
    return options


def _check_list(options: ListOptions, causes: Causes) -> None:
    path = "resourceVersionMatch"
    if options.match:
        if not options.resource_version:
            causes.forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if options.continue_:
            causes.forbidden(path, "resourceVersionMatch is forbidden when continue is provided")
        if options.match not in ("Exact", "NotOlderThan"):
            causes.not_supported(path, options.match, ["Exact", "NotOlderThan", ""])
        if options.match == "Exact" and options.resource_version == "0":
            causes.forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if options.initial_events is not None:
        causes.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _check_watch(options: ListOptions, causes: Causes) -> None:
    path = "resourceVersionMatch"
    if options.initial_events is None:
        if options.match:
            causes.forbidden(path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
    elif options.match != "NotOlderThan":
        causes.forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    if options.match not in ("", "NotOlderThan"):
        causes.not_supported(path, options.match, ["NotOlderThan"])
    if options.continue_:
        causes.forbidden("continue", "continue is forbidden for watch")


def parse_version(text: str) -> int:
    """A resourceVersion as a number; none and 0 are 0.

    Raises:
        ValueError: it is none; the text is that of Go.
    """
    if not text:
        return 0
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def internal(message: str) -> StatusError:
    """500 without a reason: how the real server tells errors that it did not expect."""
    return StatusError(500, "", message)
