"""The PodGroups of pods that have no node, with the events about them and whether their queues exist."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.gangs import DEFAULT_QUEUE
from lws.api.leaderworkerset.objects import PodGroup
from lws.api.leaderworkerset.resources import PODGROUPS, QUEUES
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CORE_EVENTS, Resource
from lws.client.api import ApiClient
from lws.errors import ForbiddenError, NotFoundError
from lws.planning.leaderworkerset.diagnosis.facts import GangFacts
from lws.planning.leaderworkerset.diagnosis.gangs import words_of
from lws.planning.leaderworkerset.diagnosis.objects import Event, PodReport

MOST_LOOKS: Final = 20  # objects of one kind that are read one by one


async def read_gangs(client: ApiClient, namespace: str, pods: Iterable[PodReport]) -> dict[str, GangFacts | None]:
    """By name: None stands for a PodGroup that does not exist; one that may not be read is absent."""
    marks = [pod.metadata.annotation(labels.POD_GROUP_NAME) for pod in pods if not pod.spec.node_name]
    names = list(dict.fromkeys(name for name in marks if name))[:MOST_LOOKS]
    found = await asyncio.gather(*(_gang(client, namespace, name) for name in names))
    return {name: gang for name, (seen, gang) in zip(names, found, strict=True) if seen}


async def _gang(client: ApiClient, namespace: str, name: str) -> tuple[bool, GangFacts | None]:
    seen, raw = await _look(client, PODGROUPS, namespace, name)
    if raw is None:
        return seen, None
    pod_group = msgspec.convert(raw, PodGroup)
    words, queue = await asyncio.gather(
        _words(client, pod_group), _look(client, QUEUES, "", pod_group.spec.queue or DEFAULT_QUEUE)
    )
    return True, GangFacts(pod_group, queue[1] is not None if queue[0] else None, words)


async def _words(client: ApiClient, pod_group: PodGroup) -> str:
    """What its scheduler says of it."""
    meta = pod_group.metadata
    selector = f"involvedObject.kind={PODGROUPS.kind},involvedObject.name={meta.name}"
    try:
        listed = await client.list(CORE_EVENTS, meta.namespace, field_selector=selector)
    except ForbiddenError:
        listed = {}
    return words_of(pod_group, [msgspec.convert(each, Event) for each in listed.get("items", ())])


async def _look(client: ApiClient, resource: Resource, namespace: str, name: str) -> tuple[bool, JSON | None]:
    """Whether an object could be looked for, and the object if it exists; an API that is not served cannot be."""
    try:
        return True, await client.get(resource, namespace, name)
    except NotFoundError as error:
        return bool(error.details.get("name")), None
    except ForbiddenError:
        return False, None
