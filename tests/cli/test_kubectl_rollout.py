"""Pausing, resuming and undoing a rollout by what the API has."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl import rollout
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.progress import of_rollout
from lws.errors import ConfigurationError
from lws.planning.leaderworkerset.diagnosis.diagnose import PAUSED
from lws.planning.leaderworkerset.diagnosis.facts import GroupFacts, SetFacts
from tests.planning.diagnosis_facts import group, healthy, leader_set, pod, revision, set_facts

REVISIONS = (revision(1, "old", "app:1"), revision(2, "new", "app:2"))


def updating(groups: str, *, partition: int = 0, **spec: object) -> Observation:
    """Groups by letter: ``n`` is new, ``o`` old, ``e`` old and ending, ``-`` missing; surge beyond four."""
    made = tuple(_group(index, letter) for index, letter in enumerate(groups))
    lws = set_facts(4, **spec)  # type: ignore[arg-type]
    return Observation(healthy(4, lws=lws, groups=made, leader_set=leader_set(len(groups), partition)), REVISIONS)


def _group(index: int, letter: str) -> GroupFacts:
    if letter == "-":
        return group(index, None, None, workers=None)
    if letter == "e":
        meta = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
        return group(index, pod(f"s-{index}", group=index, worker=0, key="old", metadata=meta), None, key="old")
    return group(index, key="new" if letter == "n" else "old")


def written(patch: JSON) -> int:
    """The partition that a patch writes."""
    value: int = patch["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]["partition"]
    return value


def test_pause_and_resume_write_one_annotation() -> None:
    """Both are one merge patch of the annotation that the controller heeds, guarded by the resourceVersion."""
    assert rollout.pause(updating("ooon")) == {"metadata": {"resourceVersion": "7", "annotations": {ROLLOUT: "paused"}}}
    paused = updating("ooon", metadata={"annotations": {ROLLOUT: "paused"}})
    assert rollout.resume(paused) == {"metadata": {"resourceVersion": "7", "annotations": {ROLLOUT: None}}}


def test_r30_resume_undoes_the_pause_of_an_earlier_plugin() -> None:
    """R30: a pause that had raised the partition is undone with the partition that was there before."""
    earlier = updating("ooon", partition=3, metadata={"annotations": {PAUSED: "1"}})
    resumed = rollout.resume(earlier)
    assert (written(resumed), resumed["metadata"]["annotations"]) == (1, {PAUSED: None})
    both = updating("ooon", partition=3, metadata={"annotations": {PAUSED: "1", ROLLOUT: "paused"}})
    assert rollout.resume(both)["metadata"]["annotations"] == {PAUSED: None, ROLLOUT: None}


def test_pausing_twice_is_refused() -> None:
    """A second pause would change nothing, or forget the partition of the first."""
    with pytest.raises(ConfigurationError, match="paused already"):
        rollout.pause(updating("ooon", metadata={"annotations": {PAUSED: "0"}}))
    with pytest.raises(ConfigurationError, match="paused already"):
        rollout.pause(updating("ooon", metadata={"annotations": {ROLLOUT: "paused"}}))


def test_resuming_what_was_never_paused_is_refused() -> None:
    """A user's own canary partition is not taken away (K8)."""
    observation = updating("ooon", partition=3)
    lws = replace(observation.facts.lws, partition=3)
    with pytest.raises(ConfigurationError, match="not paused; its own partition 3 holds groups back"):
        rollout.resume(replace(observation, facts=replace(observation.facts, lws=lws)))
    with pytest.raises(ConfigurationError, match=r"is not paused$"):
        rollout.resume(updating("nnnn"))


def test_undo_puts_the_earlier_template_back_if_nobody_edits_meanwhile() -> None:
    """Undo writes the newest other revision's template, guarded by the resourceVersion, without the patch marker."""
    for number in (0, 1):
        patch = rollout.undo(updating("ooon"), number)
        assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
        assert patch[1]["path"] == "/spec/leaderWorkerTemplate"
        assert patch[1]["value"] == {"size": 2, "workerTemplate": {"spec": {"containers": [{"image": "app:1"}]}}}


def test_undo_without_an_earlier_revision_says_what_to_do() -> None:
    """When no other revision is stored any more, the remedy is named."""
    observation = replace(updating("nnnn"), revisions=REVISIONS[1:])
    with pytest.raises(ConfigurationError, match="apply the earlier manifest instead"):
        rollout.undo(observation)
    with pytest.raises(ConfigurationError, match="revision 9"):
        rollout.undo(observation, 9)


def numbers(**values: int) -> SetFacts:
    """A set of four groups with these numbers in its status."""
    return set_facts(4, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lws", "text", "complete"),
    [
        (set_facts(4, metadata={"generation": 2}), "Waiting for the set's latest edit to be observed...", False),
        (numbers(updated=1), "Waiting for rollout to finish: 1 out of 4 groups have been updated...", False),
        (numbers(present=5), "Waiting for rollout to finish: 1 of 5 groups are pending termination...", False),
        (numbers(present=3), "Waiting for rollout to finish: 3 of 4 groups exist...", False),
        (numbers(ready=2), "Waiting for rollout to finish: 2 of 4 groups are ready...", False),
        (numbers(partition=3, updated=1), "partitioned roll out complete: 1 new groups have been updated...", True),
        (numbers(), 'leaderworkerset "s" successfully rolled out', True),
    ],
)
def test_progress_is_told_as_kubectl_does(lws: SetFacts, text: str, complete: bool) -> None:
    """What is waited for comes from the status, in the order in which it happens."""
    found = of_rollout(lws)
    assert (found.text, found.complete) == (text, complete)


def test_a_status_that_names_no_generation_is_taken_at_its_word() -> None:
    """With the CRD of v0.7.0 a rollout ends as well (W9)."""
    lws = msgspec.structs.replace(set_facts(4).metadata, generation=7)
    assert of_rollout(replace(set_facts(4), metadata=lws, observed_generation=None)).complete
