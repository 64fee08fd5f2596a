"""The requests that a watcher's commands stand for, and what refusals mean to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lws.apimachinery.resources import Resource
from lws.client.api import Query, query_of
from lws.client.transport import Request
from lws.errors import ApiError
from lws.informers.inputs import Fetch, Open, Refused


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
        """Whether an object of this metadata is among them; label selectors here ask for keys, or with a ! for none."""
        found = metadata.get("labels") or {}
        terms = self.label_selector.split(",") if self.label_selector else []
        return all((term[1:] not in found) if term.startswith("!") else term in found for term in terms)


def page_request(resource: Resource, selection: Selection, command: Fetch) -> Request:
    """One page of the newest list."""
    query = query_of(limit=command.limit or None, **{"continue": command.token})
    return Request("GET", resource.path(selection.namespace), selection.query() + query)


def watch_request(resource: Resource, selection: Selection, command: Open, seconds: int, patience: float) -> Request:
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
    return Request("GET", resource.path(selection.namespace), selection.query() + query, timeout=patience)


def refusal(error: ApiError) -> Refused:
    """A failure answered, as a watcher's input."""
    causes = error.details.get("causes") or ()
    too_new = any(isinstance(cause, dict) and cause.get("reason") == "ResourceVersionTooLarge" for cause in causes)
    return Refused(error.status, error.message, error.retry_after, too_new)


def remedy(status: int, resource: Resource) -> str:
    """What a human can do about a refusal; empty if nothing."""
    if status == 403:
        return f"; grant the verbs list and watch on {resource}"
    if status == 404:
        return f"; install the CustomResourceDefinition {resource}" if "." in resource.group else ""
    return "; correct the credentials" if status == 401 else ""
