"""``kubectl lws`` on DisaggregatedSets: what they wait for, their tree, their rollouts."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.disaggregatedset.revision import revision_of
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.arguments import DISAGGREGATEDSET, LEADERWORKERSET, UsageError, parse
from lws.cli.kubectl.commands import dispatch
from lws.cli.kubectl.disaggregatedset import render
from lws.cli.kubectl.disaggregatedset.explain import explain
from lws.cli.kubectl.disaggregatedset.picture import SetPicture
from lws.cli.kubectl.session import kind_of
from lws.cli.kubectl.terminal import Terminal
from lws.errors import ConfigurationError, LwsError, NotFoundError
from tests.acceptance.disaggregatedset.site import B, roles, site
from tests.api.disaggregatedset.making import ds, external, role, scaler
from tests.cli.sessions import session
from tests.planning.disaggregatedset.world import OLD, child, snapshot
from tests.simulation.cluster import manifest
from tests.virtual import virtual_time

SEEN: JSON = {"observedGeneration": 1}
TWO = ds(role("a", 2), role("b", 2), status=SEEN)
T = revision_of(TWO.raw_roles)


def text(renderable: Any) -> str:
    """What a terminal of 200 columns would show."""
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def waits(made: Any, *children: Any, **more: Any) -> tuple[str, ...]:
    """What a set with these children waits for."""
    return explain(SetPicture(snapshot(made, *children, **more)))


def test_a_healthy_set_waits_for_nothing() -> None:
    """Every role with its groups, ready and current."""
    assert waits(TWO, child(TWO, "a", 2), child(TWO, "b", 2)) == ()


def test_what_a_set_waits_for() -> None:
    """The edit that nobody has seen, a child that is missing, a count that is due, a rollout under way."""
    unseen = ds(role("a", 2), role("b", 2))
    (sentence,) = waits(unseen, child(unseen, "a", 2), child(unseen, "b", 2))
    assert sentence.startswith("The controller has not acted on the last edit yet (generation 1, seen 0)")
    assert waits(TWO, child(TWO, "a", 2)) == (f"Slice 0: LeaderWorkerSet x-0-{T}-b does not exist.",)
    assert waits(TWO, child(TWO, "a", 2), child(TWO, "b", 2, deleting=True)) == (
        f"Slice 0: LeaderWorkerSet x-0-{T}-b is being deleted.",
    )
    assert waits(TWO, child(TWO, "a", 1), child(TWO, "b", 2)) == (
        f"Slice 0: x-0-{T}-a is to be scaled from 1 to 2 groups.",
    )
    old = [child(TWO, name, 2, revision=OLD, initial="2") for name in ("a", "b")]
    assert waits(TWO, *old, child(TWO, "a", 1, ready=0), child(TWO, "b", 1)) == (
        (
            f"Slice 0: rolls to revision {T}: a 2 old and 1 of 2 new (at most 1 more, 0 fewer), b 2 old and 1 of 2 new "
            f"(at most 1 more, 0 fewer); it waits for x-0-{T}-a to be ready."
        ),
    )


def test_why_a_set_is_blocked() -> None:
    """The condition is told, a missing scaler and a template that nobody can read too."""
    blocked = {
        **SEEN,
        "conditions": [{"type": "Blocked", "status": "True", "reason": "ChildRejected", "message": "LWS c: no"}],
    }
    made = ds(external("a"), role("b", 2), status=blocked)
    assert waits(made, child(made, "a", 0), child(made, "b", 2)) == (
        "It is blocked (ChildRejected): LWS c: no.",
        "Role a is External and has no scaler x-a of its own; nothing rolls until it has.",
    )
    assert waits(TWO, fault="spec.roles[0]: no quantity") == (
        "Its templates cannot be read: spec.roles[0]: no quantity.",
    )
    scaled = ds(external("a"), role("b", 2), status=SEEN)
    assert waits(scaled, child(scaled, "a", 3), child(scaled, "b", 2), scalers=(scaler("a", 3),)) == ()


def test_conditions_have_lines_of_their_own() -> None:
    """A long message of a condition stretches no bar above it."""
    message = "LWS c: " + "no " * 20
    blocked = {**SEEN, "conditions": [{"type": "Blocked", "status": "True", "reason": "Any", "message": message}]}
    shown = text(render.status(SetPicture(snapshot(ds(role("a", 2), role("b", 2), status=blocked))))).splitlines()
    assert f"Blocked True: {message.strip()}" in shown
    (bar,) = (line for line in shown if line.startswith("a "))
    assert len(bar) < 80


def test_the_tree() -> None:
    """Slices, then each role's LeaderWorkerSet, old ones told apart."""
    drawn = text(render.tree(SetPicture(snapshot(TWO, child(TWO, "a", 2), child(TWO, "b", 1, revision=OLD)))))
    lines = [line.strip("├└│─ ") for line in drawn.splitlines()]
    assert lines == [
        f"DisaggregatedSet default/x  revision {T}",
        "slice 0",
        f"a  x-0-{T}-a  2/2 groups ready, revision {T}",
        f"b  x-0-{OLD}-b  1/1 groups ready, revision {OLD}  old",
    ]


