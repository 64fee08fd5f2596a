"""Every request that reached an API server, whoever sent it: as the sandbox saw it, or as an audit log has it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, LEASES
from lws.client.transport import Request
from lws.manager.version import user_agent
from lws_sandbox.reply import Reply
from lws_sandbox.server import ApiServer
from lws_sandbox.user import UserInfo

POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
_METHODS: Final = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    "watch": "WATCH",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One request.

    Attributes:
        agent: who sent it, by user agent.
        verb: HTTP method, or ``WATCH``.
        resource: plural, with its subresource.
        namespace: empty for the cluster's own.
        name: the object's; for creations that of the manifest.
        status: HTTP status of the answer.
    """

    agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    status: int

    @property
    def ours(self) -> bool:
        """Whether the controller sent it."""
        return self.agent == user_agent()

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name} {self.status}"


class Source(Protocol):
    """Where requests are told of."""

    def __call__(self) -> list[Seen]:
        """All of them, oldest first."""
        ...


class Ledger:
    """What was asked since the last `clear`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._from = 0

    def clear(self) -> None:
        """Count from here."""
        self._from = len(self._source())

    @property
    def seen(self) -> list[Seen]:
        """All of it."""
        return self._source()[self._from :]

    def of_controller(self) -> list[Seen]:
        """What the controller asked, but for leases and events."""
        return [each for each in self.seen if each.ours and each.resource not in (LEASES.plural, EVENTS.plural)]

    def writes(self) -> list[Seen]:
        """What the controller wrote, but for leases and events."""
        return [each for each in self.of_controller() if each.verb not in ("GET", "WATCH")]

    def done(self, verb: str, resource: str) -> Counter[str]:
        """How often this succeeded, by name, whoever asked for it."""
        found = (each for each in self.seen if (each.verb, each.resource) == (verb, resource) and each.status < 300)
        return Counter(each.name for each in found)


class AtServer:
    """Reads along at a sandbox's API server."""

    def __init__(self, server: ApiServer) -> None:
        self._seen: list[Seen] = []
        self._handle = server.handle
        server.handle = self._count  # type: ignore[method-assign]

    def __call__(self) -> list[Seen]:
        """All of them, oldest first."""
        return self._seen

    async def _count(self, request: Request, user: UserInfo | None = None) -> Reply:
        reply = await self._handle(request, user)
        what, namespace, name = _target(request)
        watch = dict(request.query).get("watch") in ("1", "true")
        verb = "WATCH" if watch else request.method
        self._seen.append(Seen(request.headers.get("user-agent", ""), verb, what, namespace, name, reply.status))
        return reply


class AuditLog:
    """Reads a kube-apiserver's audit log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._seen: list[Seen] = []

    @staticmethod
    def flags(folder: Path) -> list[str]:
        """Those by which kube-apiserver writes one into a folder."""
        policy = folder / "audit.yaml"
        policy.write_text(json.dumps(POLICY))
        return [f"--audit-policy-file={policy}", f"--audit-log-path={AuditLog.path(folder)}"]

    @staticmethod
    def path(folder: Path) -> Path:
        """Where it is."""
        return folder / "audit.log"

    def __call__(self) -> list[Seen]:
        """All of them, oldest first; those that are being written are left for later."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._seen += [seen for line in whole.splitlines() for seen in _audited(orjson.loads(line))]
        return self._seen


def _audited(entry: JSON) -> Iterable[Seen]:
    """The request that an entry tells of; a watch when it begins, all else when it is done."""
    verb, target = entry["verb"], entry.get("objectRef")
    if target is None or entry["stage"] != ("ResponseStarted" if verb == "watch" else "ResponseComplete"):
        return
    below = target.get("subresource")
    resource = f"{target['resource']}/{below}" if below else target["resource"]
    status = (entry.get("responseStatus") or {}).get("code", 0)
    where, name, agent = target.get("namespace", ""), target.get("name", ""), entry.get("userAgent", "")
    yield Seen(agent, _METHODS.get(verb, "GET"), resource, where, name, status)


def _target(request: Request) -> tuple[str, str, str]:
    """Plural with its subresource, namespace and name."""
    parts = request.path.strip("/").split("/")
    parts = parts[3 if parts[0] == "apis" else 2 :]
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    what, name, *below = [*parts, "", ""][: max(2, len(parts))]
    if request.method == "POST" and not below:
        name = str((orjson.loads(request.body).get("metadata") or {}).get("name", ""))
    return "/".join([what, *below]), namespace, name


def by_kind(seen: Iterable[Seen]) -> str:
    """Counts by verb and resource, as text."""
    counts = Counter(f"{each.verb} {each.resource}" for each in seen)
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"
