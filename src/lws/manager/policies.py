"""The policies file: what goes beyond the reference, for all sets of the cluster and for some (resilience 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from lws.api.leaderworkerset import gangs
from lws.api.leaderworkerset.policies import (
    BY_MEMBER,
    EVACUATIONS,
    PolicySource,
    Rule,
    SetPolicies,
    SuspectNodes,
    parse,
)
from lws.api.leaderworkerset.workloadapi import GROUP, V1BETA1, VERSIONS, WorkloadApi
from lws.apimachinery.durations import parse_duration
from lws.manager.section import Section, Text

_SUSPECT: Final = SuspectNodes()
LEAST_SECONDS: Final = 60.0
_ABOUT_SETS: Final = frozenset(BY_MEMBER) - {"rollout"}
_CAN_BE_OFF: Final = ("restart_backoff", "release_lost_nodes_after", "group_recovery_grace")


def _as_text(value: Any) -> str:
    """A value as its annotation would have it."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int():
            return str(value)
        case dict():
            return ",".join(f"{name}={each}" for name, each in value.items())
    raise ValueError("must be a text, a number, true, false or an object")


def _checked(value: Any, info: ValidationInfo) -> str:
    """The text that an annotation would have, known to be of the accepted form; YAML reads a bare ``off`` as false."""
    assert info.field_name is not None
    off = info.field_name in _CAN_BE_OFF and value is False
    text = "off" if off else _as_text(value)
    parse(BY_MEMBER[info.field_name], text)
    return text


Value = Annotated[str | None, BeforeValidator(_checked)]


class ChosenForSets(Section):
    """What can be chosen for sets; None for what is not."""

    restart_backoff: Value = None
    failure_log_lines: Value = None
    slow_start: Value = None
    repair_workers: Value = None
    revision_history_limit: Value = None
    progress_deadline: Value = None
    on_stall: Value = None
    surge_fallback: Value = None
    evacuate: Value = None
    disruption_budget: Value = None
    release_lost_nodes_after: Value = None
    avoid_suspect_nodes: Value = None
    group_recovery_grace: Value = None

    def values(self, base: SetPolicies) -> Mapping[str, Any]:
        """The members that say something, over those that hold otherwise."""
        said = {name: text for name in _ABOUT_SETS if (text := getattr(self, name)) is not None}
        return {name: parse(BY_MEMBER[name], text, getattr(base, name)) for name, text in said.items()}


class PolicyRule(ChosenForSets):
    """What holds for the sets of some namespaces and labels instead."""

    namespaces: tuple[Text, ...] = ()
    labels: dict[Text, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> PolicyRule:
        if not self.values(SetPolicies()):
            raise ValueError("a rule must say what holds for its sets, such as restartBackoff: off")
        return self


def _duration(value: Any) -> float:
    """Seconds of a duration of at least a minute, as Go writes it."""
    try:
        seconds = parse_duration(value) if isinstance(value, str) else 0.0
    except ValueError:
        seconds = 0.0
    if seconds < LEAST_SECONDS:
        raise ValueError('must be a duration of at least 60s, such as "1h"')
    return seconds


Duration = Annotated[float, BeforeValidator(_duration)]


class SuspectNodesSection(Section):
    """What makes a node suspect (resilience 6.5)."""

    threshold: int = Field(_SUSPECT.threshold, ge=1)
    window: Duration = _SUSPECT.window
    duration: Duration = _SUSPECT.duration
    conditions: tuple[Text, ...] = ()


class Policies(ChosenForSets):
    """Cluster-wide defaults, and rules of which the first that matches a set counts."""

    evacuations: int = Field(EVACUATIONS, ge=1)
    suspect_nodes: SuspectNodesSection = SuspectNodesSection()
    gang_schedulers: tuple[Text, ...] = gangs.SCHEDULERS
    workload_version: Text = V1BETA1.version
    rules: tuple[PolicyRule, ...] = ()

    @field_validator("gang_schedulers")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("at least one schedulerName is needed, such as volcano, and none may be empty")
        return value

    @field_validator("workload_version")
    @classmethod
    def _known_version(cls, value: str) -> str:
        if value not in VERSIONS:
            raise ValueError(f"{value!r} is no version of {GROUP} with Workloads: use {' or '.join(VERSIONS)}")
        return value

    @property
    def workload_api(self) -> WorkloadApi:
        """The version of ``scheduling.k8s.io`` by which ``spec.scheduling`` is acted upon (ND-31)."""
        return VERSIONS[self.workload_version]

    @property
    def source(self) -> PolicySource:
        """As planners want it."""
        defaults = SetPolicies(**self.values(SetPolicies()))
        rules = tuple(Rule(each.namespaces, each.labels, each.values(defaults)) for each in self.rules)
        return PolicySource(defaults, rules, SuspectNodes(**dict(self.suspect_nodes)), self.evacuations)


class PoliciesFile(Section):
    """The policies file: what goes beyond the reference has no place in its configuration file, which it reads too."""

    policies: Policies = Policies()
