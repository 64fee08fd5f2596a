"""Annotations that go beyond the reference: what is refused and warned of (resilience 1.3, R22, R41)."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset.policies import (
    BY_KEY,
    GRACE_ENDS,
    PolicySource,
    Release,
    Rule,
    choose,
    parse,
    validate,
    warnings,
)
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.apimachinery.manifests import JSON

BAD: dict[str, tuple[str, ...]] = {
    "restart-backoff": (
        "",
        "on",
        "free=2,free=3",
        "free=-1",
        "initial=0s",
        "initial=10m,max=5m",
        "max=5",
        "free",
        "wait=5s",
        "off,free=1",
    ),
    "failure-log-lines": ("", "-1", "501", "many", "1.5"),
    "repair-workers": ("", "yes", "True", "1"),
    "rollout": ("", "Paused", "resumed", "stopped"),
    "revision-history-limit": ("", "-1", "101", "all"),
    "progress-deadline": ("", "4m59s", "60", "1 h"),
    "on-stall": ("", "hold", "Rollback", "Hold,Undo"),
    "surge-fallback": ("", "59s", "10", "never", "-10m"),
    "evacuate": ("", "yes", "True", "drain"),
    "disruption-budget": ("", "-1", "101%", "one", "1.5", "10 %"),
    "release-lost-nodes-after": ("", "59s", "5", "5m,claims=some", "claims=any", "off,claims=any", "never"),
    "avoid-suspect-nodes": ("", "yes", "True"),
    "group-recovery-grace": ("", "9s", "5", "Off", "-5m", "5m,free=1"),
}
CASES = [(key, value) for key, values in BAD.items() for value in values]


def annotated(key: str, value: str) -> JSON:
    """An object with one annotation."""
    return {"metadata": {"annotations": {PREFIX + key: value}}}


@pytest.mark.parametrize(("key", "value"), CASES)
def test_r22_bad_values_are_refused_with_form_and_example(key: str, value: str) -> None:
    """R22: a bad value is refused at its path, with the accepted form and an example that is itself accepted."""
    (problem,) = validate(annotated(key, value), None)
    setting = BY_KEY[PREFIX + key]
    assert problem.startswith(f"metadata.annotations[{PREFIX}{key}]: Invalid value: ")
    assert setting.form in problem
    assert setting.example in problem
    parse(setting, setting.example)


def test_r22_covers_every_annotation() -> None:
    """R22: every annotation that is read has bad values of its own in the table, forty at least."""
    assert {PREFIX + key for key in BAD} == set(BY_KEY)
    assert len(CASES) >= 40


def test_r22_unknown_keys_are_warned_of_with_the_nearest() -> None:
    """R22: an unknown key is admitted, with a warning that names the nearest known one, once."""
    found = annotated("restart-back-off", "off")
    assert validate(found, None) == []
    assert warnings(found, None) == [
        f"metadata.annotations[{PREFIX}restart-back-off]: nobody reads it; did you mean {PREFIX}restart-backoff?"
    ]
    assert warnings(found, found) == []
    (far,) = warnings(annotated("xyz", ""), None)
    assert "known are restart-backoff, " in far


def test_r41_a_stored_bad_value_does_not_stop_other_edits() -> None:
    """R41: a bad value that is stored already is refused only where it is changed to another bad one."""
    stored = annotated("on-stall", "Rollback")
    assert validate(stored, stored) == []
    assert len(validate(annotated("on-stall", "Retry"), stored)) == 1
    assert validate(annotated("on-stall", "Undo"), stored) == []


def test_releases_are_read_with_and_without_claims() -> None:
    """A release is off, or a duration, which may say that claims do not matter (resilience 6.2)."""
    setting = BY_KEY[PREFIX + "release-lost-nodes-after"]
    assert parse(setting, "off") == Release()
    assert parse(setting, "5m") == Release(300.0)
    assert parse(setting, "1m30s,claims=any") == Release(90.0, any_claim=True)


@pytest.mark.parametrize(
    ("before", "after", "warned"),
    [
        ("5m", None, True),
        ("5m", "off", True),
        ("5m", "10m", False),
        ("off", None, False),
        (None, "5m", False),
        (None, None, False),
    ],
)
def test_r39_taking_the_grace_away_is_warned_of(before: str | None, after: str | None, warned: bool) -> None:
    """R39: who removes the annotation, or turns it off, is told that healed groups are recreated; nobody else is."""
    old, new = ({} if value is None else annotated("group-recovery-grace", value) for value in (before, after))
    assert validate(new, old) == []
    assert warnings(new, old) == ([GRACE_ENDS] if warned else [])


def test_a_set_can_be_taken_out_of_a_grace_that_holds_for_all() -> None:
    """An annotation "off" takes precedence over the policies file."""
    source = PolicySource(rules=(Rule((), {}, {"group_recovery_grace": 300.0}),))
    assert choose(source, "a", {}, {}).policies.group_recovery_grace == 300.0
    key = PREFIX + "group-recovery-grace"
    assert choose(source, "a", {}, {key: "off"}).policies.group_recovery_grace == 0.0
    assert choose(source, "a", {}, {key: "90s"}).policies.group_recovery_grace == 90.0
