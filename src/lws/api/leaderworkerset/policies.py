"""What goes beyond the reference and can be chosen for each set: annotations and their values (resilience 1.2, 1.3).

Each is an annotation with the prefix `PREFIX`, and has a member of the same meaning in the policies file. Nothing here
decides anything: a value is read, or refused with the form that is accepted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, TypeAlias

from lws.api.leaderworkerset.policykeys import PAUSED, PREFIX, RECOVERY_GRACE
from lws.api.rules import member
from lws.apimachinery.durations import parse_duration
from lws.apimachinery.gotext import quoted
from lws.apimachinery.intstr import IntOrString, is_percent, scaled
from lws.apimachinery.manifests import JSON

MOST_LOG_LINES: Final = 500
MOST_REVISIONS: Final = 100
EVACUATIONS: Final = 2  # sets of the cluster with a move at once, unless the policies file says otherwise
_DIGITS: Final = re.compile(r"[0-9]{1,9}")

OnStall: TypeAlias = Literal["Hold", "Undo", "Ignore"]


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a group that fails again and again waits to be recreated; times in seconds (resilience 3.2).

    Attributes:
        free: how many failures are acted upon at once.
        initial: the wait after that, counted from the creation of the leader; each further one is twice as long.
        max: the longest wait.
        reset_after: how long a group must be ready for its failures to count no more.
        off: whether nothing ever waits.
    """

    free: int = 2
    initial: float = 10.0
    max: float = 300.0
    reset_after: float = 600.0
    off: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """When pods that end are let go from a node that nothing is heard of any more (resilience 6.2).

    Attributes:
        seconds: for how long nothing has been heard of it; 0 for never.
        any_claim: whether pods are let go that mount a claim for writing.
    """

    seconds: float = 0.0
    any_claim: bool = False


@dataclass(frozen=True, slots=True)
class SetPolicies:
    """What holds for one set, every member with the meaning that it has when nobody says anything."""

    restart_backoff: BackOff = BackOff()
    failure_log_lines: int = 0
    slow_start: float = 1800.0
    repair_workers: bool = False
    rollout: str = ""
    revision_history_limit: int = 0
    progress_deadline: float = 0.0
    on_stall: OnStall = "Hold"
    surge_fallback: float = 0.0
    evacuate: bool = False
    disruption_budget: IntOrString | None = None
    release_lost_nodes_after: Release = Release()
    avoid_suspect_nodes: bool = False
    group_recovery_grace: float = 0.0


