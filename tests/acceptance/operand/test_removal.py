"""Taking the operand away: A18, A19."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, DEPLOYMENTS, SECRETS
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_drift import everything
from tests.acceptance.operand.test_states import user_pods, with_sets
from tests.virtual import virtual_time

pytestmark = pytest.mark.long


async def gone(site: Site) -> bool:
    """Whether nothing but definitions is left of the installation."""
    return all(resource == CUSTOMRESOURCEDEFINITIONS for resource, _ in await everything(site))


@virtual_time
async def test_a18_removed_with_policy_operand_takes_the_operand_and_nothing_of_its_users() -> None:
    """A18: Deployment, webhooks and roles go; definitions, sets and pods keep their UIDs, also when it comes back."""
    async with Site() as site:
        await site.installed()
        pods = await with_sets(site)
        stays = await identities(site)
        await site.until(lambda: ready(site, 3))
        await site.stop_operand()
        await site.edit(managementState="Removed", removal={"policy": "Operand"})
        await site.becomes("Available", "False", "Removed")
        await site.until(lambda: gone(site))
        await site.becomes("Progressing", "False", "AsExpected")
        deleted = [each for each in site.writes if each.method == "DELETE" and each.status < 300]
        kinds = [each.resource for each in deleted]
        assert max(place for place, kind in enumerate(kinds) if "webhook" in kind) < kinds.index("deployments")
        assert not [each for each in kinds if each in ("secrets", "customresourcedefinitions", "leaderworkersets")]
        assert await site.get(DEPLOYMENTS, names.DEPLOYMENT) is None
        (event,) = await site.events("OperandRemoved")
        assert "3 sets with 3 ready groups and 12 pods" in event["note"]
        assert (await site.operator())["status"]["relatedObjects"] != []
        await asyncio.sleep(60)
        since = len(site.writes)
        await asyncio.sleep(900)
        assert [str(each) for each in site.counted(since)] == []
        await site.edit(managementState="Managed")
        await site.becomes("Available", "True")
        await site.run_operand()
        await site.settled()
        assert await identities(site) == stays
        assert await user_pods(site) == pods


async def ready(site: Site, groups: int) -> bool:
    """Whether the sets tell of so many ready groups."""
    sets = (await site.client.list(LEADERWORKERSETS))["items"]
    return sum((each.get("status") or {}).get("readyReplicas") or 0 for each in sets) == groups


async def identities(site: Site) -> JSON:
    """UIDs of what must outlive the operand."""
    sets = (await site.client.list(LEADERWORKERSETS))["items"]
    definition = await site.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
    secrets = (await site.client.list(SECRETS, site.namespace))["items"]
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in (*sets, definition, *secrets)}


@virtual_time
async def test_a19_when_unused_waits_for_the_last_set() -> None:
    """A19: while a set exists the operand is kept, healed and running; with the last set it goes."""
    async with Site() as site:
        await site.installed()
        await with_sets(site, 1)
        await site.edit(managementState="Removed", removal={"policy": "WhenUnused"})
        progressing = await site.becomes("Progressing", "True", "Removing")
        assert progressing["message"].startswith("1 sets exist")
        await site.client.patch(DEPLOYMENTS, site.namespace, names.DEPLOYMENT, {"spec": {"replicas": 3}})

        async def healed() -> bool:
            return bool((await site.deployment())["spec"]["replicas"] == 2)

        await site.until(healed, seconds=30)
        await asyncio.sleep(600)
        assert len(await site.ready_pods()) == 2
        await site.client.delete(LEADERWORKERSETS, "default", "set-0")
        await site.until(lambda: gone(site))
        await site.becomes("Progressing", "False", "AsExpected")
