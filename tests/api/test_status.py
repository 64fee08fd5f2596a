"""What a status says beyond the reference's (resilience 2.2, 3.1, 4)."""

from __future__ import annotations

from lws.api.leaderworkerset.status import Failure, GroupRestarts, GroupStatus, RolloutStatus
from lws.api.leaderworkerset.types import LeaderWorkerSetStatus
from lws.planning.leaderworkerset.status import as_json

FULL = {
    "failures": [{"time": "2026-08-01T12:00:00Z", "group": "1", "leaderUID": "u", "exitCode": 137, "ranSeconds": 3}],
    "groups": [{"index": "3", "state": "BackOff", "nextRetryTime": "2026-08-01T12:00:00Z"}],
    "groupsNotShown": 2,
    "restarts": [{"index": "1", "leaderUID": "u", "restarts": 3}],
    "rollout": {"progressTime": "2026-08-01T12:00:00Z"},
}


def test_what_is_written_reads_the_same() -> None:
    """Every member survives being written and read."""
    status = LeaderWorkerSetStatus.model_validate(FULL)
    assert as_json(status) == FULL
    assert status.failures == (
        Failure(time="2026-08-01T12:00:00Z", group="1", leader_uid="u", exit_code=137, ran_seconds=3),
    )
    assert status.restarts == (GroupRestarts(index="1", leader_uid="u", restarts=3),)
    assert status.groups == (GroupStatus(index="3", state="BackOff", next_retry_time="2026-08-01T12:00:00Z"),)
    assert status.rollout == RolloutStatus(progress_time="2026-08-01T12:00:00Z")


def test_nothing_is_written_that_says_nothing() -> None:
    """R01: a status without any of it is written as the reference writes it."""
    assert as_json(LeaderWorkerSetStatus(replicas=1)) == {"replicas": 1}
