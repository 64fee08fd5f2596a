"""Compares an answer with a recorded one, up to what may differ from run to run.

Values that a server invents (uids, resourceVersions, generated names, tokens) are *bound*: the first time that a
recorded value meets an actual one the pair is remembered, and from then on the one has to mean the other.
resourceVersions are compared by order as well. Times, addresses and certificates are compared by form.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b")
AGE = re.compile(r"(?:\d+[ydhms]){1,2}")  # as tables show it
DURATION = re.compile(r"\b\d+(?:\.\d+)?(?:ms|µs|s)\b|\b\d+m\d+(?:\.\d+)?s\b")
VERSIONS = (
    re.compile(r"(?<=resource version: )\d+(?: \(\d+\))?"),
    re.compile(r"(?<=requested: )\d+, current: \d+"),
    re.compile(r"(?<=current: )\d+"),
    re.compile(r"(?<=resourceVersion )\d+"),
    re.compile(r"(?<=in the precondition \()\d+(?=\))"),
    re.compile(r"(?<=in record \()\d+(?=\))"),
    re.compile(r'(?<="resourceVersion":")\d+'),
    re.compile(r'(?<=resourceVersion\\":\\")\d+'),
    re.compile(r'(?<=ResourceVersion: ")\d+'),
)
TIME_KEYS = frozenset(
    "creationTimestamp deletionTimestamp time lastTransitionTime lastUpdateTime startTime eventTime firstTimestamp "
    "lastTimestamp renewTime acquireTime lastProbeTime lastObservedTime".split()
)
BUILD_KEYS = frozenset("gitCommit gitTreeState buildDate goVersion platform compiler".split())
OPAQUE_KEYS = frozenset(("uid", "continue", "token", "credential-id", "Etag"))
CERTIFICATE = re.compile(r"X509SHA256=[0-9a-f]+|JTI=[0-9a-f-]+")
# What depends on how a server was built: the file that makes a scheme, and how its Go writes control characters.
SOURCE = re.compile(r'(?<=in scheme ")[\w./@-]+\.go:\d+(?=")')
CONTROL = re.compile(r"(?<=invalid character ')\\(?:x|u00)(?=[0-9a-f]{2}')")
# Of two bindings that allow, the server names whichever comes first in a map.
ALLOWED = re.compile(r'"system:(?:discovery|public-info-viewer)"')


@dataclass
class Bindings:
    """What the recorded run's own values mean in this run.

    Attributes:
        alive: the server has writers and a clock of its own, so that a list may be of a later version, and an age
            another.
    """

    alive: bool = False
    pairs: dict[str, str] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def bind(self, recorded: str, actual: str) -> bool:
        """Remember the pair, or say whether it agrees with what is remembered."""
        return self.pairs.setdefault(recorded, actual) == actual

    def translate(self, text: str) -> str:
        """The recorded text in this run's values."""
        for recorded, actual in self.pairs.items():
            if recorded in text and len(recorded) > 4:
                text = text.replace(recorded, actual)
        return text

    def disorder(self) -> list[str]:
        """Pairs of resourceVersions whose order or equality differs from the recorded one."""
        ordered = sorted(self.versions.items())
        return [
            f"resourceVersion order: recorded {a} < {b}, here {x} and {y}"
            for (a, x), (b, y) in itertools.pairwise(ordered)
            if not x < y
        ]


def mask(text: str) -> str:
    """The text with everything replaced that differs from run to run."""
    for pattern in VERSIONS:
        text = pattern.sub("<version>", text)
    text = CONTROL.sub("<control>", SOURCE.sub("<source>", ALLOWED.sub("<allowing>", text)))
    text = TIME.sub("<time>", UID.sub("<uid>", text))
    return CERTIFICATE.sub("<credential>", DURATION.sub("<span>", ADDRESS.sub("<address>", text)))