def test_progress_and_history() -> None:
    """A rollout is a table of old, new and wanted groups with its budget; revisions are those that have children."""
    old = [child(TWO, name, 2, revision=OLD, initial="2") for name in ("a", "b")]
    picture = SetPicture(snapshot(TWO, *old, child(TWO, "a", 1), child(TWO, "b", 1)))
    shown = [line.split() for line in text(render.status(picture)).splitlines()]
    assert ["slice", "0", "old", "new", "wanted", "surge", "unavailable", "keeps"] in shown
    assert ["a", "2", "1", "2", "1", "0", "2"] in shown
    assert [line.split()[:3] for line in text(render.history(picture)).splitlines()[1:]] == [
        [OLD, "0", "a"],
        [OLD, "0", "b"],
        [T, "(current)", "0"],
        [T, "(current)", "0"],
    ]


@virtual_time
async def test_commands_on_a_cluster() -> None:
    """Names find their kind, and every command tells of a rollout that waits for room and of one that is done."""
    async with site() as found:
        stream = io.StringIO()

        async def run(*words: str) -> int:
            kind = await kind_of(found.client, "default", parse(words))
            made, _ = session(found.client, " ".join(words), Terminal(stream, {"COLUMNS": "200"}), kind=kind)
            return await dispatch(made)

        await found.create(*roles(2, 2))
        await found.available()
        for words in (("explain-stuck",), ("status",), ("status", "-w"), ("rollout", "status"), ("tree",)):
            assert await run(*words, "x") == 0
        for number in range(2):
            await found.sandbox.drills.node_cordon(f"node-{number}")
        await found.edit(*roles(2, 2, "3.10"))
        await found.until(lambda: found.has_replicas(B, prefill=1, decode=1))
        await asyncio.sleep(5)
        stream.truncate(0)
        assert await run("explain-stuck", "x") == 1
        assert await run("tree", "disaggregatedset/x") == 0
        assert await run("rollout", "history", "x") == 0
        with pytest.raises(LwsError, match="timed out"):
            await run("rollout", "status", "x", "--timeout=5s")
        told = stream.getvalue()
        assert f"it waits for x-0-{B}-prefill and x-0-{B}-decode to be ready." in told
        assert "x-0-c49d2f9c-prefill-0" in told
        with pytest.raises(ConfigurationError, match="a DisaggregatedSet cannot be undone"):
            await run("rollout", "undo", "x")
        await found.client.delete(DISAGGREGATEDSETS, "default", "x")
        with pytest.raises(NotFoundError):
            await run("tree", "disaggregatedset/x")


@virtual_time
async def test_which_kind_a_name_means() -> None:
    """A name alone is a LeaderWorkerSet's if there is one; a kind before it decides."""
    async with site() as found:
        await found.client.create(LEADERWORKERSETS, manifest("x", replicas=1, size=1))
        await found.create(*roles(1, 1))
        await found.create(*roles(1, 1), name="y")
        for name, kind in (
            ("x", LEADERWORKERSET),
            ("lws/x", LEADERWORKERSET),
            ("disaggregatedsets/x", DISAGGREGATEDSET),
            ("y", DISAGGREGATEDSET),
            ("nobody", LEADERWORKERSET),
        ):
            assert await kind_of(found.client, "default", parse(["tree", name])) == kind


@pytest.mark.parametrize(
    "name", ["disaggregatedset/x", "DisaggregatedSets/x", "disaggregatedsets.disaggregatedset.x-k8s.io/x"]
)
def test_a_set_is_named_as_in_kubectl(name: str) -> None:
    """Singular, plural, and plural with group, in any case; another kind is refused."""
    assert (parse(["tree", name]).kind, parse(["tree", name]).name) == ("disaggregatedset", "x")
    with pytest.raises(UsageError, match="only LeaderWorkerSets and DisaggregatedSets"):
        parse(["tree", "deployment/x"])
