"""The house is as its page draws it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import lws

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
ROOMS = sorted(module.name for module in pkgutil.iter_modules(lws.__path__) if not module.name.startswith("_"))
PACKAGES = sorted(module.name for module in pkgutil.iter_modules(lws.__path__) if module.ispkg)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_on_the_page(room: str) -> None:
    """The page names every top-level package and module."""
    assert f"`{room}`" in PAGE


def test_floors_are_in_the_order_of_the_page() -> None:
    """The layers that the build enforces stand in the order in which the page draws the floors."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(c for c in config["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    enforced = [re.findall(r"lws\.(\w+)", layer) for layer in contract["layers"]]
    table = PAGE.split("## Floors")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+`[ ·,]*)+) \|", table, flags=re.MULTILINE)
    drawn = [re.findall(r"`(\w+)`", row) for row in rows]
    flat = [sorted(row) for row in drawn]
    assert [name for floor in enforced for name in sorted(floor)] == [name for floor in flat for name in floor]


@pytest.mark.parametrize("package", PACKAGES)
def test_exported_names_exist_and_are_documented(package: str) -> None:
    """A package says what it is, and each name that it exports exists and carries a docstring."""
    module = importlib.import_module(f"lws.{package}")
    assert module.__doc__
    for name in getattr(module, "__all__", ()):
        exported = getattr(module, name)
        assert exported.__doc__ or not callable(exported), f"lws.{package}.{name}"


def test_files_can_be_read_at_a_sitting() -> None:
    """No source file is longer than 400 lines."""
    long = {
        str(path.relative_to(ROOT))
        for path in (*ROOT.glob("src/**/*.py"), *ROOT.glob("sandbox/src/**/*.py"))
        if path.read_text().count("\n") > 400
    }
    assert not long


@pytest.mark.parametrize("package", ["lws", "lws_sandbox"])
def test_no_module_imports_itself_by_a_detour(package: str) -> None:
    """The modules of each distribution can be put in an order in which each imports only earlier ones."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True)
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


# One breach of each contract: (module, line that it must not hold).
BREACHES = {
    "A room imports only from floors below it": ("lws/informers/store.py", "import lws.runtime.health"),
    "Pure rooms import pure rooms only": ("lws/planning/leaderworkerset/groups.py", "import asyncio"),
    "The framework knows no API of ours": ("lws/runtime/health.py", "import lws.api.fields"),
    "The workqueue knows nothing of Kubernetes": ("lws/workqueue/delay.py", "import lws.apimachinery.names"),
    "Only the client floor and those who serve speak HTTP": ("lws/informers/backoff.py", "import aiohttp"),
    "Telemetry imports nothing of the house": ("lws/telemetry/logs.py", "import lws.apimachinery.intstr"),
    "The product never imports the sandbox": ("lws/cli/output.py", "import lws_sandbox.cluster"),
    "The sandbox stands on the framework; its quickstart and its rehearsals alone know the product": (
        "lws_sandbox/nodes.py",
        "import lws.planning.leaderworkerset.groups",
    ),
    "No API's planners import another's": (
        "lws/planning/disaggregatedset/events.py",
        "import lws.planning.leaderworkerset.groups",
    ),
    "No API's reconcilers import another's": (
        "lws/reconcilers/disaggregatedset/kinds.py",
        "import lws.reconcilers.leaderworkerset.kinds",
    ),
    "An API's types import another's only where they embed them": (
        "lws/api/leaderworkerset/labels.py",
        "import lws.api.disaggregatedset.labels",
    ),
}


def test_a_breach_of_each_contract_fails(tmp_path: Path) -> None:
    """Every contract of the build is broken by an import that it forbids."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {each["name"] for each in config["tool"]["importlinter"]["contracts"]} == set(BREACHES)
    shutil.copytree(ROOT / "src/lws", tmp_path / "lws", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "sandbox/src/lws_sandbox", tmp_path / "lws_sandbox")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for where, line in BREACHES.values():
        path = tmp_path / where
        path.write_text(f"{path.read_text()}\n{line}\n")
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(lint, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    kept = [name for name in BREACHES if f"{name} BROKEN" not in " ".join(done.stdout.split())]
    assert not kept, done.stdout + done.stderr
