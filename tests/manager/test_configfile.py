"""The configuration file: defaults, strictness, and sentences (operations 2)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from lws.api.leaderworkerset.policies import BackOff, SetPolicies, choose
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.workloadapi import V1ALPHA2, V1BETA1
from lws.errors import ConfigurationError
from lws.manager.configfile import read_configuration, read_policies, validate
from lws.manager.settings import Configuration, Settings

HEAD = "apiVersion: config.lws.x-k8s.io/v1alpha1\nkind: Configuration\n"


def read(folder: Path, text: str) -> Configuration:
    """Parse a configuration file with this text below its head."""
    path = folder / "config.yaml"
    path.write_text(HEAD + text)
    return validate(read_configuration(str(path)), "file")


def problem(folder: Path, text: str, *, head: str = HEAD) -> str:
    """What is said of a configuration file with this text."""
    path = folder / "config.yaml"
    path.write_text(head + text)
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(str(path))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), "FILE")


def test_defaults_are_those_of_operations_2() -> None:
    """Without a file every field has its documented default."""
    found = Configuration().model_dump(by_alias=True)
    assert found == {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "webhook": {"port": 9443, "host": "", "certDir": "/tmp/k8s-webhook-server/serving-certs"},
        "metrics": {"bindAddress": ":8443"},
        "health": {
            "healthProbeBindAddress": ":8081",
            "readinessEndpointName": "readyz",
            "livenessEndpointName": "healthz",
        },
        "leaderElection": {
            "leaderElect": True,
            "leaseDuration": 15.0,
            "renewDeadline": 10.0,
            "retryPeriod": 2.0,
            "resourceLock": "leases",
            "resourceName": "b8b2488c.x-k8s.io",
            "resourceNamespace": "",
        },
        "internalCertManagement": {
            "enable": True,
            "webhookServiceName": "lws-webhook-service",
            "webhookSecretName": "lws-webhook-server-cert",
            "metricsServiceName": "",
        },
        "clientConnection": {"qps": 500.0, "burst": 500},
        "gangSchedulingManagement": None,
        "featureGates": {},
        "tls": {"minVersion": "", "cipherSuites": ()},
    }
    assert Settings().lease_namespace == "lws-system"


# The shapes of files that the reference ships, renders or tests with.
REFERENCE_FILES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "shipped": ("leaderElection:\n  leaderElect: true\ninternalCertManagement:\n  enable: true\n", {}),
    "chart with volcano": (
        (
            "leaderElection:\n  leaderElect: true\ninternalCertManagement:\n  enable: false\n"
            "gangSchedulingManagement:\n      schedulerProvider: volcano\n"
        ),
        {
            "internalCertManagement": {"enable": False},
            "gangSchedulingManagement": {"schedulerProvider": "volcano"},
        },
    ),
    "overwriting": (
        (
            "health:\n  healthProbeBindAddress: :38081\n  readinessEndpointName:  test\n"
            "metrics:\n  bindAddress: :38080\n"
            "leaderElection:\n  leaderElect: true\n  resourceName: test-id\nwebhook:\n  port: 9444\n"
        ),
        {
            "health": {"healthProbeBindAddress": ":38081", "readinessEndpointName": "test"},
            "metrics": {"bindAddress": ":38080"},
            "leaderElection": {"resourceName": "test-id"},
            "webhook": {"port": 9444},
        },
    ),
    "tenant certificates": (
        (
            "internalCertManagement:\n  enable: true\n  webhookServiceName: lws-tenant-a-webhook-service\n"
            "  webhookSecretName: lws-tenant-a-webhook-server-cert\n"
        ),
        {
            "internalCertManagement": {
                "webhookServiceName": "lws-tenant-a-webhook-service",
                "webhookSecretName": "lws-tenant-a-webhook-server-cert",
            }
        },
    ),
    "client connection": (
        "clientConnection:\n  qps: 50\n  burst: 100\n",
        {"clientConnection": {"qps": 50.0, "burst": 100}},
    ),
    "spans": (
        "leaderElection:\n  leaderElect: false\n  leaseDuration: 5m\n  renewDeadline: 1m30s\n  retryPeriod: 500ms\n",
        {
            "leaderElection": {
                "leaderElect": False,
                "leaseDuration": 300.0,
                "renewDeadline": 90.0,
                "retryPeriod": 0.5,
            }
        },
    ),
    "null and empty values": (
        (
            "webhook:\n  certDir: ''\n  port: 0\nmetrics:\n  bindAddress: ''\nhealth: null\ntls:\n"
            "leaderElection:\n  leaseDuration: 0s\n  resourceName: ''\n"
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", REFERENCE_FILES)
def test_files_of_the_reference_work(tmp_path: Path, name: str) -> None:
    """A file that the reference accepts is read, and says what it says there."""
    text, changes = REFERENCE_FILES[name]
    expected: dict[str, Any] = Configuration().model_dump(by_alias=True)
    for section, members in changes.items():
        expected[section] = {**(expected[section] or {}), **members}
    assert read(tmp_path, text).model_dump(by_alias=True) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("invalidField: x\n", "unknown field 'invalidField'; known here are apiVersion, kind, webhook"),
        ("webhook:\n  prot: 1\n", "unknown field 'webhook.prot'; did you mean 'port'?"),
        ("Webhook: {}\n", "unknown field 'Webhook'; did you mean 'webhook'?"),
        ("leader_election: {}\n", "unknown field 'leader_election'"),
        ("webhook:\n  port: 1\n  port: 2\n", "member 'port' in line 5 is given twice"),
        ("kind: Configuration\n", "member 'kind' in line 3 is given twice"),
        ("webhook:\n  port: '9443'\n", "webhook.port must be a whole number, not the text '9443'"),
        ("webhook:\n  port: true\n", "webhook.port must be a whole number, not the truth value true"),
        ("webhook:\n  port: 70000\n", "webhook.port: input should be less than or equal to 65535, not 70000"),
        ("webhook: 3\n", "webhook must be an object, not the number 3"),
        ("metrics:\n  bindAddress: 0\n", "metrics.bindAddress must be a text, not the number 0"),
        ("leaderElection:\n  leaderElect: 'yes'\n", "leaderElection.leaderElect must be true or false"),
        ("leaderElection:\n  leaseDuration: 15\n", "leaderElection.leaseDuration: 15 has no unit"),
        ("leaderElection:\n  leaseDuration: 15x\n", "leaderElection.leaseDuration: '15x' is not a duration"),
        ("leaderElection:\n  renewDeadline: 20s\n", "leaderElection: leaseDuration must be greater than renewDeadline"),
        ("leaderElection:\n  resourceLock: endpoints\n", "leaderElection.resourceLock: 'endpoints' is not supported"),
        ("leaderElection:\n  leaseDuration: [15s]\n", "leaderElection.leaseDuration: must be a duration such as 15s"),
        ("leaderElection:\n  leaseDuration: true\n", "leaderElection.leaseDuration: must be a duration such as 15s"),
        (
            "leaderElection:\n  resourceName: My lease\n",
            "leaderElection.resourceName: 'My lease' is not a valid Lease name",
        ),
        ("leaderElection:\n  resourceNamespace: a/b\n", "resourceNamespace: 'a/b' is not a valid namespace name"),
        ("clientConnection:\n  qps: .nan\n", "clientConnection.qps: input should be a finite number, not nan"),
        ("clientConnection:\n  qps: .inf\n", "clientConnection.qps: input should be a finite number, not inf"),
        ("clientConnection:\n  qps: fast\n", "clientConnection.qps must be a number, not the text 'fast'"),
        ("clientConnection:\n  qps: 0\n", "clientConnection.qps: 0 requests per second is not usable"),
        ("clientConnection:\n  burst: 0\n", "clientConnection.burst"),
        ("featureGates: {Nonesuch: true}\n", "unrecognized feature gate: Nonesuch"),
        ("gangSchedulingManagement: {}\n", "schedulerProvider must be set when gang scheduling is enabled"),
        ("gangSchedulingManagement:\n  schedulerProvider: ''\n", "schedulerProvider must be set"),
        (
            "gangSchedulingManagement:\n  schedulerProvider: kueue\n",
            "'kueue' is not supported: use volcano or kubernetes",
        ),
        ("tls:\n  minVersion: VersionTLS11\n", "'VersionTLS11' is not supported: use VersionTLS12 or VersionTLS13"),
        (
            "tls:\n  minVersion: VersionTLS13\n  cipherSuites: [TLS_AES_128_GCM_SHA256]\n",
            "tls.cipherSuites cannot be set when tls.minVersion is VersionTLS13",
        ),
        ("tls:\n  cipherSuites: [TLS_NONSENSE]\n", "tls.cipherSuites: 'TLS_NONSENSE' is not supported"),
        ("tls:\n  cipherSuites: TLS_X\n", "tls.cipherSuites must be a list, not the text 'TLS_X'"),
        (
            "internalCertManagement:\n  webhookServiceName: A_b\n",
            "'A_b' is not a valid Service name",
        ),
        (
            "internalCertManagement:\n  webhookSecretName: a..b\n",
            "'a..b' is not a valid Secret name",
        ),
        ("metadata:\n  name: x\n", "unknown field 'metadata'"),
        ("a: b: c\n", "is not valid YAML: line 3: "),
        ("webhook:\n\tport: 1\n", "is not valid YAML: line 4: "),
        ("webhook: {port: !!int many}\n", "a value is not what its tag says: invalid literal for int()"),
        ("webhook: {host: !!timestamp soon}\n", "a value is not what its tag says"),
        (f"tls: {'[' * 3000}{']' * 3000}\n", "it is nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake is named with its file and member in one line."""
    assert said in problem(tmp_path, text)


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    """A file with two mistakes names both."""
    said = problem(tmp_path, "webhook:\n  port: x\nmetrics:\n  adress: y\n")
    assert "webhook.port" in said
    assert "metrics.adress" in said


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "must hold one object of kind Configuration, not nothing"),
        ("- a\n", "must hold one object of kind Configuration, not a list"),
        ("kind: Configuration\n", "apiVersion and kind must be config.lws.x-k8s.io/v1alpha1 and Configuration"),
        ("apiVersion: lws.x-k8s.io/v1alpha1\nkind: Configuration\n", "not 'lws.x-k8s.io/v1alpha1'"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, head: str, said: str) -> None:
    """A file that is not of our kind is refused by apiVersion and kind."""
    assert said in problem(tmp_path, "", head=head)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is no text are told apart."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory"), (binary, "not UTF-8")):
        with pytest.raises(ConfigurationError, match=said):
            read_configuration(str(path))


