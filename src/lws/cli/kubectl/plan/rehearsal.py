"""What is asked of a rehearsal and what it answers. Where it happens is the sandbox, a distribution of its own.

The product does not import the sandbox: `rehearse` looks for it by name when a plan is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, cast

from lws.cli.kubectl.plan.edit import Edit
from lws.cli.kubectl.plan.world import World
from lws.errors import ConfigurationError
from lws.planning.leaderworkerset.course import Place, SetCourse

SANDBOX: Final = "lws_sandbox"
REHEARSAL: Final = f"{SANDBOX}.rehearsal.stage"
START_UP: Final = 30.0  # seconds that a pod is assumed to take where no live pod tells
Kind = Literal["edit", "drain", "upgrade"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to rehearse.

    Attributes:
        kind: of the change.
        world: a copy of the cluster.
        now: the time of day there: which Hash group goes first is a matter of ages.
        edited: of an edit: the objects as they would be written; sets, or scalers of roles.
        nodes: of a drain.
        start_up: seconds from a container's start until its pod is ready.
    """

    kind: Kind
    world: World
    now: datetime
    edited: tuple[Edit, ...] = ()
    nodes: tuple[str, ...] = ()
    start_up: float = START_UP


@dataclass(frozen=True, slots=True)
class Write:
    """A write of the controller to an object of a set: what, and which members it changed."""

    verb: str
    kind: str
    name: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """How it went with a DisaggregatedSet.

    Attributes:
        before: its revision when the change was made; empty for a new one.
        after: its revision at the end.
        whole: the course of all its pods.
        roles: the courses of each role's pods, by role.
        waits: what it waits for at the end; empty if it is as wanted.
        writes: of the controller to itself, its Services and its scalers.
    """

    before: str = ""
    after: str = ""
    whole: SetCourse = field(default_factory=lambda: SetCourse("", ""))
    roles: Mapping[str, SetCourse] = field(default_factory=dict)
    waits: tuple[str, ...] = ()
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went.

    Attributes:
        courses: of every LeaderWorkerSet of the world, and of new ones.
        roles: of every DisaggregatedSet of the world, and of a new one.
        owners: DisaggregatedSet and role of the LeaderWorkerSets that have one.
        waits: LeaderWorkerSets that are not as wanted at the end, with what they wait for.
        keys: of the sets' current revisions at the end.
        refused: the words with which the edit was refused; empty if it was not.
        warnings: of admission.
        writes: of the controller, by set.
        stuck: nodes that could not be drained, with the reason.
        seconds: until nothing happened any more.
        restless: sets of which something restarted before the change was made: the copy is not true to them.
    """

    courses: Mapping[Place, SetCourse] = field(default_factory=dict)
    roles: Mapping[Place, Roles] = field(default_factory=dict)
    owners: Mapping[Place, tuple[str, str]] = field(default_factory=dict)
    waits: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
    keys: Mapping[Place, str] = field(default_factory=dict)
    refused: str = ""
    warnings: tuple[str, ...] = ()
    writes: Mapping[Place, tuple[Write, ...]] = field(default_factory=dict)
    stuck: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    restless: tuple[Place, ...] = ()


def check_installed() -> None:
    """See that rehearsals are possible.

    Raises:
        ConfigurationError: the sandbox is not installed.
    """
    if importlib.util.find_spec(SANDBOX) is None:
        raise ConfigurationError("a plan is rehearsed on the sandbox, which is not installed: pip install lws-sandbox")


def rehearse(request: Request) -> Outcome:
    """Make the change on a copy of the cluster, in virtual time, with this version's controller; blocks for seconds.

    Raises:
        ConfigurationError: the sandbox is not installed.
    """
    check_installed()
    stage = importlib.import_module(REHEARSAL)
    return cast("Outcome", stage.rehearse(request))
