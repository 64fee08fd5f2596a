"""What a DisaggregatedSet costs: writes of a rollout, and nothing at all at rest (disaggregatedset 12.3)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.acceptance.disaggregatedset.site import B, roles, site
from tests.acceptance.support import Tally, by_kind, figure
from tests.virtual import virtual_time

PAIR = ("prefill", "decode")


@pytest.mark.long
@virtual_time
async def test_writes_of_a_rollout() -> None:
    """Each step is one patch a role, each child is made, noted and deleted once, each status write tells something."""
    async with site() as found:
        await found.create(*roles(4, 4))
        await found.available()
        found.mark()
        since = len(found.cluster.writes)
        await found.edit(*roles(4, 4, "3.10"))
        await found.available()
        steps = found.steps(B, PAIR).count("→")
        writes = [each for each in found.cluster.counted(since) if _is_ours(each.resource, each.name)]
        counts = Counter(f"{each.method} {each.resource}" for each in writes)
        scaling = counts["PATCH leaderworkersets"] - 2
        told = figure(
            f"rollout of 4,4 with 1/0: {steps} steps, {scaling} scaling writes, {counts['POST leaderworkersets']} "
            f"children made, {counts['DELETE leaderworkersets']} deleted, {counts['PATCH disaggregatedsets/status']} "
            f"status writes, {len(writes)} writes in all"
        )
        assert steps == 8, told
        assert scaling == 2 * steps, told
        assert counts["POST leaderworkersets"] == counts["DELETE leaderworkersets"] == 2, told
        assert counts["POST services"] == counts["DELETE services"] == 2, told
        assert counts["PATCH disaggregatedsets/status"] <= 6 * steps, told


def _is_ours(resource: str, name: str) -> bool:
    of_services = resource == "services" and name.endswith("-prv")
    return resource == "leaderworkersets" or resource.startswith("disaggregatedset") or of_services


@virtual_time
async def test_nothing_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set at rest costs no request in ten minutes but renewed watches, and a touch one pass without any."""
    async with site() as found:
        tally = Tally(found.sandbox, monkeypatch)
        await found.create(*roles(2, 2), slices=2)
        await found.available()
        await asyncio.sleep(30)
        tally.clear()
        passes = found.gate.passes()
        await asyncio.sleep(600)
        assert by_kind(each for each in tally.of_controller() if each.verb != "WATCH") == "none"
        await found.touch()
        await asyncio.sleep(10)
        assert by_kind(each for each in tally.of_controller() if each.verb != "WATCH") == "none"
        assert found.gate.passes() == passes + 1


@virtual_time
async def test_a_pass_reads_caches_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pass of a whole rollout asks the server for anything: it writes, and watches tell the rest."""
    async with site() as found:
        await found.create(*roles(2, 2))
        await found.available()
        tally = Tally(found.sandbox, monkeypatch)
        await found.edit(*roles(2, 2, "3.10"))
        await found.available()
        reads = [each for each in tally.of_controller() if each.verb in ("GET", "WATCH")]
        ours = [each for each in reads if _is_ours(each.resource, each.name)]
        assert by_kind(ours) == "none"
