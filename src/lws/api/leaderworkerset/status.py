"""What the status of a LeaderWorkerSet says beyond counters and conditions (resilience 2.2, 3.1, 4, 5, 6.3).

A group is named by its index, as text: with group identity Hash it is the beginning of its key. Times are as the API
writes them. A server whose CustomResourceDefinition is the reference's prunes all of this.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lws.api.customresource import Model
from lws.api.fields import Shape, int32, text

MOST_FAILURES: Final = 10
MOST_RESTARTS: Final = 100
MOST_GROUPS: Final = 20
MESSAGE_BYTES: Final = 512  # of a failure
MOST_SUSPECTS: Final = 20
GROUP_MESSAGE_BYTES: Final = 256


def moment() -> Shape:
    """A time, as the API writes it."""
    return Shape({"type": "string", "format": "date-time"})


class Failure(Model):
    """Why one group was recreated: the pod whose fault came first, and how it failed (resilience 2.1)."""

    required = ("group", "time")

    time: Annotated[str, moment()] = Field("", description="When it was decided to recreate the group.")
    group: Annotated[str, text()] = Field("", description="The group, by its index.")
    leader_uid: Annotated[str, text()] = Field(
        "", description="UID of the leader pod that the group had.", alias="leaderUID"
    )
    revision: Annotated[str, text()] = Field("", description="Key of the group's revision.")
    restarts: Annotated[int, int32()] = Field(
        0, description="Number of this failure since the group was last settled; 0 if it does not count."
    )
    pod: Annotated[str, text()] = Field("", description="The pod whose fault came first.")
    node: Annotated[str, text()] = Field("", description="The node that it was on.")
    container: Annotated[str, text()] = Field("", description="Its container that ended, init containers included.")
    reason: Annotated[str, text()] = Field("", description="The kubelet's reason, or NodeLost, Deleted or Vanished.")
    exit_code: Annotated[int, int32()] = Field(0, description="With which the container ended.")
    signal: Annotated[int, int32()] = Field(0, description="That ended the container, where the runtime tells.")
    message: Annotated[str, text()] = Field("", description="Last words of the container, or of who ended the pod.")
    ran_seconds: Annotated[int, int32()] = Field(0, description="For how long the container had run.")
    also_failed: Annotated[int, int32()] = Field(0, description="Other pods of the group that failed with it.")
    healed: Annotated[bool, Shape({"type": "boolean"})] = Field(
        False, description="The group became ready again without being recreated."
    )


class GroupRestarts(Model):
    """How often an unsettled group failed, and until when it waits (resilience 3)."""

    required = ("index",)

    index: Annotated[str, text()] = Field("", description="The group, by its index.")
    leader_uid: Annotated[str, text()] = Field(
        "", description="UID of the leader pod that failed last.", alias="leaderUID"
    )
    restarts: Annotated[int, int32()] = Field(0, description="Failures since the group was last settled.")
    time: Annotated[str, moment()] = Field("", description="When it failed last.")
    next_retry_time: Annotated[str, moment()] = Field("", description="When it will be recreated, while it waits.")


class GroupStatus(Model):
    """A group that is not as wanted, and why (resilience 4)."""

    required = ("index",)

    index: Annotated[str, text()] = Field("", description="The group, by its index.")
    state: Annotated[str, text()] = Field("", description="NotReady, Terminating, BackOff, Failed or Missing.")
    reason: Annotated[str, text()] = Field("", description="What keeps it from being ready, in one word.")
    message: Annotated[str, text()] = Field("", description="The same in a sentence, with the remedy if there is one.")
    pod: Annotated[str, text()] = Field("", description="The pod to look at.")
    node: Annotated[str, text()] = Field("", description="The node that it is on.")
    since: Annotated[str, moment()] = Field("", description="Since when the group has not been ready.")
    restarts: Annotated[int, int32()] = Field(0, description="Failures since the group was last settled.")
    next_retry_time: Annotated[str, moment()] = Field("", description="When it will be recreated, while it waits.")


class Evacuation(Model):
    """The group that is being moved off a node that is to be emptied (resilience 6.3)."""

    required = ("group",)

    group: Annotated[str, text()] = Field("", description="The group, by its index.")
    leader_uid: Annotated[str, text()] = Field(
        "", description="UID of the leader pod that it had when it was chosen.", alias="leaderUID"
    )
    since: Annotated[str, moment()] = Field("", description="When it was chosen.")
    without_extra: Annotated[bool, Shape({"type": "boolean"})] = Field(
        False, description="An extra group found no room, so that groups are moved within the disruption budget."
    )


class SuspectNode(Model):
    """A node that the set's recreated groups avoid, and why (resilience 6.5)."""

    required = ("node",)

    node: Annotated[str, text()] = Field("", description="Its name.")
    reason: Annotated[str, text()] = Field("", description="Incidents, UnexpectedAdmissionError, or a condition of it.")
    since: Annotated[str, moment()] = Field("", description="When the last of them came about.")
    until: Annotated[str, moment()] = Field("", description="When that ends by itself, unless more comes.")


class RolloutStatus(Model):
    """What a rollout with a deadline, or without capacity for its surge, has to remember (resilience 5)."""

    revision: Annotated[str, text()] = Field("", description="Key of the revision that is being rolled out.")
    progress_time: Annotated[str, moment()] = Field("", description="When a group last became updated and ready.")
    fallback: Annotated[bool, Shape({"type": "boolean"})] = Field(
        False, description="Surge found no capacity, so groups are taken down one by one."
    )
