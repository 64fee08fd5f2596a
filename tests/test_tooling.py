"""What runs before a commit and on a push is what a contributor runs by hand, on every Python that is supported."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())
NIGHTLY = yaml.safe_load((ROOT / ".github/workflows/nightly.yaml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def _steps(job: str) -> list[dict[str, Any]]:
    return list(WORKFLOW["jobs"][job]["steps"])


def test_every_supported_python_is_tested_on_both_control_planes() -> None:
    """The workflow's Pythons are those of both distributions, from the oldest; each runs on sandbox and real."""
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["control-plane"] == ["sandbox", "real"]
    for folder in (ROOT, ROOT / "sandbox"):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        declared = [each.rpartition(" :: ")[2] for each in project["classifiers"] if "Python :: 3." in each]
        assert matrix["python"] == declared
        assert project["requires-python"] == f">={declared[0]}"


def test_the_workflow_runs_targets_of_the_makefile() -> None:
    """Whatever the workflow checks, `make` checks here; together its jobs run all of `make check`."""
    runs = [step["run"] for job in WORKFLOW["jobs"] for step in _steps(job) if step.get("run", "").startswith("make ")]
    used = {target for run in runs for target in run.split()[1:]}
    assert used <= TARGETS
    (check,) = re.findall(r"^check: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(check.split()) <= used


def test_what_takes_hours_runs_at_night() -> None:
    """The nightly workflow has a schedule, and runs the targets that no push waits for."""
    runs = [step["run"] for job in NIGHTLY["jobs"].values() for step in job["steps"] if "run" in step]
    assert {run.split()[1] for run in runs} == {"test-nightly", "mutate"} <= TARGETS
    assert NIGHTLY[True]["schedule"]  # YAML reads the word "on" so


def test_the_workflow_may_only_read() -> None:
    """No workflow's token can write, and no job raises its permissions."""
    for workflow in (WORKFLOW, NIGHTLY):
        assert workflow["permissions"] == {"contents": "read"}
        assert not [job for job in workflow["jobs"].values() if "permissions" in job]


def test_hooks_run_tools_of_the_virtual_environment_alone() -> None:
    """Every hook is local and names a tool in `.venv`: nothing is fetched from elsewhere."""
    (repository,) = HOOKS["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


def test_hooks_cover_the_quick_targets() -> None:
    """What `make lint types contracts` runs, runs before a commit too."""
    entries = " ".join(hook["entry"] for hook in HOOKS["repos"][0]["hooks"])
    for tool in ("ruff check", "ruff format", "mypy", "lint-imports"):
        assert f".venv/bin/{tool}" in entries


def test_editors_know_the_line_length() -> None:
    """Editors break lines where ruff does."""
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert editor["*.py"]["max_line_length"] == str(PROJECT["tool"]["ruff"]["line-length"])
