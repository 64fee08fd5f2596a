"""Run simulated lives: ``python -m tests.simulation --seeds 200``, or one again: ``--seed 17``.

With ``--roles`` a DisaggregatedSet lives beside the LeaderWorkerSet.

With ``--crashes`` the operator crashes before and after every write of every scenario instead, and loses answers.

The interpreter is started anew with hash randomisation off, so that a seed gives the same trace everywhere.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import structlog

from tests.simulation import driver, roles
from tests.simulation.crashes import EDGES, SCENARIOS, check, run
from tests.simulation.driver import Life


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many lives to run, from seed 0 on")
    parser.add_argument("--seed", type=int, help="run this life alone and tell all of it")
    parser.add_argument("--roles", action="store_true", help="lives with a DisaggregatedSet too")
    parser.add_argument("--crashes", action="store_true", help="crash at every write instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    _quiet()
    if given.crashes:
        return _crashes(given.jobs)
    live = roles.live if given.roles else driver.live
    return _one(live(given.seed)) if given.seed is not None else _many(live, given.seeds, given.jobs)


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _one(life: Life) -> int:
    _tell(life)
    return 1 if life.problems else 0


def _many(live: Callable[[int], Life], count: int, jobs: int) -> int:
    begin = time.monotonic()
    failed = writes = 0
    virtual = 0.0
    with ProcessPoolExecutor(jobs, initializer=_quiet) as pool:
        for life in pool.map(live, range(count), chunksize=1):
            writes += life.writes
            virtual += life.seconds
            if life.problems:
                failed += 1
                _tell(life)
                _say(f"again: make simulate SEED={life.seed}{' ROLES=1' if live is roles.live else ''}")
    took = time.monotonic() - begin
    _say(f"{count} lives, {failed} failed; {writes} writes in {virtual:.0f} virtual seconds; {took:.1f} s")
    return 1 if failed else 0


def _crashes(jobs: int) -> int:
    begin = time.monotonic()
    with ProcessPoolExecutor(jobs, initializer=_quiet) as pool:
        baselines = dict(zip(SCENARIOS, pool.map(run, SCENARIOS), strict=True))
        runs = [
            pool.submit(check, name, at, edge, baseline.end)
            for name, baseline in baselines.items()
            for at in range(1, baseline.writes + 1)
            for edge in EDGES
        ]
        problems = [problem for each in runs for problem in each.result()]
    for problem in problems:
        _say(f"  ! {problem}")
    writes = ", ".join(f"{name} {baseline.writes}" for name, baseline in baselines.items())
    took = time.monotonic() - begin
    _say(f"writes: {writes}; {len(runs)} runs with a crash or a lost answer, {len(problems)} problems; {took:.1f} s")
    return 1 if problems else 0


def _tell(life: Life) -> None:
    _say(f"seed {life.seed}: {'FAILED' if life.problems else 'well'}; {life.writes} writes, trace {life.digest}")
    for line in life.timeline:
        _say(f"  {line}")
    for problem in life.problems:
        _say(f"  ! {problem}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
