"""The recorded scenarios: where they are, what they are called, and which process answered them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from lws.apimachinery.manifests import JSON

EXCHANGES: Final = Path(__file__).parents[1] / "data/exchanges"
SCENARIOS: Final = sorted(EXCHANGES.glob("*/*.json"))
RECORDED_AS: Final = {'"manager": "kas"': '"manager": "kube-apiserver"'}
"""A server's own field manager is the name of its executable; the recorded one was started under another."""


def name_of(path: Path) -> str:
    """``area/scenario``."""
    return f"{path.parent.name}/{path.stem}"


def load(path: Path) -> JSON:
    """One scenario, as if its server had been started under its usual name."""
    text = path.read_text()
    for there, here in RECORDED_AS.items():
        text = text.replace(there, here)
    scenario: JSON = json.loads(text)
    return scenario


def controllers(scenario: JSON) -> tuple[str, ...]:
    """The controllers that ran beside the recorded server."""
    manager = scenario["server"]["kube-controller-manager"]
    return tuple(manager[0].partition("=")[2].split(",")) if manager else ()


def calls_webhooks(scenario: JSON) -> bool:
    """Whether the server has to reach a webhook, be it one that is down."""
    return scenario.get("webhooks") is not None or scenario["area"] == "webhook"
