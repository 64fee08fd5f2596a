"""Do the tests bite? Plants small faults, one at a time, and says which of them no test notices.

    python -m hack.mutate                             every room, one after the other
    python -m hack.mutate workqueue runtime.leader    one room, and one module of another

mutmut plants the faults (mutants) and runs, for each, the tests that come by the function it is in. What was found is
kept in ``build/mutate``: a run that was stopped goes on where it was; after a change of the room or its tests those
that survived are tried again, and all of functions that changed. Remove that folder to begin anew.

For each module it prints how many mutants were killed: by a failing test, or because a test did not end. Any other
is a missing test, unless ``hack/mutants.toml`` explains why none can tell it apart, or need to. The exit code is 1 if
one is neither killed nor explained. What is logged is not mutated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
WORK: Final = ROOT / "build" / "mutate"
EXPLANATIONS: Final = ROOT / "hack" / "mutants.toml"
# Room -> the tests that must notice a fault in it.
ROOMS: Final[Mapping[str, Sequence[str]]] = {
    "workqueue": ("tests/workqueue",),
    "informers": ("tests/informers",),
    "runtime": ("tests/runtime",),
    "planning": ("tests/planning",),
}
# What tests of these rooms read of the repository.
_READ: Final = ("conftest.py", "config", "docs", "examples", "hack", "sandbox", "tests", "Makefile")
# A test of speed, which tells nothing under the machinery of mutants.
_LEFT_OUT: Final = ("test_a_hundred_thousand_keys_pass_in_linear_time",)
# On a busy machine examples take long, which is no reason to call a mutant killed.
_PATIENCE: Final = """\
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("patient")
"""
_FAILED, _HUNG, _UNTRIED = {1, 3, 37}, {24, -24, 36, 152, 255}, {None, 2}
_KILLED: Final = _FAILED | _HUNG


@dataclass(frozen=True)
class Mutant:
    """A planted fault: the function, and the lines that differ there."""

    function: str
    was: str
    becomes: str


@dataclass(frozen=True)
class Explanation:
    """Why mutants survive that are planted so; ``*`` in each of the three stands for anything."""

    function: str
    was: str
    becomes: str
    because: str

    def explains(self, mutant: Mutant) -> bool:
        """Whether it is about this one."""
        pairs = ((mutant.function, self.function), (mutant.was, self.was), (mutant.becomes, self.becomes))
        return all(fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]")) for text, pattern in pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("what", nargs="*", default=list(ROOMS), metavar="ROOM[.MODULE]")
    parser.add_argument("--workers", type=int, default=1, help="mutants that are tried at the same time")
    parser.add_argument("--report", action="store_true", help="try nothing, say what is known")
    given = parser.parse_args(arguments)
    explanations = read_explanations()
    left = 0
    for what in given.what:
        room, _, module = what.partition(".")
        if room not in ROOMS:
            parser.error(f"{room} is none of {', '.join(ROOMS)}")
        place = prepare(room)
        if not given.report:
            run(place, room, module, given.workers)
        left += report(place, room, module, explanations)
    return 1 if left else 0


def prepare(room: str) -> Path:
    """A folder in which mutmut finds the repository, its own settings, and what it knew before."""
    place = WORK / room
    place.mkdir(parents=True, exist_ok=True)
    for name in ("src", *_READ):
        if not (place / name).is_symlink():
            (place / name).symlink_to(ROOT / name)
    left_out = " and ".join(f"not {name}" for name in _LEFT_OUT)
    (place / "patience.py").write_text(_PATIENCE)
    options = [
        "-p",
        "patience",
        "-o",
        "timeout=0",
        "--hypothesis-seed=0",
        "-m",
        "not long and not nightly and not browser and not real",
    ]
    settings = {
        "source_paths": ["src/"],
        "only_mutate": [f"src/lws/{room}/*"],
        "do_not_mutate_patterns": [r"^\s*_log\.", r"^\s*raise AssertionError"],
        "also_copy": [*_READ, "patience.py"],
        "pytest_add_cli_args": [*options, "-k", left_out],
        "pytest_add_cli_args_test_selection": list(ROOMS[room]),
        "use_git_change_detection": False,
        "timeout_multiplier": 12.0,
        "timeout_constant": 2.0,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    written = "\n".join(["", "[tool.mutmut]", *lines, ""])
    (place / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + written)
    return place


def run(place: Path, room: str, module: str, workers: int) -> None:
    """Try what is not known yet.

    Raises:
        subprocess.CalledProcessError: mutmut could not; it said why.
    """
    changed = forget(place, room)
    known = dict(verdicts(place, room, module))
    untried = [name for name, code in known.items() if code is None]
    if known and not untried and not changed:
        return
    # mutmut tries what is named, whatever it knows of it; without names it tries what it does not know.
    named = untried if untried and not changed else [f"lws.{room}.{module}.*"]
    names = named if module else []
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT / "sandbox/src")])  # mutmut's goes before
    command = [shutil.which("mutmut", path=str(Path(sys.executable).parent)) or "mutmut", "run"]
    subprocess.run([*command, "--max-children", str(workers), *names], cwd=place, env=environment, check=True)


def forget(place: Path, room: str) -> bool:
    """After a change of the room or its tests nothing is known of mutants that survived; returns whether there was one.

    What is known of functions that have changed mutmut forgets by itself.
    """
    now = fingerprint(ROOT / each for each in (f"src/lws/{room}", *ROOMS[room]))
    kept = place / "fingerprint"
    if kept.exists() and kept.read_text() == now:
        return False
    for meta in (place / "mutants").glob(f"src/lws/{room}/**/*.meta"):
        known = json.loads(meta.read_text())
        codes = known["exit_code_by_key"]
        known["exit_code_by_key"] = {name: code if code in _KILLED else None for name, code in codes.items()}
        meta.write_text(json.dumps(known, indent=4))
    (place / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    kept.write_text(now)
    return True


def fingerprint(paths: Iterable[Path]) -> str:
    """Of all modules in these files and folders."""
    digest = hashlib.sha256()
    for path in paths:
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(module.read_bytes())
    return digest.hexdigest()


def verdicts(place: Path, room: str, module: str) -> Iterator[tuple[str, int | None]]:
    """Names of mutants with the code that pytest ended with; None where it was not tried."""
    pattern = f"{module.replace('.', '/')}.py.meta" if module else "**/*.meta"
    for meta in sorted((place / "mutants/src/lws" / room).glob(pattern)):
        yield from json.loads(meta.read_text())["exit_code_by_key"].items()


def report(place: Path, room: str, module: str, explanations: Iterable[Explanation]) -> int:
    """Print scores and what survived unexplained; how many of those there are."""
    found = list(verdicts(place, room, module))
    survivors = [read_mutant(place, name) for name, code in found if code not in _KILLED | _UNTRIED]
    unexplained = [each for each in survivors if not any(explains.explains(each) for explains in explanations)]
    modules: dict[str, list[int | None]] = {}
    for name, code in found:
        modules.setdefault(name.rpartition(".")[0], []).append(code)
    for where, codes in modules.items():
        print(score(where, codes))
    everything = score(f"lws.{room}{'.' * bool(module)}{module}", [code for _, code in found])
    print(f"{everything}; {len(survivors)} survive, {len(survivors) - len(unexplained)} of them explained")
    for each in unexplained:
        print(f"\n[[explained]]\nfunction = {quoted(each.function)}")
        print(f"was = {quoted(each.was)}\nbecomes = {quoted(each.becomes)}\nbecause = ''")
    return len(unexplained)


def quoted(text: str) -> str:
    """As TOML has it."""
    return f"'{text}'" if "'" not in text else json.dumps(text, ensure_ascii=False)


def score(where: str, codes: Sequence[int | None]) -> str:
    """One line of the report."""
    killed, hung, untried = (sum(code in kind for code in codes) for kind in (_KILLED, _HUNG, _UNTRIED))
    share = 100 * killed / len(codes) if codes else 100
    more = f", {hung} of them by not ending" * bool(hung) + f"; {untried} not tried" * bool(untried)
    return f"{where:55} {killed:5} of {len(codes):5} killed, {share:5.1f} %{more}"


def read_mutant(place: Path, name: str) -> Mutant:
    """What a mutant is, from its name."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    module = name.rpartition(".")[0]
    before = Path.cwd()
    os.chdir(place)
    try:
        path = f"src/{module.replace('.', '/')}.py"
        diff = get_diff_for_mutant(name, path=path).splitlines()[3:]
    finally:
        os.chdir(before)
    was, becomes = (" ".join(line[1:].strip() for line in diff if line[:1] == sign) for sign in "-+")
    return Mutant(function_of(name), was, becomes)


def function_of(name: str) -> str:
    """The function that a mutant is in: ``m.xǁCǁf__mutmut_3`` and ``m.x_f__mutmut_3`` are in ``m.C.f`` and ``m.f``."""
    module, _, mangled = name.rpartition(".")
    return f"{module}.{mangled.rpartition('__mutmut_')[0][2:].replace('ǁ', '.')}"


def read_explanations() -> list[Explanation]:
    """All that are written."""
    written = tomllib.loads(EXPLANATIONS.read_text()) if EXPLANATIONS.exists() else {}
    return [Explanation(**each) for each in written.get("explained", [])]


if __name__ == "__main__":
    sys.exit(main())