def test_cipher_suites_have_the_names_of_go_and_iana(tmp_path: Path) -> None:
    """Both names of a suite mean the same, suites of TLS 1.3 are accepted and change nothing."""
    policy = read(
        tmp_path,
        "tls:\n  minVersion: VersionTLS12\n  cipherSuites:\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n"
        "  - TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305\n  - TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256\n"
        "  - TLS_AES_128_GCM_SHA256\n",
    ).tls.policy
    assert policy.ciphers == "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305"
    assert policy.minimum_version is ssl.TLSVersion.TLSv1_2


def test_every_named_suite_is_known_to_openssl() -> None:
    """No suite that we accept is one that the TLS library would refuse."""
    from lws.runtime.tls import SUITES_12

    for name in SUITES_12.values():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(name)


def test_only_suites_of_tls_13_leave_nothing_for_12(tmp_path: Path) -> None:
    """Allowing none but TLS 1.3 suites means TLS 1.3."""
    policy = read(tmp_path, "tls:\n  cipherSuites: [TLS_AES_256_GCM_SHA384]\n").tls.policy
    assert policy.minimum_version is ssl.TLSVersion.TLSv1_3
    assert policy.ciphers is None


def policies(folder: Path, text: str) -> tuple[str, ...]:
    """The gang schedulers of a controller with Volcano and a policies file with this text."""
    path = folder / "policies.yaml"
    path.write_text(text)
    volcano = read(folder, "gangSchedulingManagement:\n  schedulerProvider: volcano\n")
    return Settings(configuration=volcano, policies=read_policies(str(path))).gang_schedulers


