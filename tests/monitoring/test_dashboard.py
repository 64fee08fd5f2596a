"""Every query of the dashboard has its expected value, and heeds the variables that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hack.alerts import PLACES
from hack.panels import PANELS, VARIABLES, WRONG_NOW

from tests.monitoring.promtool import Samples, Story, check, counting, steady

LENGTH: Final = 1230.0
AT: Final = 1200.0  # seconds; time() in the queries
ANYTHING: Final = {"$__rate_interval": "2m", **{f"${each.name}": ".*" for each in VARIABLES}}
WEB: Final = 'cluster="east",name="web",namespace="team-b"'
PLACE: Final = f'cluster="east",job="{PLACES["job"]}"'
CONTROLLER: Final = 'controller="pod",name="pod"'


def series() -> dict[str, Samples]:
    """Two replicas, of which a leads, and one set in trouble; every counter grows by 3 with each sample."""
    target = f'{PLACE},instance="{{0}}",pod="lws-{{0}}"'
    found: dict[str, Samples] = {}

    def both(metric: str, labels: str, value: float) -> None:
        for replica in "ab":
            found[f"{metric}{{{target.format(replica)},{labels}}}"] = steady(value, LENGTH)

    def leading(metric: str, labels: str, values: Samples) -> None:
        found[f"{metric}{{{target.format('a')}{',' if labels else ''}{labels}}}"] = values

    of_set = WEB.removeprefix('cluster="east",')
    for metric, value in (
        ("lws_groups_desired", 4.0),
        ("lws_groups_ready", 3.0),
        ("lws_groups_updated", 2.0),
        ("lws_set_not_ready_since_timestamp_seconds", 60.0),
        ("lws_blocked", 1.0),
        ("lws_rollout_progress_ratio", 0.5),
        ("lws_rollout_last_progress_timestamp_seconds", 300.0),
    ):
        both(metric, of_set, value)
    for role, desired, ready in (("prefill", 4.0, 3.0), ("decode", 8.0, 8.0)):
        both("lws_disaggregatedset_groups_desired", f'{of_set},role="{role}"', desired)
        both("lws_disaggregatedset_groups_ready", f'{of_set},role="{role}"', ready)
    for metric, value in (
        ("rollout_progress_ratio", 0.25),
        ("rollout_awaited_groups", 2.0),
        ("rollout_last_progress_timestamp_seconds", 500.0),
        ("blocked", 1.0),
    ):
        both(f"lws_disaggregatedset_{metric}", of_set, value)
    both("lws_groups_not_ready", f'{of_set},reason="Unschedulable"', 1)
    for state, value in (("desired", 32.0), ("ready", 24.0), ("held", 4.0)):
        both("lws_accelerators", f'{of_set},resource="nvidia.com/gpu",state="{state}"', value)
    both("lws_informer_last_event_age_seconds", 'resource="pods"', 12)
    both("lws_informer_objects", 'resource="pods"', 240)
    both("lws_certificate_expiry_timestamp_seconds", 'certificate="serving"', AT + 5 * 86_400)
    both("lws_build_info", 'version="v1",commit="c"', 1)
    both("up", 'endpoint="https"', 1)
    growing = counting(0, 3, LENGTH)
    leading("leader_election_master_status", 'name="x"', steady(1, LENGTH))
    leading("lws_leader_acquired_timestamp_seconds", 'name="x"', steady(200, LENGTH))
    leading("lws_leader_vacancy_seconds", 'name="x"', steady(25, LENGTH))
    leading("lws_group_failures_max", of_set, steady(2, LENGTH))
    leading("lws_set_failing_since_timestamp_seconds", f'{of_set},reason="Quota"', steady(120, LENGTH))
    leading("lws_group_recreations_total", f'{of_set},reason="OOMKilled"', growing)
    leading("lws_group_recreation_seconds_total", 'reason="OOMKilled"', growing)
    leading("controller_runtime_reconcile_total", 'controller="pod",result="success"', growing)
    leading("lws_reconcile_failures_total", 'controller="pod",reason="Quota"', growing)
    leading("lws_reconcile_failures_total", 'controller="pod",reason="Denied"', steady(0, LENGTH))
    leading("workqueue_depth", f'{CONTROLLER},priority="live"', steady(7, LENGTH))
    leading("lws_workqueue_longest_wait_seconds", CONTROLLER, steady(9, LENGTH))
    leading("rest_client_requests_total", 'method="GET",code="200",host="h"', growing)
    leading("controller_runtime_webhook_requests_total", 'webhook="/m",code="200"', growing)
    leading("lws_admission_denials_total", 'webhook="/v",rule="spec.replicas"', growing)
    for histogram, labels in (
        ("lws_group_ready_seconds", ""),
        ("lws_rollout_duration_seconds", ""),
        ("controller_runtime_reconcile_time_seconds", 'controller="pod",'),
        ("workqueue_queue_duration_seconds", f"{CONTROLLER},"),
        ("lws_event_loop_lag_seconds", ""),
        ("controller_runtime_webhook_latency_seconds", 'webhook="/m",'),
    ):
        for edge, values in (("1", steady(0, LENGTH)), ("2", growing), ("+Inf", growing)):
            leading(f"{histogram}_bucket", f'{labels}le="{edge}"', values)
    return found


# (title, legend) -> value by labels. Everything observed lies between 1 and 2, evenly.
ANSWERS: Final[Mapping[tuple[str, str], Mapping[str, float]]] = {
    (WRONG_NOW.title, "Groups not ready"): {f'{{{WEB},reason="Unschedulable"}}': 1},
    (WRONG_NOW.title, "Not ready for"): {f"{{{WEB}}}": 1140},
    (WRONG_NOW.title, "Blocked"): {f"{{{WEB}}}": 1},
    (WRONG_NOW.title, "Reconciles fail for"): {f'{{{WEB},reason="Quota"}}': 1080},
    (WRONG_NOW.title, "Failures of one group"): {f"{{{WEB}}}": 2},
    ("Groups", "desired"): {"{}": 4},
    ("Groups", "ready"): {"{}": 3},
    ("Groups", "updated"): {"{}": 2},
    ("Groups that are not ready", "{{reason}}"): {'{reason="Unschedulable"}': 1},
    ("Accelerators", "{{resource}} {{state}}"): {
        '{resource="nvidia.com/gpu",state="desired"}': 32,
        '{resource="nvidia.com/gpu",state="ready"}': 24,
        '{resource="nvidia.com/gpu",state="held"}': 4,
    },
    ("Rolling updates in progress", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 0.5},
    ("Rolling updates that stand still", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 900},
    ("Recreated groups", "{{reason}}"): {'{reason="OOMKilled"}': 12},
    ("Time lost in recreations", "{{reason}}"): {'{reason="OOMKilled"}': 12},
    ("Time until a group is ready", "half"): {"{}": 1.5},
    ("Time until a group is ready", "95 %"): {"{}": 1.95},
    ("Duration of rolling updates", "half"): {"{}": 1.5},
    ("Duration of rolling updates", "95 %"): {"{}": 1.95},
    ("Ready groups of roles", "{{namespace}}/{{name}} {{role}}"): {
        f'{{{WEB},role="prefill"}}': 3,
        f'{{{WEB},role="decode"}}': 8,
    },
    ("Missing groups of roles", "{{namespace}}/{{name}} {{role}}"): {f'{{{WEB},role="prefill"}}': 1},
    ("Coordinated rollouts in progress", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 0.25},
    ("Coordinated rollouts that stand still", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 700},
    ("New groups that rollouts wait for", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 2},
    ("Blocked DisaggregatedSets", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 1},
    ("Replicas", "scraped {{job}}"): {f"{{{PLACE}}}": 2},
    ("Replicas", "leading {{job}}"): {f"{{{PLACE}}}": 1},
    ("Last change of leader", "ago {{job}}"): {f"{{{PLACE}}}": 1000},
    ("Last change of leader", "nobody led for {{job}}"): {f"{{{PLACE}}}": 25},
    ("Reconciles", "{{controller}} {{result}}"): {'{controller="pod",result="success"}': 0.1},
    ("Reconciles that failed, by reason", "{{controller}} {{reason}}"): {'{controller="pod",reason="Quota"}': 0.1},
    ("Time of a reconcile", "{{controller}} 99 %"): {'{controller="pod"}': 1.99},
    ("Queue depth", "{{name}} {{priority}}"): {'{name="pod",priority="live"}': 7},
    ("Time in the queue", "{{name}} 99 %"): {'{name="pod"}': 1.99},
    ("Time in the queue", "{{name}} waits"): {'{name="pod"}': 9},
    ("Lag of the event loop", "{{pod}} 99 %"): {'{pod="lws-a"}': 1.99},
    ("Builds", "{{version}} {{commit}}"): {'{version="v1",commit="c"}': 2},
    ("Requests to the API server", "{{method}} {{code}}"): {'{method="GET",code="200"}': 0.1},
    ("Silence of watches", "{{resource}}"): {'{resource="pods"}': 12},
    ("Cached objects", "{{resource}}"): {'{resource="pods"}': 240},
    ("Admission", "{{webhook}} {{code}}"): {'{webhook="/m",code="200"}': 0.1},
    ("Time of an admission", "{{webhook}} 99 %"): {'{webhook="/m"}': 1.99},
    ("Denied objects, by field", "{{rule}}"): {'{rule="spec.replicas"}': 12},
    ("Days until certificates end", "{{certificate}}"): {'{certificate="serving"}': 5},
    ("Ready groups of each set", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 3},
    ("Missing groups of each set", "{{namespace}}/{{name}}"): {f"{{{WEB}}}": 1},
}
QUERIES: Final = {(panel.title, legend): query for panel in PANELS for query, legend in panel.queries}


def filled(query: str, **chosen: str) -> str:
    """The query as Grafana sends it, with these values of variables chosen, and all of the others."""
    values = ANYTHING | {f"${name}": value for name, value in chosen.items()}
    for name in sorted(values, key=len, reverse=True):
        query = query.replace(name, values[name])
    assert "$" not in query
    return query


def test_every_query_answers_as_expected(tmp_path: Path) -> None:
    """Each query of each panel, over two replicas and a set in trouble; none is left out."""
    assert ANSWERS.keys() == QUERIES.keys()
    story = Story(series())
    for place, query in QUERIES.items():
        story.asks(filled(query), AT, ANSWERS[place])
    check(tmp_path, story)


@pytest.mark.parametrize("variable", [each.name for each in VARIABLES])
def test_every_query_heeds_its_variables(tmp_path: Path, variable: str) -> None:
    """With a value chosen that is there the answer stays; with another there is none; sets heed all but the job."""
    there = {"cluster": "east", "job": PLACES["job"], "namespace": "team-b", "set": "web"}[variable]
    asking = {place: query for place, query in QUERIES.items() if re.search(rf"\${variable}\b", query)}
    assert asking.keys() >= ({("Groups", "ready")} if variable != "job" else {("Replicas", "scraped {{job}}")})
    story = Story(series())
    for place, query in asking.items():
        story.asks(filled(query, **{variable: there}), AT, ANSWERS[place])
        story.asks(filled(query, **{variable: "nowhere"}), AT, {})
    check(tmp_path, story)


def test_windows_follow_the_scrape_interval() -> None:
    """No graph of a rate has a window of its own, but for quantiles of what is rare."""
    rare = {"Time until a group is ready", "Duration of rolling updates"}
    for (title, _), query in QUERIES.items():
        windows = set(re.findall(r"\[([^]]*)\]", query))
        assert windows <= {"$__rate_interval"} or title in rare, title
