"""Get and list: pages, selectors, and what a resourceVersion in a read means."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from lws.apimachinery.manifests import JSON
from lws_sandbox.rest.call import Call, ListOptions, internal, list_options, parse_version
from lws_sandbox.rest.core import Core
from lws_sandbox.rest.selectors import FieldSelector, Selector, parse_fields, parse_labels
from lws_sandbox.status import Cause, StatusError, bad_request, expired, show, timeout
from lws_sandbox.storage import Compacted
from lws_sandbox.strategy import Strategy

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 -- a version
TOO_LARGE_WAIT = 3.0


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a collection is asked for."""

    labels: Selector
    fields: FieldSelector

    @property
    def empty(self) -> bool:
        """Whether it takes everything."""
        return self.labels.empty and self.fields.empty

    def takes(self, strategy: Strategy, obj: JSON) -> bool:
        """Whether an object is selected."""
        if not self.labels.matches(obj["metadata"].get("labels")):
            return False
        if self.fields.empty:
            return True
        meta = obj["metadata"]
        values: Mapping[str, str] = {
            **strategy.selectable_fields(obj),
            "metadata.name": meta["name"],
            "metadata.namespace": meta.get("namespace") or "",
        }
        return self.fields.matches(lambda name: values.get(name, ""))


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to a list, not yet in any form."""

    items: list[JSON]
    resource_version: str
    continue_: str = ""
    remaining: int | None = None


def selection(call: Call, options: ListOptions) -> Selection:
    """The selectors of a call.

    Raises:
        StatusError: 400, they cannot be read, or the kind has no such field.
    """
    labels = parse_labels(options.label_selector)
    strategy = call.strategy
    named = bool(strategy.selectable) or strategy.custom
    fields = parse_fields(options.field_selector, strategy.selectable, named=named)
    if call.info.watch_path and call.info.name:
        fields = FieldSelector((*fields.terms, ("metadata.name", call.info.name, True)))
    return Selection(labels, fields)


def get(core: Core, call: Call) -> JSON:
    """The object that the call names.

    Raises:
        StatusError: 404; 504 for a version that is not reached.
    """
    text = call.query.text("resourceVersion")
    try:
        version = parse_version(text)
    except ValueError as error:
        raise internal(f"resourceVersion: Invalid value: {show(text)}: {error}") from None
    check_reached(core, version)
    return core.find(call)


def check_reached(core: Core, version: int) -> None:
    """The version asked for exists.

    Raises:
        StatusError: 504, it does not yet.
    """
    if version > core.storage.revision:
        cause = Cause("ResourceVersionTooLarge", "Too large resource version", "")
        text = f"Timeout: Too large resource version: {version}, current: {core.storage.revision}"
        raise timeout(text, 1, [cause])


def read_version(text: str) -> int:
    """The resourceVersion of a list.

    Raises:
        StatusError: 400, it is no number.
    """
    try:
        return parse_version(text)
    except ValueError as error:
        raise bad_request(f"invalid resource version: resourceVersion: Invalid value: {show(text)}: {error}") from None


def list_page(core: Core, call: Call) -> Page:
    """A collection, or a page of it.

    Raises:
        StatusError: the options do not fit, a token is bad or too old, or a version is out of reach.
    """
    options = list_options(call.query, watch=False)
    chosen = selection(call, options)
    version = read_version(options.resource_version)
    if options.continue_:
        return _continued(core, call, options, chosen)
    check_reached(core, version)
    exact = options.match == "Exact" or (options.limit and version and not options.match)
    if not exact:
        limit = 0 if options.resource_version == "0" else options.limit
        return _page(core, call, chosen, limit, None, "")
    return _page(core, call, chosen, options.limit, version, "")


def _continued(core: Core, call: Call, options: ListOptions, chosen: Selection) -> Page:
    if options.resource_version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    version, start = decode_token(options.continue_)
    limit = 0 if options.resource_version == "0" else options.limit
    return _page(core, call, chosen, limit, version if version > 0 else None, start)


def _page(core: Core, call: Call, chosen: Selection, limit: int, version: int | None, start: str) -> Page:
    strategy, info = call.strategy, call.info
    at = core.storage.revision if version is None else version
    entries = _entries(core, call, chosen, version, start)
    items: list[JSON] = []
    wide = strategy.resource.namespaced and not info.namespace
    for index, (namespace, name, stored) in enumerate(entries):
        key = f"{namespace}/{name}" if wide else name
        if start and f"/{key}" < start:
            continue
        obj = strategy.read(stored)
        if not chosen.takes(strategy, obj):
            continue
        items.append(obj)
        if limit and len(items) == limit and index + 1 < len(entries):
            left = len(entries) - index - 1
            return Page(items, str(at), encode_token(at, f"/{key}\0"), left if chosen.empty else None)
    return Page(items, str(at))


def _entries(core: Core, call: Call, chosen: Selection, version: int | None, start: str) -> list[tuple[str, str, JSON]]:
    strategy, info = call.strategy, call.info
    namespace = info.namespace if strategy.resource.namespaced else ""
    namespace = namespace or chosen.fields.exact("metadata.namespace") or ""
    name = chosen.fields.exact("metadata.name")
    if name is not None and version is None and (namespace or not strategy.resource.namespaced):
        stored = core.storage.get(strategy.storage_key, namespace, name)
        return [] if stored is None else [(namespace, name, stored)]
    if version is None or version >= core.storage.revision:
        return core.storage.entries(strategy.storage_key, namespace)
    try:
        return core.storage.list_at(strategy.storage_key, namespace, version)
    except Compacted:
        raise _too_old(version, start) from None


def _too_old(version: int, start: str) -> StatusError:
    if not start:
        return expired(f"The resourceVersion for the provided list is too old: {version}")
    error = expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    error.metadata = {"continue": encode_token(-1, start)}
    return error


def encode_token(version: int, start: str) -> str:
    """A continue token: the version of the first page, and the key to go on from."""
    text = json.dumps({"v": TOKEN_VERSION, "rv": version, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(token: str) -> tuple[int, str]:
    """The version and key of a continue token.

    Raises:
        StatusError: 400, it is none.
    """
    prefix = "invalid continue token: continue key is not valid: "
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(f"{prefix}illegal base64 data at input byte 0") from None
    try:
        found = json.loads(raw)
        version, start, kind = found.get("rv", 0), found.get("start", ""), found.get("v", "")
    except (ValueError, AttributeError):
        raise bad_request(prefix + _complaint(raw)) from None
    if kind != TOKEN_VERSION:
        raise bad_request(f"{prefix}server does not recognize this encoded version {show(kind)}")
    if version == 0:
        raise bad_request(f"{prefix}incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
    if not start:
        raise bad_request(f"{prefix}encoded start key empty (version {TOKEN_VERSION})")
    return version, start


def _complaint(raw: bytes) -> str:
    if not raw:
        return "unexpected end of JSON input"
    byte = raw[0]
    char = chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
    return f"invalid character '{char}' looking for beginning of value"
