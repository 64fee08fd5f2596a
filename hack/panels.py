"""What the Grafana dashboard shows, written once; `hack.dashboard` renders it.

What is wrong now comes first, as a table with a line for each set in trouble. Panels sum over sets; the last row has a
line for each set, for whoever narrows the variables to a few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Panel:
    """One graph or table: its queries with their legends, which are the titles of a table's columns."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    table: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under one heading; a collapsed row asks nothing until it is opened."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the dashboard: of one or several values of a label, all at first."""

    name: str
    query: str


INTERVAL: Final = "$__rate_interval"
SETS: Final = 'cluster=~"$cluster",namespace=~"$namespace",name=~"$set"'
OURS: Final = 'cluster=~"$cluster",job=~"$job"'
SET: Final = "cluster, namespace, name"

VARIABLES: Final = (
    Variable("cluster", "label_values(lws_build_info, cluster)"),
    Variable("job", 'label_values(lws_build_info{cluster=~"$cluster"}, job)'),
    Variable("namespace", 'label_values(lws_groups_desired{cluster=~"$cluster"}, namespace)'),
    Variable(
        "set",
        'label_values({__name__=~"lws_(disaggregatedset_)?groups_desired",cluster=~"$cluster",'
        'namespace=~"$namespace"}, name)',
    ),
)


def quantile(share: float, metric: str, by: str = "", window: str = INTERVAL) -> str:
    """The query for a quantile of a histogram; nothing where there was no traffic."""
    labels = f"le, {by}" if by else "le"
    rates = f"sum by ({labels}) (rate({metric}_bucket{{{OURS}}}[{window}]))"
    return f"histogram_quantile({share}, {rates}) >= 0"


def of_sets(metric: str, more: str = "") -> str:
    """A gauge of sets, which every replica exports, once."""
    by = f"{SET}, {more}" if more else SET
    return f"max by ({by}) ({metric}{{{SETS}}})"


def rate(metric: str, by: str) -> str:
    """A counter of the controller, each second."""
    return f"sum by ({by}) (rate({metric}{{{OURS}}}[{INTERVAL}]))"


UPDATING: Final = of_sets("lws_rollout_last_progress_timestamp_seconds")
COORDINATED: Final = of_sets("lws_disaggregatedset_rollout_last_progress_timestamp_seconds")
ROLE_DESIRED: Final = of_sets("lws_disaggregatedset_groups_desired", "role")
ROLE_READY: Final = of_sets("lws_disaggregatedset_groups_ready", "role")
LEADING: Final = f"leader_election_master_status{{{OURS}}}"
VACANCY: Final = f"lws_leader_vacancy_seconds{{{OURS}}}"
REPLICA: Final = "cluster, job, instance"

WRONG_NOW: Final = Panel(
    "What is wrong now",
    "short",
    (
        (of_sets("lws_groups_not_ready", "reason") + " > 0", "Groups not ready"),
        (
            f"time() - min by ({SET}) (lws_set_not_ready_since_timestamp_seconds{{{SETS}}} > 0)",
            "Not ready for",
        ),
        (of_sets("lws_blocked") + " > 0", "Blocked"),
        (
            f"time() - min by ({SET}, reason) (lws_set_failing_since_timestamp_seconds{{{SETS}}})",
            "Reconciles fail for",
        ),
        (of_sets("lws_group_failures_max") + " > 0", "Failures of one group"),
    ),
    table=True,
)

