"""The requests that a watcher's commands stand for, how their answers end, and what refusals mean to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from lws.apimachinery.resources import Resource
from lws.client.api import Query, query_of
from lws.client.transport import Request
from lws.errors import ApiError
from lws.informers.inputs import Fetch, Open, Refused
from lws.informers.kinds import Kind

_METADATA: Final = "application/json;as={};g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource; selectors are evaluated by the server."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""

    def query(self) -> Query:
        """The selectors that are not empty."""
        return query_of(labelSelector=self.label_selector, fieldSelector=self.field_selector)

    def selects(self, metadata: Mapping[str, Any]) -> bool:
        """Whether an object of this metadata is selected; selectors ask for a key, its value, or its absence."""
        found = metadata.get("labels") or {}
        return all(_meets(term, found) for term in self.label_selector.split(",") if term)


def _meets(term: str, labels: Mapping[str, str]) -> bool:
    if term.startswith("!"):
        return term[1:] not in labels
    key, equals, value = term.partition("=")
    return key in labels and (not equals or labels[key] == value)


def page_request(kind: Kind[Any], selection: Selection, command: Fetch) -> Request:
    """One page of the newest list."""
    query = query_of(limit=command.limit or None, **{"continue": command.token})
    headers = {"accept": _METADATA.format("PartialObjectMetadataList")} if kind.metadata_only else {}
    return Request("GET", kind.resource.path(selection.namespace), selection.query() + query, headers)


def watch_request(kind: Kind[Any], selection: Selection, command: Open, seconds: int, patience: float) -> Request:
    """A watch that the server ends after ``seconds``; its answer must begin within ``patience`` seconds."""
    initial = command.position is None
    query = query_of(
        watch=True,
        allowWatchBookmarks=True,
        sendInitialEvents=True if initial else None,
        resourceVersionMatch="NotOlderThan" if initial else None,
        resourceVersion=command.position,
        timeoutSeconds=seconds,
    )
    headers = {"accept": _METADATA.format("PartialObjectMetadata")} if kind.metadata_only else {}
    path = kind.resource.path(selection.namespace)
    return Request("GET", path, selection.query() + query, headers, timeout=patience)


def refusal(error: ApiError) -> Refused:
    """A failure answered, as a watcher's input."""
    causes = error.details.get("causes") or ()
    too_new = any(isinstance(cause, dict) and cause.get("reason") == "ResourceVersionTooLarge" for cause in causes)
    return Refused(error.status, error.message, error.retry_after, too_new)


def remedy(status: int, resource: Resource) -> str:
    """What a human can do about a refusal; empty if nothing."""
    if status == 403:
        return f"; grant the verbs list and watch on {resource}"
    if status == 404 and "." in resource.group:
        # Kubernetes' own groups may be built in and switched off.
        own = resource.group.endswith(".k8s.io") and not resource.group.endswith(".x-k8s.io")
        serve = f"have the API server serve {resource.api_version}, or " if own else ""
        return f"; {serve}install the CustomResourceDefinition {resource}"
    return "; correct the credentials" if status == 401 else ""


@asynccontextmanager
async def closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close a generator that is left before its end, now and not when it is collected."""
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
