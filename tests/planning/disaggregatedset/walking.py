"""Walks rollouts step by step and watches capacity and ceiling; also a command for very many of them.

``python -m tests.planning.disaggregatedset.walking --count 100000`` walks that many random rollouts, and as many from
random states in the middle, and exits 1 at the first that breaks a promise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

from lws.planning.disaggregatedset.guard import floor, guarded_step
from lws.planning.disaggregatedset.step import RoleState, Step

Planner = Callable[[Sequence[RoleState]], Step | None]
Roles = tuple[RoleState, ...]

PACES = ((1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (2, 1), (3, 0))
ENDLESS = 400  # steps; sixteen groups in four roles need fewer


def walk(planner: Planner, roles: Roles) -> Iterator[Roles]:
    """Every state of a rollout, the given one first, assuming that each step completes."""
    for _ in range(ENDLESS):
        yield roles
        step = planner(roles)
        if step is None:
            return
        roles = tuple(
            replace(role, old=min(role.old, old), new=max(role.new, new))
            for role, old, new in zip(roles, step.old, step.new, strict=True)
        )
    raise AssertionError(f"no end: {roles}")


def shown(states: Sequence[Roles]) -> str:
    """States as the specification writes them."""
    return " → ".join(
        ",".join(str(role.old) for role in roles) + "·" + ",".join(str(role.new) for role in roles) for roles in states
    )


def broken(states: Sequence[Roles]) -> str:
    """The first promise that a guarded rollout breaks; empty when it keeps them all."""
    for before, after in pairwise(states):
        for old, new in zip(before, after, strict=True):
            if new.old < old.old and new.old + old.new < floor(old):
                return f"below the floor: {old} -> {new}"
            limit = max(old.initial, old.target) + old.surge
            if old.target and new.new > old.new and old.old + new.new > max(limit, old.old + old.new):
                return f"above the ceiling: {old} -> {new}"
    stuck = [role for role in states[-1] if role.old or role.new < role.target]
    return f"stuck: {states[-1]}" if stuck else ""


def fresh(random: Random) -> Roles:
    """A rollout at its beginning: two to four roles, some of them added or removed."""
    roles = []
    for _ in range(random.randint(2, 4)):
        initial, target = random.randint(1, 16), random.randint(1, 16)
        kind = random.random()
        surge, unavailable = random.choice(PACES)
        if kind < 0.1:
            roles.append(RoleState(0, 0, 0, target, surge, unavailable))
        elif kind < 0.2:
            roles.append(RoleState(initial, initial, 0, 0))
        else:
            roles.append(RoleState(initial, initial, 0, target, surge, unavailable))
    return tuple(roles)


def midway(random: Random) -> Roles:
    """A rollout whose targets were changed in its middle."""
    return tuple(
        replace(
            role,
            old=random.randint(0, role.old),
            new=random.randint(0, 16) if role.target else 0,
            target=random.randint(1, 16) if role.target else 0,
        )
        for role in fresh(random)
    )


def main(arguments: list[str] | None = None) -> int:
    """Walk many rollouts; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="rollouts of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    random, steps = Random(options.seed), 0
    for make in (fresh, midway):
        for number in range(options.count):
            roles = make(random)
            states = list(walk(guarded_step, roles))
            steps += len(states) - 1
            found = broken(states)
            if found:
                sys.stderr.write(f"{make.__name__} {number} of seed {options.seed}: {roles}: {found}\n")
                return 1
    sys.stdout.write(f"{2 * options.count} rollouts, {steps} steps, no promise broken\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