ROWS: Final = (
    Row(
        "Sets",
        (
            Panel(
                "Groups",
                "short",
                (
                    (f"sum({of_sets('lws_groups_desired')})", "desired"),
                    (f"sum({of_sets('lws_groups_ready')})", "ready"),
                    (f"sum({of_sets('lws_groups_updated')})", "updated"),
                ),
            ),
            Panel(
                "Groups that are not ready",
                "short",
                ((f"sum by (reason) ({of_sets('lws_groups_not_ready', 'reason')})", "{{reason}}"),),
            ),
            Panel(
                "Accelerators",
                "short",
                (
                    (
                        f"sum by (resource, state) ({of_sets('lws_accelerators', 'resource, state')})",
                        "{{resource}} {{state}}",
                    ),
                ),
            ),
            Panel(
                "Rolling updates in progress",
                "percentunit",
                (
                    (
                        f"{of_sets('lws_rollout_progress_ratio')} and {UPDATING} > 0",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
            Panel(
                "Rolling updates that stand still",
                "s",
                (
                    (
                        f"time() - ({UPDATING} > 0)",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
            Panel(
                "Recreated groups",
                "short",
                ((f"sum by (reason) (increase(lws_group_recreations_total{{{SETS}}}[{INTERVAL}]))", "{{reason}}"),),
            ),
            Panel(
                "Time lost in recreations",
                "s",
                (
                    (
                        f"sum by (reason) (increase(lws_group_recreation_seconds_total{{{OURS}}}[{INTERVAL}]))",
                        "{{reason}}",
                    ),
                ),
            ),
            Panel(
                "Time until a group is ready",
                "s",
                (
                    (quantile(0.5, "lws_group_ready_seconds", window="1h"), "half"),
                    (quantile(0.95, "lws_group_ready_seconds", window="1h"), "95 %"),
                ),
            ),
            Panel(
                "Duration of rolling updates",
                "s",
                (
                    (quantile(0.5, "lws_rollout_duration_seconds", window="6h"), "half"),
                    (quantile(0.95, "lws_rollout_duration_seconds", window="6h"), "95 %"),
                ),
            ),
        ),
    ),
    Row(
        "DisaggregatedSets",
        (
            Panel(
                "Ready groups of roles",
                "short",
                ((ROLE_READY, "{{namespace}}/{{name}} {{role}}"),),
            ),
            Panel(
                "Missing groups of roles",
                "short",
                ((f"{ROLE_DESIRED} - {ROLE_READY} > 0", "{{namespace}}/{{name}} {{role}}"),),
            ),
            Panel(
                "Coordinated rollouts in progress",
                "percentunit",
                (
                    (
                        f"{of_sets('lws_disaggregatedset_rollout_progress_ratio')} and {COORDINATED} > 0",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
            Panel(
                "Coordinated rollouts that stand still",
                "s",
                ((f"time() - ({COORDINATED} > 0)", "{{namespace}}/{{name}}"),),
            ),
            Panel(
                "New groups that rollouts wait for",
                "short",
                (
                    (
                        f"{of_sets('lws_disaggregatedset_rollout_awaited_groups')} > 0",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
            Panel(
                "Blocked DisaggregatedSets",
                "short",
                ((f"{of_sets('lws_disaggregatedset_blocked')} > 0", "{{namespace}}/{{name}}"),),
            ),
        ),
    ),
    Row(
        "Controller",
        (
            Panel(
                "Replicas",
                "short",
                (
                    (f"sum by (cluster, job) (up{{{OURS}}})", "scraped {{job}}"),
                    (f"sum by (cluster, job) (leader_election_master_status{{{OURS}}})", "leading {{job}}"),
                ),
            ),
            Panel(
                "Last change of leader",
                "s",
                (
                    (
                        f"time() - max by (cluster, job) (lws_leader_acquired_timestamp_seconds{{{OURS}}} > 0)",
                        "ago {{job}}",
                    ),
                    (
                        f"max by (cluster, job) ({VACANCY} and on ({REPLICA}) {LEADING} == 1)",
                        "nobody led for {{job}}",
                    ),
                ),
            ),
            Panel(
                "Reconciles",
                "ops",
                ((rate("controller_runtime_reconcile_total", "controller, result"), "{{controller}} {{result}}"),),
            ),
            Panel(
                "Reconciles that failed, by reason",
                "ops",
                ((rate("lws_reconcile_failures_total", "controller, reason") + " > 0", "{{controller}} {{reason}}"),),
            ),
            Panel(
                "Time of a reconcile",
                "s",
                ((quantile(0.99, "controller_runtime_reconcile_time_seconds", "controller"), "{{controller}} 99 %"),),
            ),
            Panel(
                "Queue depth",
                "short",
                ((f"sum by (name, priority) (workqueue_depth{{{OURS}}})", "{{name}} {{priority}}"),),
            ),
            Panel(
                "Time in the queue",
                "s",
                (
                    (quantile(0.99, "workqueue_queue_duration_seconds", "name"), "{{name}} 99 %"),
                    (f"max by (name) (lws_workqueue_longest_wait_seconds{{{OURS}}})", "{{name}} waits"),
                ),
            ),
            Panel(
                "Lag of the event loop",
                "s",
                ((quantile(0.99, "lws_event_loop_lag_seconds", "pod"), "{{pod}} 99 %"),),
            ),
            Panel(
                "Builds",
                "short",
                ((f"count by (version, commit) (lws_build_info{{{OURS}}})", "{{version}} {{commit}}"),),
            ),
        ),
    ),
    Row(
        "API server and admission",
        (
            Panel(
                "Requests to the API server",
                "reqps",
                ((rate("rest_client_requests_total", "method, code"), "{{method}} {{code}}"),),
            ),
            Panel(
                "Silence of watches",
                "s",
                ((f"max by (resource) (lws_informer_last_event_age_seconds{{{OURS}}})", "{{resource}}"),),
            ),
            Panel(
                "Cached objects",
                "short",
                ((f"max by (resource) (lws_informer_objects{{{OURS}}})", "{{resource}}"),),
            ),
            Panel(
                "Admission",
                "reqps",
                ((rate("controller_runtime_webhook_requests_total", "webhook, code"), "{{webhook}} {{code}}"),),
            ),
            Panel(
                "Time of an admission",
                "s",
                ((quantile(0.99, "controller_runtime_webhook_latency_seconds", "webhook"), "{{webhook}} 99 %"),),
            ),
            Panel(
                "Denied objects, by field",
                "short",
                ((f"sum by (rule) (increase(lws_admission_denials_total{{{OURS}}}[{INTERVAL}]))", "{{rule}}"),),
            ),
            Panel(
                "Days until certificates end",
                "d",
                (
                    (
                        f"(min by (certificate) (lws_certificate_expiry_timestamp_seconds{{{OURS}}}) - time()) / 86400",
                        "{{certificate}}",
                    ),
                ),
            ),
        ),
    ),
    Row(
        "Each set",
        (
            Panel(
                "Ready groups of each set",
                "short",
                ((of_sets("lws_groups_ready"), "{{namespace}}/{{name}}"),),
            ),
            Panel(
                "Missing groups of each set",
                "short",
                (
                    (
                        f"{of_sets('lws_groups_desired')} - {of_sets('lws_groups_ready')}",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
        ),
        collapsed=True,
    ),
)

PANELS: Final = (WRONG_NOW, *(panel for row in ROWS for panel in row.panels))
