"""What ``kubectl lws`` draws."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from lws.apimachinery.objects import Condition
from lws.cli.kubectl import render
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.terminal import Terminal
from lws.planning.leaderworkerset import conditions
from tests.planning.diagnosis_facts import (
    group,
    healthy,
    leader_set,
    pod,
    revision,
    set_facts,
    terminated,
    with_group_0,
)


def text(renderable: Any, width: int = 200) -> str:
    """What a terminal of that many columns would show."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def updating() -> Observation:
    """Three groups of the old revision, the last of four is new."""
    groups = (*(group(index, key="old") for index in range(3)), group(3))
    facts = healthy(4, groups=groups, leader_set=leader_set(4, 3))
    return Observation(facts, (revision(1, "old", "app:1"), revision(2, "new", "app:2")))


def test_tree_shows_groups_pods_nodes_and_revisions() -> None:
    """The tree names every group, pod, node and revision, and marks what is old or missing."""
    facts = updating().facts
    incomplete = replace(facts, groups=(*facts.groups[:3], group(3, worker=None)))
    drawn = text(render.tree(incomplete))
    for part in ("ns/s", "3/4 groups ready", "group 0", "old", "s-0-1", "node-1", "s-3-1  missing", "new"):
        assert part in drawn


def test_tree_says_why_a_pod_is_not_ready_and_who_owns_the_set() -> None:
    """The reason of the diagnosis stands beside its pod."""
    crashing = pod("s-0", group=0, worker=0, status=terminated(9))
    owner = {"kind": "LLMInferenceService", "name": "pd", "uid": "x", "controller": True}
    facts = with_group_0(group(0, crashing), lws=set_facts(metadata={"ownerReferences": [owner]}))
    drawn = text(render.tree(facts))
    assert "s-0  node-1  Running  has failing container main: it exited with code 9" in drawn
    assert "owned by LLMInferenceService pd: change it there" in drawn


def test_tree_of_a_huge_group_is_short() -> None:
    """A size of a thousand million draws eight missing pods and a number."""
    huge = replace(group(0, worker=None), size=1_000_000_000)
    assert len(text(render.tree(with_group_0(huge))).splitlines()) < 20


def test_surge_is_no_part_of_the_wanted() -> None:
    """Never "4/3 ready": what is beyond the wanted groups is counted apart."""
    groups = tuple(group(index) for index in range(3))
    facts = healthy(2, groups=groups, lws=set_facts(2, ready=3, updated=3, present=3))
    assert "2/2 (+1 surge) groups ready" in text(render.tree(facts))
    drawn = text(render.status(facts))
    assert "2/2 (+1 surge)" in drawn
    assert "3/2" not in drawn


def test_a_false_condition_does_not_speak_the_words_of_true() -> None:
    """The reference leaves "All replicas are ready" in an Available that is False; it is not shown."""
    conditions = (
        Condition(type="Available", status="False", message="All replicas are ready"),
        Condition(type="Progressing", status="True", message="Replicas are progressing"),
        Condition(type="Degraded", status="False", message="1 group failed"),
    )
    drawn = text(render.status(healthy(lws=set_facts(conditions=conditions))))
    assert "All replicas are ready" not in drawn
    assert "Progressing True: Replicas are progressing" in drawn
    assert "Degraded False: 1 group failed" in drawn


def test_the_words_of_true_are_those_that_are_written() -> None:
    """What is passed over in a False condition is exactly what the controller writes into a True one."""
    assert {kind: message for kind, (_, message) in conditions.TEXTS.items()} == render.TRUE_WORDS


def test_history_shows_groups_and_what_each_revision_changed() -> None:
    """Every stored revision is listed with its images and groups, and the change as a diff (S6)."""
    lines = text(render.history(updating())).splitlines()
    assert any("old" in line and "app:1" in line and "0, 1, 2" in line for line in lines)
    assert any("new (current)" in line and "app:2" in line and line.rstrip().endswith("3") for line in lines)
    assert [line.rstrip() for line in lines if line.startswith(("-", "+"))] == [
        "--- revision 1",
        "+++ revision 2",
        "-      - image: app:1",
        "+      - image: app:2",
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_nothing_is_cut_off_in_a_narrow_terminal(width: int) -> None:
    """In 60 columns every word of the status is there, wrapped."""
    crashing = pod("s-0", group=0, worker=0, status=terminated(9, message="no model in /models"))
    conditions = (Condition(type="Blocked", status="True", message="StatefulSet s is not controlled by this set"),)
    facts = with_group_0(group(0, crashing), lws=set_facts(conditions=conditions))
    words = " ".join(text(render.status(facts), width).split())
    assert "has failing container main: it exited with code 9: no model in /models." in words
    assert "Blocked True: StatefulSet s is not controlled by this set" in words
    assert "…" not in words


@pytest.mark.parametrize(
    ("columns", "width"), [("", 160), ("wide", 160), ("-3", 160), ("0", 160), ("³", 160), ("4", 20), ("40", 40)]
)
def test_columns_that_make_no_sense_are_passed_over(columns: str, width: int) -> None:
    """Out of a pipe the width is that of COLUMNS, if it is a number that text fits into."""
    assert Terminal(io.StringIO(), {"COLUMNS": columns}).console.width == width
    assert Terminal(io.StringIO(), {}).console.width == 160


def test_what_the_output_cannot_encode_is_a_question_mark() -> None:
    """Where only ASCII can be printed a tree is drawn in ASCII."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    terminal = Terminal(stream, {})
    terminal.picture(render.tree(healthy()))
    stream.flush()
    assert b"+-- ? group 0" in raw.getvalue()


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False), ("", False)])
def test_a_dumb_terminal_is_not_drawn_over(term: str, live: bool) -> None:
    """Only a terminal that can move its cursor shows pictures in place."""

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert Terminal(Tty(), {"TERM": term}).live is live
