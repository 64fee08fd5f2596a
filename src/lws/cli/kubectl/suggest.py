"""What completion asks a cluster or a kubeconfig: names of sets, groups, revisions and so on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, NAMESPACES, NODES, PODS, Resource
from lws.cli.kubectl.arguments import global_overrides
from lws.cli.kubectl.members import container_names, place, short_group, worker_index
from lws.client.api import ApiClient
from lws.client.connection import connect, find_kubeconfig
from lws.errors import ApiError, LwsError

Reading = Callable[[ApiClient, str, str], Awaitable[list[str]]]


def ask(reading: Reading, flags: Sequence[str], name: str, timeout: float) -> list[str]:
    """What a reading of the cluster gives within ``timeout`` seconds; nothing if anything goes wrong."""

    async def answer() -> list[str]:
        overrides = global_overrides(flags)
        async with asyncio.timeout(timeout):
            connection = await connect(overrides.kubeconfig or None, overrides.context or None, overrides=overrides)
            try:
                client = connection.client(user_agent="kubectl-lws-completion", warn=lambda _: None)
                return await reading(client, overrides.namespace or connection.namespace or "default", name)
            finally:
                await connection.close()

    try:
        return asyncio.run(answer())
    except (LwsError, OSError, TimeoutError):
        return []


async def sets(client: ApiClient, namespace: str, _: str) -> list[str]:
    """LeaderWorkerSets, and DisaggregatedSets under their full names where the shorter one would be ambiguous."""
    first, second = await asyncio.gather(
        _list(client, LEADERWORKERSETS, namespace), _list(client, DISAGGREGATEDSETS, namespace)
    )
    names = [_name(one) for one in first]
    return names + [f"disaggregatedset/{name}" if name in names else name for name in map(_name, second)]


async def namespaces(client: ApiClient, *_: str) -> list[str]:
    """Namespaces."""
    return [_name(one) for one in await _list(client, NAMESPACES, "")]


async def nodes(client: ApiClient, *_: str) -> list[str]:
    """Nodes."""
    return [_name(one) for one in await _list(client, NODES, "")]


async def groups(client: ApiClient, namespace: str, name: str) -> list[str]:
    """Groups of a set, as its pods name them."""
    found = [pod["metadata"]["labels"].get(labels.GROUP_INDEX, "") for pod in await _pods(client, namespace, name)]
    return list(dict.fromkeys(short_group(one) for one in found if one))


async def workers(client: ApiClient, namespace: str, name: str) -> list[str]:
    """Indices of members."""
    found = {worker_index(pod) for pod in await _pods(client, namespace, name)}
    return [str(one) for one in sorted(found) if one >= 0]


async def containers(client: ApiClient, namespace: str, name: str) -> list[str]:
    """Containers of a set's pods."""
    return list(dict.fromkeys(one for pod in await _pods(client, namespace, name) for one in container_names(pod)))


async def revisions(client: ApiClient, namespace: str, name: str) -> list[str]:
    """Numbers of stored revisions."""
    stored = await _list(client, CONTROLLERREVISIONS, namespace, f"{labels.NAME}={name}")
    return [str(one["revision"]) for one in stored]


def entries(path: str, section: str) -> list[str]:
    """Names in a section of the kubeconfig."""
    try:
        return list(getattr(find_kubeconfig(path or None), section))
    except (LwsError, OSError):
        return []


async def _pods(client: ApiClient, namespace: str, name: str) -> list[JSON]:
    """Pods of one set; of every set of a DisaggregatedSet."""
    found = await _list(client, PODS, namespace, f"{labels.NAME}={name}")
    return sorted(found, key=place)


async def _list(client: ApiClient, resource: Resource, namespace: str, selector: str = "") -> list[JSON]:
    try:
        found: list[JSON] = (await client.list(resource, namespace, label_selector=selector))["items"]
    except ApiError:
        return []
    return found


def _name(raw: JSON) -> str:
    return str(raw["metadata"]["name"])
