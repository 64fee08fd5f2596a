"""Resources that limit ranges give to pods, and pods that they refuse; answers as of a real Kubernetes 1.36."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, Resource
from lws.errors import ForbiddenError
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.kinds.limitranges import ANNOTATION
from lws_sandbox.nodes import Shape
from tests.virtual import virtual_time

LIMITRANGES: Final = Resource("", "v1", "limitranges", "LimitRange")
FIRST: Final = [
    {
        "type": "Container",
        "max": {"cpu": "2", "memory": "1Gi"},
        "min": {"cpu": "100m"},
        "default": {"cpu": "500m"},
        "defaultRequest": {"cpu": "250m"},
        "maxLimitRequestRatio": {"cpu": "4"},
    },
    {"type": "Pod", "max": {"cpu": "3"}},
]
SECOND: Final = [{"type": "Container", "max": {"memory": "2Gi"}}]
MEMORY: Final = "memory request for {0}; memory limit for {0}"
BOTH: Final = "cpu, memory request for {0}; cpu, memory limit for {0}"


def _container(name: str = "c", **wanted: JSON) -> JSON:
    return {"name": name, "image": "i:1", **({"resources": wanted} if wanted else {})}


async def _create(*containers: JSON, inits: tuple[JSON, ...] = ()) -> JSON:
    """A pod of these containers, made where both ranges are."""
    async with Sandbox(shape=Shape(()), clock=vt.VirtualClock(), random=Random(1), loops=()) as sandbox:
        client = sandbox.client()
        for name, limits in (("a", FIRST), ("b", SECOND)):
            await client.create(
                LIMITRANGES, {"metadata": {"name": name}, "spec": {"limits": limits}}, namespace="default"
            )
        spec = {"containers": list(containers), **({"initContainers": list(inits)} if inits else {})}
        return await client.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="default")


def _whole(cpu: str, request: str) -> JSON:
    return {"limits": {"cpu": cpu, "memory": "1Gi"}, "requests": {"cpu": request, "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("wanted", "given", "told"),
    [({}, _whole("500m", "250m"), BOTH), ({"limits": {"cpu": "1"}}, _whole("1", "1"), MEMORY)],
    ids=["nothing", "limit"],
)
@virtual_time
async def test_what_is_not_said_is_filled_in(wanted: JSON, given: JSON, told: str) -> None:
    """The first range that has a default for a resource gives it, and an annotation says which it gave."""
    pod = await _create(_container(**wanted))
    assert pod["spec"]["containers"][0]["resources"] == given
    assert pod["metadata"]["annotations"] == {ANNOTATION: f"LimitRanger plugin set: {told.format('container c')}"}


@virtual_time
async def test_init_containers_are_filled_in_after_the_containers() -> None:
    """An init container gets what a container gets, and is named as one."""
    pod = await _create(_container(), inits=(_container("w"),))
    words = "; ".join(BOTH.format(each) for each in ("container c", "init container w"))
    assert pod["metadata"]["annotations"] == {ANNOTATION: f"LimitRanger plugin set: {words}"}


REFUSED: Final[dict[str, tuple[list[JSON], str]]] = {
    "above": (
        [_container(limits={"cpu": "4", "memory": "3Gi"})],
        (
            "[maximum cpu usage per Container is 2, but limit is 4, maximum memory usage per Container is 1Gi, but "
            "limit is 3Gi, maximum cpu usage per Pod is 3, but limit is 4]"
        ),
    ),
    "below": (
        [_container(requests={"cpu": "50m"})],
        (
            "[minimum cpu usage per Container is 100m, but request is 50m, "
            "cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000]"
        ),
    ),
    "ratio": (
        [_container(requests={"cpu": "100m"}, limits={"cpu": "1500m"})],
        "cpu max limit to request ratio per Container is 4, but provided ratio is 15.000000",
    ),
    "sum": (
        [_container(name, limits={"cpu": "2"}) for name in "ab"],
        "maximum cpu usage per Pod is 3, but limit is 4",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@virtual_time
async def test_a_pod_out_of_bounds_is_refused(case: str) -> None:
    """Every bound of the range that is broken is named, with the amount that breaks it."""
    containers, why = REFUSED[case]
    with pytest.raises(ForbiddenError) as refused:
        await _create(*containers)
    assert refused.value.message == f'pods "p" is forbidden: {why}'


@virtual_time
async def test_defaults_of_a_range_follow_from_its_bounds() -> None:
    """Limits default to the maximum, and requests to the limits; a minimum alone is a request."""
    async with Sandbox(shape=Shape(()), clock=vt.VirtualClock(), random=Random(1), loops=()) as sandbox:
        item: dict[str, Any] = {"type": "Container", "max": {"memory": "1Gi"}, "min": {"cpu": "1"}}
        manifest = {"metadata": {"name": "a"}, "spec": {"limits": [item]}}
        made = await sandbox.client().create(LIMITRANGES, manifest, namespace="default")
        assert made["spec"]["limits"] == [
            item | {"default": {"memory": "1Gi"}, "defaultRequest": {"cpu": "1", "memory": "1Gi"}}
        ]
