"""The alerts: when each fires, what it tells whoever is woken, and what that person is to do.

``@NAME@`` stands for a value of the chart, or its default in what kustomize renders: `PLACES` say which installation
is meant, `THRESHOLDS` when an alert fires. What is exported of a set has the set's namespace; all else has the
controller's, which together with the job tells installations apart, and so does ``cluster`` where Prometheus adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PLACES: Final = {
    "job": "lws-controller-manager-metrics-service",
    "namespace": "lws-system",
    "runbooks": "docs/troubleshooting.md",
}


@dataclass(frozen=True)
class Threshold:
    """A number that an alert compares with.

    Attributes:
        name: in the values of the chart, and between ``@`` in expressions.
        default: as shipped.
        meaning: for the documentation.
    """

    name: str
    default: float
    meaning: str


THRESHOLDS: Final = (
    Threshold(
        "setNotReadySeconds", 1800, "how long a wanted group may take to become ready; raise it for large models"
    ),
    Threshold("setFailingSeconds", 600, "how long reconciles of one set may fail"),
    Threshold(
        "rolloutStalledSeconds", 600, "how long a DisaggregatedSet's rollout may stand still while its groups are ready"
    ),
    Threshold("groupFailures", 3, "failures of one group within an hour that make a storm"),
    Threshold("queueWaitSeconds", 300, "how long a key may wait for a worker"),
    Threshold("reconcileTimeouts", 5, "reconciles cut off at their deadline within 10 minutes"),
    Threshold("reconcileErrorsPerSecond", 0.1, "errors of all reconciles of a controller"),
    Threshold("watchSilentSeconds", 240, "how long a watch may say nothing; a healthy one does each minute"),
    Threshold("eventLoopLagSeconds", 1, "how late the event loop may be, 99th percentile"),
    Threshold("certificateDays", 14, "how long before its end a certificate should have been renewed"),
    Threshold(
        "admissionFailures", 3, "admission requests within 10 minutes that the API server could not have answered"
    ),
)


@dataclass(frozen=True)
class Alert:
    """One rule.

    Attributes:
        name: which is also the heading of its runbook.
        expression: PromQL with places and thresholds.
        wait: for how long it must hold.
        keep: for how long it goes on firing once it does not.
        severity: ``critical`` where somebody must get up.
        summary: one sentence with the labels that tell what it is about.
        action: the first thing to do, as commands; the runbook has the rest.
    """

    name: str
    expression: str
    wait: str
    keep: str
    severity: str
    summary: str
    action: str


OURS: Final = 'job="@job@",namespace="@namespace@"'
SET: Final = "cluster, namespace, name"
INSTALLATION: Final = "cluster, namespace, job"
_SET_NAME: Final = "LeaderWorkerSet {{ $labels.namespace }}/{{ $labels.name }}"
_DISAGGREGATED: Final = "DisaggregatedSet {{ $labels.namespace }}/{{ $labels.name }}"
_KUBECTL: Final = "kubectl -n @namespace@"
_LOGS: Final = "`kubectl -n @namespace@ logs -l control-plane=controller-manager --tail=100`"

ALERTS: Final = (
    Alert(
        "LWSSetNotReady",
        f'time() - min by ({SET}) (lws_set_not_ready_since_timestamp_seconds{{job="@job@"}} > 0)'
        " > @setNotReadySeconds@",
        "5m",
        "5m",
        "warning",
        f"{_SET_NAME} has had a group that is not ready for {{{{ $value | humanizeDuration }}}}.",
        "`kubectl lws explain-stuck -n {{ $labels.namespace }} {{ $labels.name }}` says what it waits for.",
    ),
    Alert(
        "LWSSetBlocked",
        f'max by ({SET}) (lws_blocked{{job="@job@"}}) > 0',
        "5m",
        "5m",
        "warning",
        f"{_SET_NAME} is blocked.",
        "Its condition Blocked says by what: `kubectl -n {{ $labels.namespace }} describe leaderworkerset"
        " {{ $labels.name }}`.",
    ),
    Alert(
        "LWSSetFailing",
        f'time() - min by ({SET}) (lws_set_failing_since_timestamp_seconds{{job="@job@"}}) > @setFailingSeconds@',
        "1m",
        "5m",
        "warning",
        f"The controller has failed at {_SET_NAME} for {{{{ $value | humanizeDuration }}}}.",
        "The log names the cause: `kubectl -n @namespace@ logs -l control-plane=controller-manager --tail=-1 |"
        ' grep \'"name":"{{ $labels.name }}\'`.',
    ),
    Alert(
        "LWSGroupCrashLooping",
        f'max by ({SET}) (lws_group_failures_max{{job="@job@"}}) >= @groupFailures@',
        "0m",
        "15m",
        "warning",
        f"A group of {_SET_NAME} failed {{{{ $value }}}} times within an hour.",
        "`kubectl -n {{ $labels.namespace }} get events --field-selector reason=RecreateGroup` names the pods.",
    ),
    Alert(
        "LWSGroupFailed",
        f'max by ({SET}) (lws_groups_failed{{job="@job@"}}) > 0',
        "1m",
        "5m",
        "warning",
        f"{{{{ $value }}}} groups of {_SET_NAME} have exhausted their restart budget and stay down.",
        "`kubectl lws failures -n {{ $labels.namespace }} {{ $labels.name }}` says why;"
        " `kubectl lws restart` with --group recreates one.",
    ),
    Alert(
        "LWSNodeLostHoldsGroup",
        f'max by ({SET}) (lws_groups_not_ready{{job="@job@",reason="NodeLost"}}) > 0',
        "10m",
        "5m",
        "warning",
        f"A lost node holds groups of {_SET_NAME}.",
        "`kubectl lws explain-stuck -n {{ $labels.namespace }} {{ $labels.name }}` names the node and what to do.",
    ),
    Alert(
        "LWSRolloutStalled",
        f'max by ({SET}) (lws_rollout_stalled{{job="@job@"}}) > 0',
        "1m",
        "5m",
        "warning",
        f"The rollout of {_SET_NAME} has made no progress within its deadline.",
        "`kubectl lws status -n {{ $labels.namespace }} {{ $labels.name }}` says what it waits for.",
    ),
    # A rollout that waits for groups to be ready is left to LWSSetNotReady, which names the LeaderWorkerSet.
    Alert(
        "LWSDisaggregatedSetStalled",
        f'max by ({SET}) (lws_disaggregatedset_blocked{{job="@job@"}}) > 0'
        f" or (time() - max by ({SET})"
        ' (lws_disaggregatedset_rollout_last_progress_timestamp_seconds{job="@job@"} > 0) > @rolloutStalledSeconds@'
        f' unless max by ({SET}) (lws_disaggregatedset_rollout_awaited_groups{{job="@job@"}}) > 0)',
        "5m",
        "5m",
        "warning",
        f"{_DISAGGREGATED} is blocked, or its rollout stands still although the new groups are ready.",
        "`kubectl lws explain-stuck -n {{ $labels.namespace }} disaggregatedset/{{ $labels.name }}` says what it"
        " waits for.",
    ),
    Alert(
        "LWSControllerNotLeading",
        f"max by ({INSTALLATION}) (max_over_time(leader_election_master_status{{{OURS}}}[2m])) < 1",
        "3m",
        "0s",
        "critical",
        "No replica of the LeaderWorkerSet controller in {{ $labels.namespace }} leads: nothing is reconciled.",
        f"`{_KUBECTL} get lease,pods`; then {_LOGS}.",
    ),
    Alert(
        "LWSControllerStuck",
        f"max by ({INSTALLATION}, controller) (lws_workqueue_longest_wait_seconds{{{OURS}}}) > @queueWaitSeconds@"
        f" or sum by ({INSTALLATION}, controller)"
        f" (increase(controller_runtime_reconcile_timeouts_total{{{OURS}}}[10m])) > @reconcileTimeouts@",
        "5m",
        "5m",
        "warning",
        "Reconciles of {{ $labels.controller }} do not get done.",
        "See whether the API server answers in time: `kubectl get --raw /readyz?verbose`.",
    ),
    Alert(
        "LWSReconcileErrors",
        f"sum by ({INSTALLATION}, controller) (rate(controller_runtime_reconcile_errors_total{{{OURS}}}[10m]))"
        " > @reconcileErrorsPerSecond@",
        "10m",
        "5m",
        "warning",
        "Reconciles of {{ $labels.controller }} fail, {{ $value | humanize }} of them each second.",
        f"{_LOGS} names the objects and the causes.",
    ),
    Alert(
        "LWSControllerPanics",
        f"sum by ({INSTALLATION}) (increase(controller_runtime_reconcile_panics_total{{{OURS}}}[30m])"
        f" or increase(controller_runtime_webhook_panics_total{{{OURS}}}[30m])) > 0",
        "0m",
        "0s",
        "warning",
        "The LeaderWorkerSet controller failed in a way nobody foresaw.",
        f"{_LOGS} has the traceback: report it.",
    ),
    Alert(
        "LWSWatchFailing",
        f"min by ({INSTALLATION}, resource) (lws_informer_healthy{{{OURS}}}) < 1"
        f" or max by ({INSTALLATION}, resource) (lws_informer_last_event_age_seconds{{{OURS}}}) > @watchSilentSeconds@",
        "3m",
        "0s",
        "warning",
        "The watch of {{ $labels.resource }} is refused, or the API server does not answer.",
        "`kubectl get --raw /readyz?verbose` asks the API server; /readyz?verbose on port 8081 says what it refuses.",
    ),
    Alert(
        "LWSEventLoopSlow",
        f"histogram_quantile(0.99, sum by ({INSTALLATION}, pod, le)"
        f" (rate(lws_event_loop_lag_seconds_bucket{{{OURS}}}[2m]))) > @eventLoopLagSeconds@",
        "10m",
        "0s",
        "warning",
        "The event loop of {{ $labels.pod }} is late by {{ $value | humanizeDuration }}.",
        f"Give it more CPU: `{_KUBECTL} set resources deployment/lws-controller-manager --requests=cpu=1`.",
    ),
    Alert(
        "LWSMetricsMissing",
        f"(max by ({INSTALLATION}) (up{{{OURS}}}) < 1) or absent(up{{{OURS}}})",
        "5m",
        "0s",
        "critical",
        "No replica of the LeaderWorkerSet controller in {{ $labels.namespace }} can be scraped: all else is silent.",
        f"`{_KUBECTL} get pods`; if they run, the page of targets in Prometheus says why scrapes fail.",
    ),
    Alert(
        "LWSReplicaMissing",
        f"up{{{OURS}}} == 0",
        "10m",
        "0s",
        "warning",
        "Replica {{ $labels.pod }} of the LeaderWorkerSet controller cannot be scraped.",
        f"`{_KUBECTL} describe pod {{{{ $labels.pod }}}}`.",
    ),
    Alert(
        "LWSCertificateExpiring",
        f"min by ({INSTALLATION}, certificate) (lws_certificate_expiry_timestamp_seconds{{{OURS}}}) - time()"
        " < @certificateDays@ * 86400"
        f" and min by ({INSTALLATION}, certificate) (lws_certificate_expiry_timestamp_seconds{{{OURS}}}) - time()"
        f" < 0.15 * min by ({INSTALLATION}, certificate) (lws_certificate_lifetime_seconds{{{OURS}}})",
        "1h",
        "0s",
        "critical",
        "The {{ $labels.certificate }} certificate of the controller ends in {{ $value | humanizeDuration }}.",
        f"It should have been renewed long ago: {_LOGS} says why not.",
    ),
)

_REJECTED: Final = (
    'apiserver_admission_webhook_rejection_count{error_type!="no_error",'
    'name=~"[mv]leaderworkerset[.]kb[.]io|[mv]pod[.]kb[.]io|vdisaggregatedset[.]kb[.]io"}'
)
# Out of the API server's own metrics, so it is shipped apart: not every Prometheus scrapes API servers. A counter is
# born with its first event, which increase() does not see: what was not there before counts in full.
API_SERVER_ALERTS: Final = (
    Alert(
        "LWSAdmissionFailing",
        f"(sum by (cluster, name) (increase({_REJECTED}[10m])) >= @admissionFailures@)"
        f" or (sum by (cluster, name) ({_REJECTED} unless {_REJECTED} offset 10m) >= @admissionFailures@)",
        "0m",
        "30m",
        "critical",
        "The API server cannot ask webhook {{ $labels.name }}: LeaderWorkerSets and their pods are refused.",
        f"`{_KUBECTL} get pods,endpointslices`; then {_LOGS}.",
    ),
)

# Of the operator's own metrics, so they are applied by the operator alone.
_OPERATOR: Final = 'job="lws-operator-metrics-service"'
_CONDITIONS: Final = "`kubectl describe leaderworkersetoperator cluster`"
OPERATOR_ALERTS: Final = (
    Alert(
        "LWSOperandNotAvailable",
        f'max by ({INSTALLATION}) (lws_operator_condition{{{_OPERATOR},type="Available",status="False"}}) > 0',
        "5m",
        "0s",
        "critical",
        "The LeaderWorkerSet controller that the operator in {{ $labels.namespace }} installed is not available.",
        f"Its condition says why: {_CONDITIONS}.",
    ),
    Alert(
        "LWSOperatorDegraded",
        f'max by ({INSTALLATION}) (lws_operator_condition{{{_OPERATOR},type="Degraded",status="True"}}) > 0',
        "15m",
        "0s",
        "warning",
        "The LeaderWorkerSet operator in {{ $labels.namespace }} cannot bring about what is asked of it.",
        f"The condition Degraded names each cause and what to do: {_CONDITIONS}.",
    ),
    Alert(
        "LWSRolloutStuck",
        f"max by ({INSTALLATION}, phase) (lws_operator_rollout_phase{{{_OPERATOR},"
        'phase=~"RollingOut|Soaking|WaitingForCertificates|TakingOver|Removing"}) > 0',
        "30m",
        "0s",
        "warning",
        "A rollout of the LeaderWorkerSet controller has been in phase {{ $labels.phase }} for half an hour.",
        f"The condition Progressing says what it waits for: {_CONDITIONS}.",
    ),
    Alert(
        "LWSOperandCertificateExpiring",
        f"min by ({INSTALLATION}, certificate) (lws_operator_certificate_expiry_timestamp_seconds{{{_OPERATOR}}})"
        " - time() < 7 * 86400",
        "1h",
        "0s",
        "critical",
        "The {{ $labels.certificate }} certificate of the controller ends in {{ $value | humanizeDuration }}.",
        f"Whoever makes it has not renewed it: {_CONDITIONS} says who that is.",
    ),
    Alert(
        "LWSWebhookProbeFailing",
        f"min by ({INSTALLATION}) (lws_operator_webhook_probe_success{{{_OPERATOR}}}) < 1",
        "5m",
        "0s",
        "critical",
        "The webhook of the LeaderWorkerSet controller does not answer: sets and their pods are refused.",
        f"The condition Available has the answer that the operator got: {_CONDITIONS}.",
    ),
)

EVERY: Final = (*ALERTS, *API_SERVER_ALERTS, *OPERATOR_ALERTS)


def with_defaults(text: str, thresholds: Mapping[str, float] | None = None) -> str:
    """The text with every place as shipped, and every threshold as given or shipped."""
    for name, value in PLACES.items():
        text = text.replace(f"@{name}@", value)
    for threshold in THRESHOLDS:
        number = (thresholds or {}).get(threshold.name, threshold.default)
        text = text.replace(f"@{threshold.name}@", f"{number:g}")
    return text
