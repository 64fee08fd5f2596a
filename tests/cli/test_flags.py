"""The flags of lws-controller (operations 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lws.cli.controller import make_settings
from lws.cli.flags import parse_flags
from lws.errors import ConfigurationError
from lws.manager.settings import Configuration

HEAD = "apiVersion: config.lws.x-k8s.io/v1alpha1\nkind: Configuration\n"


def configured(*argv: str) -> dict[str, Any]:
    """The configuration that comes of a command line."""
    return make_settings(parse_flags(argv, terminal=False), {}).configuration.model_dump(by_alias=True)


def test_without_flags_the_defaults_hold() -> None:
    """An empty command line is the default configuration."""
    assert configured() == Configuration().model_dump(by_alias=True)


@pytest.mark.parametrize(
    ("flag", "section", "member", "value"),
    [
        ("--metrics-bind-address=:9999", "metrics", "bindAddress", ":9999"),
        ("--metrics-bind-address=0", "metrics", "bindAddress", "0"),
        ("--health-probe-bind-address=127.0.0.1:1", "health", "healthProbeBindAddress", "127.0.0.1:1"),
        ("--kube-api-qps=12.5", "clientConnection", "qps", 12.5),
        ("--kube-api-burst=7", "clientConnection", "burst", 7),
        ("--leader-elect=false", "leaderElection", "leaderElect", False),
        ("--leader-elect", "leaderElection", "leaderElect", True),
        ("--leader-elect-lease-duration=1m30s", "leaderElection", "leaseDuration", 90.0),
        ("--leader-elect-renew-deadline=9s", "leaderElection", "renewDeadline", 9.0),
        ("--leader-elect-retry-period=500ms", "leaderElection", "retryPeriod", 0.5),
        ("--leader-elect-resource-lock=leases", "leaderElection", "resourceLock", "leases"),
        ("--leader-elect-resource-name=mine", "leaderElection", "resourceName", "mine"),
    ],
)
def test_each_flag_sets_its_field_and_no_other(flag: str, section: str, member: str, value: object) -> None:
    """A flag changes exactly the field that it stands for, with one dash or two, joined or apart."""
    expected = Configuration().model_dump(by_alias=True)
    expected[section][member] = value
    assert configured(flag) == expected
    assert configured(flag[1:]) == expected
    if "=" in flag:
        assert configured(*flag.split("=")) == expected


def test_an_explicit_flag_beats_the_file(tmp_path: Path) -> None:
    """A flag given explicitly wins over the file, even with its own default; the file wins over what is not given."""
    path = tmp_path / "config.yaml"
    path.write_text(
        HEAD + "health:\n  healthProbeBindAddress: :1111\nleaderElection:\n  leaderElect: false\n"
        "  resourceName: test\nclientConnection:\n  qps: 5\n"
    )
    found = configured(f"--config={path}", "--leader-elect=true", "--kube-api-qps=500")
    assert found["leaderElection"]["leaderElect"] is True
    assert found["leaderElection"]["resourceName"] == "test"
    assert found["health"]["healthProbeBindAddress"] == ":1111"
    assert found["clientConnection"]["qps"] == 500.0


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "1", "t", "T"])
def test_truths_of_go_are_true(text: str) -> None:
    """Every spelling of true that Go's flags take is true."""
    assert configured(f"--leader-elect={text}")["leaderElection"]["leaderElect"] is True


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--leader-elect=maybe"], "--leader-elect: 'maybe' is neither true nor false"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["positional"], "unrecognized arguments: positional"),
        (["--leader"], "unrecognized arguments: --leader"),
        (["--config"], "--config: expected one argument"),
        (["--kube-api-qps", "fast"], "--kube-api-qps: 'fast' is not a number"),
        (["--kube-api-burst", "1.5"], "--kube-api-burst: '1.5' is not an integer"),
        (["--leader-elect-lease-duration", "15"], "--leader-elect-lease-duration: '15' is not a duration"),
        (["--leader-elect-lease-duration", "5s"], "leaseDuration must be greater than renewDeadline"),
        (["--leader-elect-resource-lock", "endpoints"], "leaderElection.resourceLock: 'endpoints' is not supported"),
        (["--zap-log-level", "loud"], "--zap-log-level: 'loud' is not one of"),
        (["--zap-log-level", "0"], "--zap-log-level: '0' is not one of"),
        (["--log-format", "xml"], "--log-format: 'xml' is not one of json, console"),
        (["--max-concurrent-reconciles", "0"], "--max-concurrent-reconciles: '0' is not positive"),
        (["--kube-api-burst", "0"], "clientConnection.burst"),
    ],
)
def test_a_wrong_flag_is_named(argv: list[str], said: str) -> None:
    """Whatever is wrong with a flag is told in one line that names it."""
    with pytest.raises(ConfigurationError) as caught:
        configured(*argv)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "terminal", "level", "form"),
    [
        ([], False, "info", "json"),
        ([], True, "info", "console"),
        (["--zap-devel"], False, "debug", "console"),
        (["--zap-devel=true"], False, "debug", "console"),
        (["--zap-devel=false"], True, "info", "console"),
        (["--zap-devel", "--zap-encoder=json", "--zap-log-level=error"], False, "error", "json"),
        (["--zap-log-level=5"], False, "debug", "json"),
        (["--zap-log-level=DEBUG"], False, "debug", "json"),
        (["--zap-log-level=panic"], False, "critical", "json"),
        (["--zap-log-level=debug", "--log-level=warning"], False, "warning", "json"),
        (["--zap-encoder=console", "--log-format=json"], True, "info", "json"),
    ],
)
def test_zap_flags_are_mapped(argv: list[str], terminal: bool, level: str, form: str) -> None:
    """The reference's zap flags choose level and form; our own flags beat them; a terminal gets text."""
    logs = parse_flags(argv, terminal=terminal).logs
    assert (logs.level, logs.format) == (level, form)


def test_zap_flags_for_times_and_traces() -> None:
    """Time encoding and stack traces follow the reference's flags too."""
    logs = parse_flags(["--zap-time-encoding=rfc3339nano", "--zap-stacktrace-level=panic"], terminal=False).logs
    assert (logs.time, logs.tracebacks) == ("rfc3339nano", False)
    assert parse_flags(["--zap-stacktrace-level=error"], terminal=False).logs.tracebacks


def test_enable_webhooks_turns_admission_off() -> None:
    """ENABLE_WEBHOOKS=false, and only that, turns admission off."""
    flags = parse_flags([], terminal=False)
    assert not make_settings(flags, {"ENABLE_WEBHOOKS": "false"}).webhooks
    assert make_settings(flags, {"ENABLE_WEBHOOKS": "0"}).webhooks
    assert make_settings(flags, {}).webhooks


def test_outside_a_cluster_is_development() -> None:
    """Without a service account's environment the run is one of development, with no patience for refusals."""
    flags = parse_flags(["--max-concurrent-reconciles=3"], terminal=False)
    outside = make_settings(flags, {})
    assert (outside.development, outside.start_patience, outside.namespace) == (True, 0.0, "lws-system")
    inside = make_settings(flags, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})
    assert (inside.development, inside.start_patience, inside.workers) == (False, 30.0, 3)
