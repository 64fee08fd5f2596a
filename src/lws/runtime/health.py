"""Named checks behind ``/readyz`` and ``/healthz`` (operations 4).

Guarantees: a check that raises counts as failed, with its error as the reason; an answer names every failed check;
checks run synchronously and cheaply, so a probe is answered at once or the loop itself is stalled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Check: TypeAlias = Callable[[], str | None]
"""Why the check fails, in a few words; None if it passes."""


@dataclass(frozen=True, slots=True)
class Report:
    """An answer to a probe, in the form that Kubernetes components give."""

    status: int
    text: str


class Health:
    """The checks of one endpoint, such as ``readyz``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._checks: dict[str, Check] = {"ping": _ping}
        self._notes: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Add a check, or replace the one of this name."""
        self._checks[name] = check

    def add_note(self, name: str, note: Check) -> None:
        """Add what a verbose answer says for information: whatever it says, it fails nothing."""
        self._notes[name] = note

    def failures(self, exclude: Collection[str] = ()) -> Mapping[str, str]:
        """The reasons of the checks that fail now, by name."""
        results = {name: _run(check) for name, check in self._checks.items() if name not in exclude}
        return {name: reason for name, reason in results.items() if reason}

    def report(self, *, verbose: bool = False, exclude: Collection[str] = ()) -> Report:
        """Run all checks: 200 ``ok``, or 500 with the list of all; ``verbose`` lists them in either case."""
        failures = self.failures(exclude)
        if not failures and not verbose:
            return Report(200, "ok")
        lines = []
        for name in self._checks:
            if name in exclude:
                lines.append(f"[+]{name} excluded: ok")
            elif name in failures:
                lines.append(f"[-]{name} failed: {failures[name]}")
            else:
                lines.append(f"[+]{name} ok")
        lines += [f"[+]{name} ok: {said}" for name, note in self._notes.items() if (said := _run(note))]
        verdict = "failed" if failures else "passed"
        return Report(500 if failures else 200, "\n".join([*lines, f"{self.name} check {verdict}", ""]))

    def report_one(self, name: str) -> Report:
        """Run one check by name: 200, 500 with its reason, or 404."""
        check = self._checks.get(name)
        if check is None:
            return Report(404, f"there is no check {name!r}\n")
        reason = _run(check)
        return Report(500, f"{reason}\n") if reason else Report(200, "ok")


def _run(check: Check) -> str | None:
    try:
        reason = check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return " ".join(reason.split()) if reason else None


def _ping() -> None:
    """Never fails: that there is an answer at all is the point."""
