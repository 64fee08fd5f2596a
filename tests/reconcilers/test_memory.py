"""What is remembered of groups between two looks (`lws.reconcilers.leaderworkerset.memory`)."""

from __future__ import annotations

from lws.planning.leaderworkerset.members import MemberRecord
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from tests.planning import making

KEY = ("default", "sample-0")
LEADER = making.leader(0, "k")


def test_claimed_group_is_going_until_the_caches_show_it() -> None:
    """From the claim on the group is going for everyone; a leader that is seen going, gone or new ends it."""
    for seen in (making.leader(0, "k", deletion_timestamp=making.STAMP), None, making.leader(0, "k", uid="uid-new")):
        memory = GroupMemory()
        memory.claim(KEY, LEADER.metadata.uid)
        assert memory.going(KEY, LEADER) == LEADER.metadata.uid
        assert memory.going(KEY, LEADER) == LEADER.metadata.uid
        assert memory.going(KEY, seen) == ""
        assert len(memory) == 0


def test_refused_deletion_releases_the_group() -> None:
    """A release of this very claim ends it; one of an older leader does not."""
    memory = GroupMemory()
    memory.claim(KEY, "uid-leader-0")
    memory.release(KEY, "uid-of-former-leader")
    assert memory.going(KEY, LEADER) == "uid-leader-0"
    memory.release(KEY, "uid-leader-0")
    assert memory.going(KEY, LEADER) == ""


def test_nothing_is_kept_of_a_group_that_is_gone() -> None:
    """Records come and go with their leader."""
    memory = GroupMemory()
    record = MemberRecord("uid-leader-0", "uid-workers-0", {1: "a"})
    memory.remember(KEY, record)
    assert memory.record(KEY) == record
    memory.forget(KEY)
    assert (memory.record(KEY), len(memory)) == (None, 0)