DEFAULTS: Final = SetPolicies()


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be chosen.

    Attributes:
        member: of `SetPolicies`.
        form: the accepted form, in words.
        example: a value of that form.
        read: the value of a text, over the value that holds without it; raises ValueError.
        annotated: whether there is an annotation for it; else it stands in the file only.
    """

    member: str
    form: str
    example: str
    read: Callable[[str, Any], Any]
    annotated: bool = True

    @property
    def key(self) -> str:
        """Its annotation."""
        return PREFIX + self.member.replace("_", "-")


def _count(most: int) -> Callable[[str, Any], int]:
    def read(text: str, _: Any) -> int:
        if not _DIGITS.fullmatch(text) or int(text) > most:
            raise ValueError(text)
        return int(text)

    return read


def _seconds(least: float) -> Callable[[str, Any], float]:
    def read(text: str, _: Any) -> float:
        seconds = parse_duration(text)
        if seconds < least:
            raise ValueError(text)
        return seconds

    return read


def _seconds_or_off(least: float) -> Callable[[str, Any], float]:
    seconds = _seconds(least)
    return lambda text, base: 0.0 if text == "off" else seconds(text, base)


def _one_of(**values: Any) -> Callable[[str, Any], Any]:
    def read(text: str, _: Any) -> Any:
        if text not in values:
            raise ValueError(text)
        return values[text]

    return read


_BACKOFF_PARTS: Final[Mapping[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "free": ("free", _count(1_000_000)),
    "initial": ("initial", _seconds(1.0)),
    "max": ("max", _seconds(1.0)),
    "resetAfter": ("reset_after", _seconds(1.0)),
}


def _backoff(text: str, base: Any) -> BackOff:
    """``off``, or some of its members over those that hold otherwise."""
    if text == "off":
        return BackOff(off=True)
    start: BackOff = base if isinstance(base, BackOff) and not base.off else BackOff()
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        attribute, read = _BACKOFF_PARTS.get(name, ("", _one_of()))
        if attribute in found:
            raise ValueError(text)
        found[attribute] = read(value, None)
    result = replace(start, **found)
    if result.max < result.initial:
        raise ValueError(text)
    return result


def _groups(text: str, _: Any) -> IntOrString:
    """A number of groups, or a percentage of them."""
    if is_percent(text) and scaled(text, 100, round_up=False) <= 100:
        return text
    return _count(1_000_000)(text, None)


_CLAIMS: Final = ",claims=any"


def _release(text: str, _: Any) -> Release:
    """``off``, or a duration, with what lifts the exclusion of claims."""
    if text == "off":
        return Release()
    return Release(_seconds(60.0)(text.removesuffix(_CLAIMS), None), text.endswith(_CLAIMS))


_SWITCH: Final = _one_of(true=True, false=False)

SETTINGS: Final = (
    Setting(
        "restart_backoff",
        '"off", or some of free, initial, max and resetAfter, with max not below initial',
        "free=2,initial=10s,max=5m",
        _backoff,
    ),
    Setting("failure_log_lines", f"a number from 0 to {MOST_LOG_LINES}", "50", _count(MOST_LOG_LINES)),
    Setting("slow_start", "a duration of at least 60s", "30m", _seconds(60.0), annotated=False),
    Setting("repair_workers", '"true" or "false"', "true", _SWITCH),
    Setting("rollout", f'"{PAUSED}", or no such annotation', PAUSED, _one_of(paused=PAUSED)),
    Setting("revision_history_limit", f"a number from 0 to {MOST_REVISIONS}", "5", _count(MOST_REVISIONS)),
    Setting("progress_deadline", "a duration of at least 5m", "1h", _seconds(300.0)),
    Setting("on_stall", '"Hold", "Undo" or "Ignore"', "Hold", _one_of(Hold="Hold", Undo="Undo", Ignore="Ignore")),
    Setting("surge_fallback", "a duration of at least 60s", "10m", _seconds(60.0)),
    Setting("evacuate", '"true" or "false"', "true", _SWITCH),
    Setting("disruption_budget", "a number of groups, or a percentage of them up to 100%", "1", _groups),
    Setting(
        "release_lost_nodes_after",
        f'"off", or a duration of at least 60s, which may be followed by "{_CLAIMS}"',
        "5m",
        _release,
    ),
    Setting("avoid_suspect_nodes", '"true" or "false"', "true", _SWITCH),
    Setting("group_recovery_grace", '"off", or a duration of at least 10s', "5m", _seconds_or_off(10.0)),
)
BY_KEY: Final[Mapping[str, Setting]] = {each.key: each for each in SETTINGS if each.annotated}
BY_MEMBER: Final[Mapping[str, Setting]] = {each.member: each for each in SETTINGS}


GRACE_ENDS: Final = (
    f"metadata.annotations[{RECOVERY_GRACE}]: unless the policies file grants one, groups with a container that was "
    "ever restarted are recreated now where restartPolicy asks for it, healed ones too"
)


def parse(setting: Setting, text: str, base: Any = None) -> Any:
    """The value of a text.

    Raises:
        ValueError: it is not of the accepted form, which the message names with an example.
    """
    try:
        return setting.read(text, base)
    except ValueError:
        raise ValueError(f"must be {setting.form}, such as {quoted(setting.example)}") from None


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the sets of some namespaces and labels; of both, none means all.

    ``values`` are members of `SetPolicies`.
    """

    namespaces: tuple[str, ...]
    labels: Mapping[str, str]
    values: Mapping[str, Any]

    def matches(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether it is about this set."""
        here = not self.namespaces or namespace in self.namespaces
        return here and all(labels.get(key) == value for key, value in self.labels.items())


@dataclass(frozen=True, slots=True)
class SuspectNodes:
    """What makes a node suspect, for the whole cluster; times in seconds (resilience 6.5).

    Attributes:
        threshold: how many incidents whose cause was on it do.
        window: within which they count.
        duration: for how long it is suspect after the last.
        conditions: types of conditions of which one that is True does, too, while it is.
    """

    threshold: int = 3
    window: float = 3600.0
    duration: float = 3600.0
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicySource:
    """What the policies file says: defaults, rules of which the first that matches counts, and what is for all."""

    defaults: SetPolicies = DEFAULTS
    rules: tuple[Rule, ...] = ()
    suspect_nodes: SuspectNodes = SuspectNodes()
    evacuations: int = EVACUATIONS

    def without_annotations(self, namespace: str, labels: Mapping[str, str]) -> SetPolicies:
        """What holds for a set that says nothing itself."""
        rule = next((each for each in self.rules if each.matches(namespace, labels)), None)
        return self.defaults if rule is None else replace(self.defaults, **rule.values)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What holds for a set, and the annotations whose values were passed over because they cannot be read."""

    policies: SetPolicies
    bad: tuple[tuple[str, str, str], ...] = ()  # key, value, what is accepted


NOTHING_CHOSEN: Final = Chosen(DEFAULTS)


def choose(
    source: PolicySource, namespace: str, labels: Mapping[str, str] | None, annotations: Mapping[str, str] | None
) -> Chosen:
    """An annotation takes precedence over a rule, a rule over the default; a bad value counts as none."""
    base = source.without_annotations(namespace, labels or {})
    found: dict[str, Any] = {}
    bad = []
    for key, value in (annotations or {}).items():
        setting = BY_KEY.get(key)
        if setting is None:
            continue
        try:
            found[setting.member] = parse(setting, value, getattr(base, setting.member))
        except ValueError as error:
            bad.append((key, value, str(error)))
    if not found and not bad and base is DEFAULTS:
        return NOTHING_CHOSEN
    return Chosen(replace(base, **found) if found else base, tuple(bad))


def validate(obj: JSON, old: JSON | None) -> list[str]:
    """What is wrong with the annotations that this write sets or changes (resilience 1.3)."""
    return list(_refused(_annotations(obj), {} if old is None else _annotations(old)))


def warnings(obj: JSON, old: JSON | None) -> list[str]:
    """Of the annotations that this write brings in, those that nobody reads; and what it leads to (resilience 7)."""
    before, now = {} if old is None else _annotations(old), _annotations(obj)
    unknown = [key for key in now if key.startswith(PREFIX) and key not in BY_KEY and key not in before]
    told = [f"metadata.annotations[{key}]: nobody reads it; {_nearest(key)}" for key in unknown]
    return [*told, *([GRACE_ENDS] if _granted(before) and not _granted(now) else [])]


def _granted(annotations: JSON) -> bool:
    """Whether members of a failed group are replaced first."""
    value = annotations.get(RECOVERY_GRACE)
    return isinstance(value, str) and value != "off"


def _refused(annotations: JSON, before: JSON) -> Iterator[str]:
    for key, value in annotations.items():
        setting = BY_KEY.get(key)
        if setting is None or not isinstance(value, str) or before.get(key) == value:
            continue
        try:
            parse(setting, value)
        except ValueError as error:
            yield f"metadata.annotations[{key}]: Invalid value: {quoted(value)}: {error}"


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in BY_KEY], n=1)
    if close:
        return f"did you mean {PREFIX}{close[0]}?"
    return f"known are {', '.join(each.removeprefix(PREFIX) for each in BY_KEY)}"


def _annotations(obj: JSON) -> JSON:
    return member(member(obj, "metadata"), "annotations")


assert {each.name for each in fields(SetPolicies)} == set(BY_MEMBER)
