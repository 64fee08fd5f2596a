"""The house is as its page draws it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

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
    rows = re.findall(r"^\| ((?:`\w+`[ ·,]*)+) \|", PAGE, flags=re.MULTILINE)
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
    long = {str(path.relative_to(ROOT)) for path in ROOT.glob("src/**/*.py") if path.read_text().count("\n") > 400}
    assert not long
