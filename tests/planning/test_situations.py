"""60 situations: the diagnosis names the object to look at, and what to do (issue: status that says why)."""

from __future__ import annotations

from collections import Counter

import pytest
from hack import situations as page

from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.findings import Reason
from lws.planning.leaderworkerset.diagnosis.words import sentences
from tests.planning.situations import PAIRS, SITUATIONS, Situation, facts_of

IDS = [one.title for one in SITUATIONS]


@pytest.mark.parametrize("one", SITUATIONS, ids=IDS)
def test_each_situation_names_its_object_and_its_remedy(one: Situation) -> None:
    """The reason is found, and its sentence says what to look at and what to do."""
    facts = facts_of(one)
    assert one.reason in {found.reason for found in diagnose(facts)}
    text = " ".join(sentences(diagnose(facts)))
    assert one.look.format(i=0) in text or one.look.format(i=0).capitalize() in text
    assert one.remedy.format(i=0) in text


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{IDS[one]} + {IDS[two]}" for one, two in PAIRS])
def test_of_two_situations_both_are_told_the_cause_first(pair: tuple[int, int]) -> None:
    """Two groups with different troubles: neither hides the other, and the earlier reason comes first."""
    both = [SITUATIONS[number] for number in pair]
    said = sentences(diagnose(facts_of(*both)))
    places = []
    for index, one in enumerate(both):
        names = (one.look.format(i=index), one.look.format(i=index).capitalize())
        found = [place for place, text in enumerate(said) if any(name in text for name in names)]
        assert found, (one.title, said)
        assert one.remedy.format(i=index) in " ".join(said)
        places.append(min(found))
    first, second = (one.reason for one in both)
    if (
        Reason.UNADMITTED not in (first, second)
        and "deleted set" not in both[0].title + both[1].title
        and first != second
    ):
        assert (places[0] < places[1]) == (first < second), said


def test_every_reason_of_a_group_has_a_situation() -> None:
    """Each reason of resilience 4 is in the table in two forms at least.

    WaitingForLeader is none of them: a leader that is waited for has a reason of its own, which is told in its place.
    """
    of_groups = set(Reason) - {
        Reason.DELETING,
        Reason.BLOCKED,
        Reason.NOT_APPLIED,
        Reason.EXHAUSTED,
        Reason.WAITING_FOR_LEADER,
        Reason.ROLLOUT,
        Reason.ROLLOUT_HELD,
    }
    forms = Counter(one.reason for one in SITUATIONS)
    assert forms.keys() == of_groups
    assert min(forms.values()) >= 2
    assert len(SITUATIONS) + len(PAIRS) >= 60
    assert len(set(IDS)) == len(IDS)


def test_the_page_is_what_the_diagnosis_says() -> None:
    """docs/diagnosis.md is generated from this table."""
    assert (page.ROOT / page.PAGE).read_text() == page.render()
