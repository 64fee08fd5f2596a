"""What a told story says about a server, in a form in which two servers can be compared.

What users, plugin and certificates ask comes in a fixed order, and is compared exchange by exchange, whole. The
operator's requests come as its caches see things, so they are compared by kind: every different answer that a kind of
request got, with what the server set in it of itself. Watches are compared by each object's sequence of event types,
and by what it was when it was added.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Final

from lws.apimachinery.manifests import JSON
from tests.drift.plain import added, plain
from tests.drift.recorder import Asked, Book, Exchange, Watched, asked

ORDERED: Final = ("user", "certificates")
OPERATOR: Final = "operator"
BY_KIND: Final = (OPERATOR, "kubectl-lws", "reviews")
SHOWN: Final = ("leaderworkersets", "statefulsets", "pods", "services", "controllerrevisions")
BEATING: Final = ("v1 nodes",)  # change with their heartbeats, so that only their arrival is certain
LOST: Final = frozenset({"Conflict", "NotFound", "AlreadyExists"})
"""Reasons for which a request of the operator may lose a race; that they are told alike, the users' requests show."""


def digest(book: Book) -> JSON:
    """Everything that is compared."""
    return {
        **{who: [_whole(each) for each in book.by(who)] for who in ORDERED},
        **{who: _kinds(book.by(who)) for who in BY_KIND},
        "watches": _watches(each for each in book.watches if each.who == OPERATOR),
    }


def _whole(exchange: Exchange) -> JSON:
    found = _frame(exchange)
    what = asked(exchange.request)
    request = plain(f"{what.verb} {what.resource} {what.name}".rstrip())
    return {"request": request, **found, "answer": plain(exchange.answer)}


def _frame(exchange: Exchange) -> JSON:
    warnings = {"warnings": list(exchange.warnings)} if exchange.warnings else {}
    reason = exchange.answer.get("reason") if exchange.status >= 400 and isinstance(exchange.answer, dict) else None
    return {
        "status": exchange.status,
        "type": exchange.content_type,
        **({"reason": reason} if reason else {}),
        **warnings,
    }


def _kinds(exchanges: Iterable[Exchange]) -> JSON:
    """By kind of request: the different answers that it got."""
    found: dict[str, dict[str, JSON]] = {}
    for exchange in exchanges:
        answer = _answer(exchange)
        if answer.get("reason") not in LOST:
            found.setdefault(_kind(exchange), {})[json.dumps(answer, sort_keys=True)] = answer
    return {kind: [answers[key] for key in sorted(answers)] for kind, answers in sorted(found.items())}


def _kind(exchange: Exchange) -> str:
    what, request = asked(exchange.request), exchange.request
    query = ",".join(f"{name}" for name, _ in sorted(request.query))
    parts = [what.verb, what.resource, request.headers.get("content-type", ""), f"?{query}" if query else ""]
    return " ".join(part for part in parts if part)


def _answer(exchange: Exchange) -> JSON:
    frame, answer = _frame(exchange), exchange.answer
    if not isinstance(answer, dict) or exchange.status >= 400:
        return {**frame, "answer": plain(answer)}
    what = asked(exchange.request)
    if what.verb in ("GET", "LIST", "DELETE"):
        return {**frame, "kind": answer.get("kind")}
    return {**frame, **_written(what, exchange)}


def _written(what: Asked, exchange: Exchange) -> JSON:
    """What a write's answer tells: what the server added, and what it holds for the writer's own."""
    answer, sent = exchange.answer, exchange.sent
    if "/" in what.resource.split()[1]:
        return {}  # statuses come as things interleave; how they end, the users read
    managers = {entry.get("manager") for entry in answer.get("metadata", {}).get("managedFields", ())}
    own = dict(exchange.request.query).get("fieldManager") or exchange.request.headers["user-agent"].split("/")[0]
    entries = [each for each in answer["metadata"].get("managedFields", ()) if each.get("manager") == own]
    found: JSON = {"managed": plain(entries, "managedFields")} if own in managers else {}
    whole = (isinstance(sent, dict) and "spec" in sent) or what.verb == "POST"
    if not whole:
        return found
    answer = {key: value for key, value in answer.items() if key != "status"}
    passing = {"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"}
    answer["metadata"] = {key: value for key, value in answer["metadata"].items() if key not in passing}
    return {**found, "added": plain(added(sent, answer))}


def _watches(watches: Iterable[Watched]) -> JSON:
    """By resource: how it was asked and answered, each object's sequence of events, and what it was when added."""
    found: dict[str, JSON] = {}
    for watch in watches:
        what = asked(watch.request)
        entry = found.setdefault(what.resource, {"asked": set(), "answered": set(), "types": {}, "objects": {}})
        entry["beating"] = what.resource in BEATING
        entry["asked"].add(",".join(sorted(name for name, _ in watch.request.query)))
        entry["answered"].add(f"{watch.status} {watch.content_type}")
        for event in watch.events:
            _note(entry, event, shown=what.resource.split()[1] in SHOWN)
    return {resource: _sealed(entry) for resource, entry in sorted(found.items())}


def _note(entry: JSON, event: JSON, *, shown: bool) -> None:
    obj, metadata = event["object"], event["object"].get("metadata", {})
    if event["type"] == "BOOKMARK":
        initial = metadata.get("annotations", {}).get("k8s.io/initial-events-end")
        if initial:
            entry["bookmark"] = plain(obj)
        return
    name = metadata.get("name", "")
    entry["types"].setdefault(name, {}).setdefault(metadata.get("uid"), []).append(event["type"])
    if shown and event["type"] == "ADDED":
        entry["objects"].setdefault(name, plain(obj))


def _sealed(entry: JSON) -> JSON:
    types = {}
    beating = entry.pop("beating")
    for name, by_uid in sorted(entry["types"].items()):
        lives = {" ".join(kind for kind, _ in itertools.groupby(sequence)) for sequence in by_uid.values()}
        types[name] = sorted({each.split()[0] for each in lives} if beating else lives)
    return {**entry, "asked": sorted(entry["asked"]), "answered": sorted(entry["answered"]), "types": types}
