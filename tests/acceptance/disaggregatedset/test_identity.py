"""A role whose groups become known by a key (next 8.2, 12)."""

from __future__ import annotations

import pytest

from lws.api.disaggregatedset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import DEPLOYMENTS, PODS
from tests.acceptance.disaggregatedset.site import A, roles, site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.simulation.hashed import HASH_LOOPS


@pytest.mark.long
@on_every_stage
async def test_n50_change_of_identity_rolls_the_roles_in_step() -> None:
    """The children of the new revision come, the old ones drain, no role falls below its count, and one is by key."""
    async with site(loops=HASH_LOOPS) as found:
        await found.create(*roles(2, 2, maxSurge=1, maxUnavailable=0))
        await found.available()
        before = {each["metadata"]["uid"] for each in await found.all(PODS)}
        prefill, decode = roles(2, 2, maxSurge=1, maxUnavailable=0)
        prefill["spec"]["groupIdentity"] = "Hash"
        async with found.measuring():
            await found.edit(prefill, decode)
            await found.available()
        await found.cluster.quiet(10.0)
        children = {each["metadata"]["labels"][labels.ROLE]: each for each in await found.all(LEADERWORKERSETS)}
        assert children.keys() == {"prefill", "decode"}
        assert {each["metadata"]["labels"][labels.REVISION] for each in children.values()}.isdisjoint({A})
        identities = {name: each["spec"].get("groupIdentity", "Ordinal") for name, each in children.items()}
        assert identities == {"prefill": "Hash", "decode": "Ordinal"}
        assert {name: each["status"]["readyReplicas"] for name, each in children.items()} == {"prefill": 2, "decode": 2}
        (deployment,) = await found.all(DEPLOYMENTS, role="prefill")
        assert deployment["metadata"]["name"] == children["prefill"]["metadata"]["name"]
        pods = await found.all(PODS)
        assert len(pods) == 4
        assert before.isdisjoint(each["metadata"]["uid"] for each in pods)
        assert found.lowest == {"prefill": 2, "decode": 2}
        reasons = await found.reasons()
        assert reasons.count("RollingUpdateStarted") == reasons.count("RollingUpdateCompleted") == 1
