"""Mutation testing: what is tried, what is remembered, and what is said of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from hack import mutate
from hack.mutate import ROOMS, ROOT, Explanation, Mutant

NAME = "lws.workqueue.queue.xǁQueueǁ_take__mutmut_"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a room, with four mutants: one killed, one that hangs, one survivor, one that no test comes by."""
    monkeypatch.setattr(mutate, "WORK", tmp_path)
    monkeypatch.setattr(mutate, "read_mutant", lambda _, name: Mutant(mutate.function_of(name), "x < 1", "x <= 1"))
    found = mutate.prepare("workqueue")
    meta = found / "mutants/src/lws/workqueue/queue.py.meta"
    meta.parent.mkdir(parents=True)
    codes = {f"{NAME}{number}": code for number, code in enumerate((1, -24, 0, 33), 1)}
    meta.write_text(json.dumps({"exit_code_by_key": codes}))
    return found


def test_every_room_and_its_tests_exist() -> None:
    """Each room is a package of ours, and each of its selections has tests."""
    for room, selected in ROOMS.items():
        assert (ROOT / "src/lws" / room / "__init__.py").is_file()
        assert all(list((ROOT / each).rglob("test_*.py")) for each in selected)


def test_every_room_is_tried_at_night() -> None:
    """The nightly workflow has a job for each room."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/nightly.yaml").read_text())
    assert workflow["jobs"]["mutate"]["strategy"]["matrix"]["room"] == list(ROOMS)


def test_the_settings_are_the_projects_and_mutmuts(place: Path) -> None:
    """A room is tried with the project's own settings, and nothing but its modules is mutated."""
    settings = tomllib.loads((place / "pyproject.toml").read_text())["tool"]
    assert settings["mutmut"]["only_mutate"] == ["src/lws/workqueue/*"]
    assert settings["pytest"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("lws.a.b.xǁCǁd__mutmut_3", "lws.a.b.C.d"),
        ("lws.a.b.xǁ_Cǁ__init____mutmut_3", "lws.a.b._C.__init__"),
        ("lws.a.b.x_d__mutmut_12", "lws.a.b.d"),
        ("lws.a.b.x__d__mutmut_12", "lws.a.b._d"),
    ],
)
def test_a_mutant_names_its_function(name: str, function: str) -> None:
    """Methods and functions, private ones too, are found in a mutant's name."""
    assert mutate.function_of(name) == function


def test_survivors_that_nobody_explains_are_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The score counts what was killed; a survivor is printed as the entry that would explain it, and counted."""
    assert mutate.report(place, "workqueue", "", []) == 2
    told = capsys.readouterr().out
    assert "    2 of     4 killed,  50.0 %, 1 of them by not ending; 2 survive, 0 of them explained" in told
    (entry, _) = tomllib.loads(told[told.index("[[") :])["explained"]
    assert (entry["function"], entry["was"]) == ("lws.workqueue.queue.Queue._take", "x < 1")
    because = Explanation("lws.workqueue.queue.Queue._take", "x < *", "x <= 1", "there is no 1")
    assert mutate.report(place, "workqueue", "queue", [because]) == 0
    assert mutate.report(place, "workqueue", "delay", []) == 0


def test_explanations_match_brackets_as_they_are() -> None:
    """A star stands for anything; no other character has a meaning of its own."""
    one = Explanation("f", "a[0]*", "a[?]", "")
    assert one.explains(Mutant("f", "a[0] + 1", "a[?]"))
    assert not one.explains(Mutant("f", "a0 + 1", "a[?]"))
    assert not one.explains(Mutant("f", "a[0]", "a[1]"))


def test_survivors_are_tried_again_after_a_change(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other tests or sources what was killed stays so and the rest is unknown; with the same nothing changes."""
    before = dict(mutate.verdicts(place, "workqueue", ""))
    assert mutate.forget(place, "workqueue")
    assert list(dict(mutate.verdicts(place, "workqueue", "")).values()) == [1, -24, None, None]
    meta = place / "mutants/src/lws/workqueue/queue.py.meta"
    meta.write_text(json.dumps({"exit_code_by_key": before}))
    assert not mutate.forget(place, "workqueue")
    assert dict(mutate.verdicts(place, "workqueue", "")) == before
    monkeypatch.setattr(mutate, "ROOMS", {"workqueue": ("tests/hack",)})
    assert mutate.forget(place, "workqueue")


@pytest.mark.parametrize(
    ("module", "changed", "codes", "asked"),
    [
        ("", True, {}, [[]]),
        ("", False, {"a": 1, "b": None}, [[]]),
        ("queue", False, {"a": 1, "b": None}, [["b"]]),
        ("queue", True, {"a": 1, "b": None}, [["lws.workqueue.queue.*"]]),
        ("queue", True, {}, [["lws.workqueue.queue.*"]]),
        ("queue", False, {"a": 1, "b": 0}, []),
    ],
)
def test_only_what_is_unknown_is_tried(
    monkeypatch: pytest.MonkeyPatch, module: str, changed: bool, codes: dict[str, int | None], asked: list[list[str]]
) -> None:
    """Of a module what is untried is named, or all after a change; of a room mutmut knows what it knows."""
    runs: list[list[str]] = []
    monkeypatch.setattr(mutate, "forget", lambda *_: changed)
    monkeypatch.setattr(mutate, "verdicts", lambda *_: iter(codes.items()))
    monkeypatch.setattr("subprocess.run", lambda command, **_: runs.append(command))
    mutate.run(Path(), "workqueue", module, 1)
    assert [command[command.index("1") + 1 :] for command in runs] == asked


def test_every_explanation_gives_a_reason() -> None:
    """No entry is empty, and none explains everything of a module."""
    for each in mutate.read_explanations():
        assert each.because
        assert each.function.startswith("lws.")
        assert {each.was, each.becomes} != {"*"}
