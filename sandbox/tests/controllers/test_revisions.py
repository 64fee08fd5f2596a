"""ControllerRevisions of StatefulSets: names by content, equality, reuse, history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sandbox.tests.controllers.builders import statefulset

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.hashing import content_hash, go_json
from lws_sandbox.controllers.objects import name_of
from lws_sandbox.controllers.statefulset.revisions import (
    HASH_LABEL,
    new_revision,
    plan_revisions,
    restore,
    sort_revisions,
    surplus_revisions,
)

RECORDED = Path(__file__).parents[1] / "data" / "exchanges" / "controllers"


def _recorded_revisions() -> list[JSON]:
    found: dict[str, JSON] = {}
    for path in sorted(RECORDED.glob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            for event in step.get("events") or ():
                if event["object"]["kind"] == "ControllerRevision":
                    found[event["object"]["metadata"]["name"]] = event["object"]
    return list(found.values())


@pytest.mark.parametrize("revision", _recorded_revisions(), ids=name_of)
def test_names_are_those_of_a_real_controller(revision: JSON) -> None:
    """The hash in a revision's name comes from its data alone, as a real controller forms it."""
    assert name_of(revision).endswith("-" + content_hash(go_json(revision["data"])))
    assert revision["metadata"]["labels"][HASH_LABEL] == content_hash(go_json(revision["data"]))


def test_text_is_escaped_as_go_escapes_it() -> None:
    """Characters that Go escapes in JSON are escaped before hashing, or names would differ."""
    assert go_json({"b": "<&>", "a": 1}) == b'{"a":1,"b":"\\u003c\\u0026\\u003e"}'


def test_a_collision_gives_another_name() -> None:
    """A name that other content has taken is avoided by counting collisions into the hash."""
    assert name_of(new_revision(statefulset(), 1, 0)) != name_of(new_revision(statefulset(), 1, 1))


def test_the_first_revision_is_current_and_update() -> None:
    """A set without history starts with one new revision, number 1, that is both."""
    plan = plan_revisions(statefulset(), [])
    assert plan.create
    assert plan.update["revision"] == 1
    assert plan.current is plan.update
    assert plan.update["metadata"]["labels"]["app"] == "a"


def test_an_unchanged_template_makes_no_revision() -> None:
    """The newest revision is used while the template is unchanged."""
    first = new_revision(statefulset(), 1, 0)
    plan = plan_revisions(statefulset(), [first])
    assert not plan.create
    assert plan.raise_to is None
    assert plan.update is first


def _changed(image: str) -> JSON:
    changed = statefulset()
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return changed


def test_a_change_makes_the_next_revision_and_keeps_the_current_one() -> None:
    """A new template gets a new revision with the next number; the set still runs the one in its status."""
    first = new_revision(statefulset(), 1, 0)
    changed = _changed("app:2")
    changed["status"]["currentRevision"] = name_of(first)
    plan = plan_revisions(changed, [first])
    assert plan.create
    assert plan.update["revision"] == 2
    assert plan.current is first


def test_a_return_raises_the_old_revision() -> None:
    """Going back to an earlier template reuses its revision under the highest number."""
    first, second = new_revision(statefulset(), 1, 0), new_revision(_changed("app:2"), 2, 0)
    back = statefulset()
    back["status"]["currentRevision"] = name_of(second)
    plan = plan_revisions(back, [first, second])
    assert not plan.create
    assert (name_of(plan.update), plan.raise_to) == (name_of(first), 3)
    assert plan.current is second


def test_history_keeps_the_newest_unused_revisions() -> None:
    """Beyond the limit the oldest unused revisions go; used ones stay and do not count."""
    owner = statefulset(revisionHistoryLimit=1)
    revisions = sort_revisions(new_revision(_changed(f"app:{number}"), number, 0) for number in (3, 1, 2, 4))
    gone = surplus_revisions(owner, revisions, [name_of(revisions[0])])
    assert [item["revision"] for item in gone] == [2, 3]


def test_restoring_puts_the_template_back() -> None:
    """A revision gives back the template that it stored, and nothing of its patch directive."""
    first = new_revision(statefulset(), 1, 0)
    assert restore(_changed("app:2"), first)["spec"]["template"] == statefulset()["spec"]["template"]