class Comparison:
    """One comparison: collects differences with their paths."""

    def __init__(self, bindings: Bindings) -> None:
        self.bindings = bindings
        self.differences: list[str] = []

    def compare(self, recorded: Any, actual: Any) -> None:
        """Compare two JSON values: first bind what the server invented, wherever it stands, then look closely."""
        self._learn(recorded, actual)
        if self.bindings.alive and _is_list(recorded) and _is_list(actual):
            recorded, actual = _but_version(recorded), _but_version(actual)
        self._compare(recorded, actual, "", "")

    def _learn(self, recorded: Any, actual: Any, key: str = "") -> None:
        if isinstance(recorded, dict) and isinstance(actual, dict):
            if isinstance(recorded.get("generateName"), str) and isinstance(actual.get("generateName"), str):
                self._generated_name(recorded, actual)
            for member in recorded.keys() & actual.keys():
                self._learn(recorded[member], actual[member], str(member))
        elif isinstance(recorded, list) and isinstance(actual, list) and len(recorded) == len(actual):
            for one, other in zip(recorded, actual, strict=True):
                self._learn(one, other, key)
        elif key in OPAQUE_KEYS and isinstance(recorded, str) and isinstance(actual, str) and recorded and actual:
            self.bindings.bind(recorded, actual)

    def _compare(self, recorded: Any, actual: Any, path: str, key: str) -> None:
        if key == "managedFields" and isinstance(recorded, list) and isinstance(actual, list):
            recorded, actual = sorted(recorded, key=_manager_key), sorted(actual, key=_manager_key)
        if isinstance(recorded, dict) and isinstance(actual, dict):
            self._objects(recorded, actual, path)
        elif isinstance(recorded, list) and isinstance(actual, list):
            self._lists(recorded, actual, path, key)
        elif isinstance(recorded, str) and isinstance(actual, str):
            self._strings(recorded, actual, path, key)
        elif recorded != actual or isinstance(recorded, bool) != isinstance(actual, bool):
            self._differ(path, recorded, actual)

    def _objects(self, recorded: dict[str, Any], actual: dict[str, Any], path: str) -> None:
        recorded = {self.bindings.translate(member): value for member, value in recorded.items()}
        for member in sorted(recorded.keys() | actual.keys()):
            where = f"{path}.{member}" if path else str(member)
            if member not in actual:
                self._differ(where, recorded[member], "(absent)")
            elif member not in recorded:
                self._differ(where, "(absent)", actual[member])
            else:
                self._compare(recorded[member], actual[member], where, str(member))

    def _generated_name(self, recorded: dict[str, Any], actual: dict[str, Any]) -> None:
        prefix, names = recorded["generateName"], (recorded.get("name"), actual.get("name"))
        if all(isinstance(name, str) and name.startswith(prefix[:58]) and name != prefix for name in names):
            self.bindings.bind(str(names[0]), str(names[1]))

    def _lists(self, recorded: list[Any], actual: list[Any], path: str, key: str) -> None:
        if len(recorded) != len(actual):
            self._differ(path, *_only(recorded, actual))
            return
        if key in ("causes", "nonResourceRules"):  # of a map's entries, in whatever order Go walks it
            recorded, actual = sorted(recorded, key=repr), sorted(actual, key=repr)
        for index, (one, other) in enumerate(zip(recorded, actual, strict=True)):
            self._compare(one, other, f"{path}[{index}]", key if key in OPAQUE_KEYS else "")

    def _strings(self, recorded: str, actual: str, path: str, key: str) -> None:
        if key == "resourceVersion" and recorded.isdigit() and actual.isdigit():
            if recorded == "0" or actual == "0":
                same = recorded == actual
            else:
                same = self.bindings.versions.setdefault(int(recorded), int(actual)) == int(actual)
        elif key in TIME_KEYS:
            same = bool(TIME.fullmatch(recorded)) == bool(TIME.fullmatch(actual)) and ("." in recorded) == (
                "." in actual
            )
        elif key in BUILD_KEYS or (self.bindings.alive and AGE.fullmatch(recorded)):
            same = key in BUILD_KEYS or bool(AGE.fullmatch(actual))
        elif key == "gitVersion":  # of the same release; the patch is the build's
            same = recorded.rpartition(".")[0] == actual.rpartition(".")[0]
        elif key in OPAQUE_KEYS:
            same = bool(recorded) == bool(actual) and (not recorded or self.bindings.bind(recorded, actual))
        else:
            translated = self.bindings.translate(recorded)
            same = translated == actual or mask(translated) == mask(actual) or _faults(translated) == _faults(actual)
        if not same and "\n" in recorded.strip():
            self._differ(path, *_only(recorded.splitlines(), actual.splitlines()))
        elif not same:
            self._differ(path, recorded, actual)

    def _differ(self, path: str, recorded: Any, actual: Any) -> None:
        self.differences.append(f"{path or '(root)'}: recorded {_short(recorded)}, here {_short(actual)}")


def _is_list(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("kind")).endswith("List") and "metadata" in value


def _but_version(value: dict[str, Any]) -> dict[str, Any]:
    version = value["metadata"].get("resourceVersion")
    return {**value, "metadata": {**value["metadata"], "resourceVersion": "0" if version == "0" else "<version>"}}


def _only(recorded: list[Any], actual: list[Any]) -> tuple[list[Any], list[Any]]:
    """What stands in one of them only; all of both if it is only the order or number that differs."""
    ours, theirs = [item for item in recorded if item not in actual], [item for item in actual if item not in recorded]
    return (ours, theirs) if ours or theirs else (recorded, actual)


def _faults(message: str) -> tuple[str, list[str]] | str:
    """A refusal's message as what is refused and its faults in no order: those of a map's entries come in none."""
    head, opening, rest = message.partition(" is invalid: [")
    if not opening:
        return message
    return head, sorted(re.split(r", (?=[\w.\[\]]+: )", mask(rest).removesuffix("]")))


def _manager_key(entry: Any) -> tuple[str, ...]:
    return tuple(str(entry.get(name, "")) for name in ("manager", "operation", "subresource", "apiVersion"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 400 else text[:400] + "…"