def test_g3_gang_schedulers_come_from_the_policies_file(tmp_path: Path) -> None:
    """Which schedulerNames mean Volcano is a policy, volcano by default, and nothing without the provider (CD-31)."""
    assert policies(tmp_path, "policies: {gangSchedulers: [volcano, volcano-gpu]}\n") == ("volcano", "volcano-gpu")
    assert policies(tmp_path, "policies: {}\n") == ("volcano",)
    assert read_policies(str(tmp_path / "absent.yaml")) == read_policies("") == Settings().policies
    assert Settings().gang_schedulers == ()


def test_nd_31_version_of_the_workload_api_comes_from_the_policies_file(tmp_path: Path) -> None:
    """The one of Kubernetes 1.37 unless it says another."""
    path = tmp_path / "policies.yaml"
    path.write_text("policies: {workloadVersion: v1alpha2}\n")
    assert read_policies(str(path)).workload_api == V1ALPHA2
    assert Settings().policies.workload_api == V1BETA1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policies: {gangScheduler: [a]}\n", "unknown field 'policies.gangScheduler'; did you mean 'gangSchedulers'?"),
        ("policies: {gangSchedulers: []}\n", "policies.gangSchedulers: at least one schedulerName is needed"),
        ("policies: {workloadVersion: v1}\n", "policies.workloadVersion: 'v1' is no version of scheduling.k8s.io"),
        ("policies: {gangSchedulers: volcano}\n", "policies.gangSchedulers must be a list, not the text 'volcano'"),
        ("- a\n", "must hold one object of policies, not a list"),
    ],
)
def test_a_wrong_policies_file_is_a_start_up_error(tmp_path: Path, text: str, words: str) -> None:
    """An error in the policies file is told with file, member and remedy (resilience 1.2)."""
    with pytest.raises(ConfigurationError) as caught:
        policies(tmp_path, text)
    assert words in str(caught.value)


