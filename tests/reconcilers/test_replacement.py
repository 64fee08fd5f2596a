"""The count of terminating groups, kept event by event (next 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from msgspec.structs import replace

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.planning.leaderworkerset.groups import terminating_groups
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.reconcilers.leaderworkerset.replacement import GroupCounts
from tests.planning import making

SET = (making.NAMESPACE, making.NAME)


def pod_of(group: str, index: int, random: Random) -> Pod:
    """A pod of a group as chance has it: ending or not, let go by its controller or not."""
    marks = {labels.NAME: making.NAME, labels.GROUP_INDEX: group, labels.WORKER_INDEX: str(index)}
    meta = making.worker(0, 1, "key").metadata
    changed = replace(
        meta,
        name=f"{group}-{index}",
        labels=marks,
        annotations={labels.GROUP_IDENTITY: "Hash"},
        deletion_timestamp=random.choice([None, making.STAMP]),
        owner_references=random.choice([meta.owner_references, ()]),
    )
    return Pod(metadata=changed)


def test_the_count_is_that_of_the_pods_that_there_are() -> None:
    """Whatever comes, changes and goes, the count is what a look at all pods would find; of none nothing is kept."""
    random, heard = Random(7), list[Callable[..., Any]]()
    caches = SimpleNamespace(pods=SimpleNamespace(on_change=heard.append))
    counts, there = GroupCounts(cast("Caches", caches)), dict[tuple[str, int], Pod]()
    for _ in range(600):
        at = (random.choice("abcd"), random.randint(0, 2))
        old, new = there.pop(at, None), pod_of(*at, random) if random.random() < 0.6 else None
        if new is not None:
            there[at] = new
        if old is not None or new is not None:
            heard[0](old, new, False)
        assert counts.terminating(SET) == terminating_groups(there.values())
    for pod in there.values():
        heard[0](pod, None, False)
    assert (counts.terminating(SET), len(counts)) == (0, 0)
