"""``python -m hack.stored FOLDER [STORE]``: an API server that holds what another held, on sockets, without nodes.

Nothing happens in it by itself: what a controller does there is its own doing. Writes into FOLDER ``kubeconfig``,
``token``, with which metrics may be read, and a serving certificate for a webhook at `WEBHOOK`. Takes commands by line:
``change`` edits all pods in bursts, ``roll`` changes the image of all sets, ``relist`` has every watch begin anew with
a list; each is answered by ``done``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import structlog

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CLUSTERROLEBINDINGS,
    CONTROLLERREVISIONS,
    NODES,
    PODS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
)
from lws.client.api import ApiClient
from lws.client.transport import Request
from lws.webhook.certificate import CERTIFICATE_FILE, KEY_FILE
from lws_sandbox.admission import HttpsCaller
from lws_sandbox.cluster import Sandbox
from lws_sandbox.collector import calm_collector
from lws_sandbox.endpoint import on_sockets
from lws_sandbox.nodes import Shape
from lws_sandbox.quickstart.installation import by_url, install
from lws_sandbox.storage import Storage

HOST: Final = "127.0.0.1"
WEBHOOK: Final = 19443
AUTHORITY: Final = "authority.crt"
SCRAPER: Final = "default"  # a ServiceAccount
KINDS: Final = tuple(map(str, (NODES, SERVICES, CONTROLLERREVISIONS, STATEFULSETS, PODS, LEADERWORKERSETS)))
BURST: Final = 1000  # pods that change at once; a watch that is far behind would be told to list
PAUSE: Final = 0.3  # seconds between two bursts

Contents = dict[str, list[tuple[str, str, JSON]]]


def keep(storage: Storage, file: Path) -> None:
    """Write to a file what a store holds, but for what every cluster has."""
    file.write_bytes(orjson.dumps({kind: storage.entries(kind) for kind in KINDS}))


async def serve(folder: Path, store: Path | None) -> None:
    """Serve until the standard input ends."""
    caller = HttpsCaller(_nowhere)
    sandbox = Sandbox(shape=Shape(()), random=Random(1), loops=(), webhooks=caller)
    async with sandbox, on_sockets(sandbox, folder / "kubeconfig"):
        authority, client = sandbox.authority, sandbox.client()
        pair = authority.server((HOST, "localhost"), sandbox.clock.now())
        for name, content in (
            (CERTIFICATE_FILE, pair.certificate),
            (KEY_FILE, pair.key),
            (AUTHORITY, authority.certificate),
        ):
            (folder / name).write_bytes(content)
        await install(client, by_url(f"https://{HOST}:{WEBHOOK}", authority.certificate))
        (folder / "token").write_text(await _token(client))
        if store is not None:
            fill(sandbox.server.storage, store)
        calm_collector()
        await _obey(sandbox, client)
    await caller.close()


def fill(storage: Storage, store: Path) -> None:
    """Add the objects of a file, which `keep` made, to a store under new versions."""
    found: Contents = orjson.loads(store.read_bytes())
    for kind, entries in found.items():
        for namespace, name, obj in entries:
            if storage.get(kind, namespace, name) is None:
                storage.create(kind, namespace, name, obj)
    storage.compact()


async def _token(client: ApiClient) -> str:
    """A token of somebody who may read everything."""
    subject = {"kind": "ServiceAccount", "name": SCRAPER, "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    await client.create(SERVICEACCOUNTS, {"metadata": {"name": SCRAPER, "namespace": "default"}})
    await client.create(CLUSTERROLEBINDINGS, {"metadata": {"name": "bench"}, "roleRef": role, "subjects": [subject]})
    path = SERVICEACCOUNTS.path("default", SCRAPER, "token")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await client.send(Request("POST", path, body=orjson.dumps(body)))
    return str(orjson.loads(answer.body)["status"]["token"])


async def _obey(sandbox: Sandbox, client: ApiClient) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    storage = sandbox.server.storage
    _say("ready")
    async for line in reader:
        match line:
            case b"change\n":
                for number, entry in enumerate(storage.entries(str(PODS)), 1):
                    _touch(storage, str(PODS), entry)
                    if number % BURST == 0:
                        await asyncio.sleep(PAUSE)
            case b"roll\n":
                template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
                edit = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
                for namespace, name, _ in storage.entries(str(LEADERWORKERSETS)):
                    await client.patch(LEADERWORKERSETS, namespace, name, edit)
            case b"relist\n":
                for entry in storage.entries(str(NODES))[:1]:  # so that every position is in the past
                    _touch(storage, str(NODES), entry)
                storage.compact()
                sandbox.server.break_watches()
        _say("done")


def _touch(storage: Storage, kind: str, entry: tuple[str, str, JSON]) -> None:
    namespace, name, obj = entry
    metadata = {**obj["metadata"], "annotations": {**obj["metadata"].get("annotations", {}), "bench": "1"}}
    storage.update(kind, namespace, name, {**obj, "metadata": metadata}, obj)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _nowhere(namespace: str, name: str, _port: int) -> tuple[str, int]:
    raise LookupError(f"Service {namespace}/{name} is not served")


def main(arguments: list[str]) -> None:
    """Serve what the command line names."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    given: Any = [Path(each) for each in arguments]
    asyncio.run(serve(given[0], given[1] if len(given) > 1 else None))


if __name__ == "__main__":
    main(sys.argv[1:])