def test_policies_hold_by_default_by_rule_and_by_annotation(tmp_path: Path) -> None:
    """An annotation takes precedence over the first rule that matches, a rule over the default (resilience 1.2)."""
    path = tmp_path / "policies.yaml"
    path.write_text(
        "policies:\n  restartBackoff: {free: 3, max: 10m}\n  rules:\n"
        "  - {namespaces: [a], labels: {team: x}, restartBackoff: off}\n"
        "  - {namespaces: [a], restartBackoff: {free: 1}, failureLogLines: 5}\n"
    )
    source = read_policies(str(path)).source
    assert choose(source, "b", {}, {}).policies.restart_backoff == BackOff(free=3, max=600.0)
    assert choose(source, "a", {"team": "x"}, {}).policies == SetPolicies(restart_backoff=BackOff(off=True))
    by_rule = choose(source, "a", {}, {}).policies
    assert (by_rule.restart_backoff, by_rule.failure_log_lines) == (BackOff(free=1, max=600.0), 5)
    own = choose(source, "a", {}, {f"{PREFIX}restart-backoff": "initial=5s", f"{PREFIX}rollout": "halted"})
    assert own.policies.restart_backoff == BackOff(free=1, initial=5.0, max=600.0)
    assert own.bad == ((f"{PREFIX}rollout", "halted", 'must be "paused", or no such annotation, such as "paused"'),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("policies: {restartBackoff: {free: -1}}", 'policies.restartBackoff: must be "off", or some of free'),
        ("policies: {slowStart: 5}", 'policies.slowStart: must be a duration of at least 60s, such as "30m"'),
        ("policies: {rules: [{namespaces: [a]}]}", "policies.rules.0: a rule must say what holds for its sets"),
        ("policies: {rules: [{onStal: Hold}]}", "unknown field 'policies.rules.0.onStal'; did you mean 'onStall'?"),
        ("policies: {failureLogLines: [1]}", "policies.failureLogLines: must be a text, a number, true, false"),
    ],
)
def test_policies_of_a_wrong_form_are_a_start_up_error(tmp_path: Path, text: str, problem: str) -> None:
    """An error in the policies file names the member, the accepted form and an example (resilience 1.2)."""
    path = tmp_path / "policies.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        read_policies(str(path))
    assert problem in str(error.value)
