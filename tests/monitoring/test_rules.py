"""The alerts as shipped, over series written down: when they fire, with which labels, and when they do not.

promtool is Prometheus' own; time begins at 0, which is 1970 for timestamps.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hack import monitoring
from hack.alerts import EVERY, PLACES

from tests.monitoring.promtool import Samples, Series, Story, check, counting, gone, steady

HOUR = 3600
SET = {"namespace": "team-b", "name": "web"}
OF_SET = 'namespace="team-b",name="web"'
US = {"job": PLACES["job"], "namespace": PLACES["namespace"]}


def ours(metric: str, labels: str = "", *, instance: str = "a") -> str:
    """A series of the controller, as it is scraped."""
    job, namespace = PLACES["job"], PLACES["namespace"]
    more = f",{labels}" if labels else ""
    return f'{metric}{{job="{job}",namespace="{namespace}",instance="{instance}",pod="lws-{instance}"{more}}}'


def of_set(metric: str, labels: str = OF_SET, *, instance: str = "a") -> str:
    """A series of a set, as it is scraped with honorLabels."""
    return f'{metric}{{job="{PLACES["job"]}",instance="{instance}",pod="lws-{instance}",{labels}}}'


NOT_READY_SINCE = "lws_set_not_ready_since_timestamp_seconds"


def test_a_set_that_is_not_ready_is_named(tmp_path: Path) -> None:
    """One group that has not been ready for half an hour fires, with the set's own namespace, until it is ready."""
    values = [*steady(0, 600), *steady(600, 3000), *steady(0, 1800)]
    other = 'namespace="team-a",name="web"'
    series = {of_set(NOT_READY_SINCE): values, of_set(NOT_READY_SINCE, other): steady(0, 5400)}
    story = Story(series).silent(600, 2400, 2640, 4500, alerts=["LWSSetNotReady"])
    check(tmp_path, story.fires("LWSSetNotReady", 2760, 3500, **SET))


def test_a_raised_threshold_waits_longer(tmp_path: Path) -> None:
    """With two hours in the values, as for models that load long, the alert waits for them."""
    series = {of_set(NOT_READY_SINCE): steady(60, 3 * HOUR)}
    raised = monitoring.rules(thresholds={"setNotReadySeconds": 2 * HOUR})
    story = Story(series).silent(2400, 2 * HOUR, alerts=["LWSSetNotReady"])
    check(tmp_path, story.fires("LWSSetNotReady", 2 * HOUR + 450, **SET), rules=raised)


def test_a_change_of_leader_does_not_begin_anew(tmp_path: Path) -> None:
    """A controller that restarts every 20 minutes, each time away for a minute, raises the alarm all the same."""
    since = steady(60, 1140) + gone(60)
    series = {of_set(NOT_READY_SINCE, instance=each): since * 4 for each in ("a", "b")}
    series[of_set(NOT_READY_SINCE, instance="b")] = gone(600) + since * 3
    check(tmp_path, Story(series).fires("LWSSetNotReady", 2400, 3000, 3630, **SET))


def test_one_replica_is_enough(tmp_path: Path) -> None:
    """While the leader is away for good, the standby's series keep the alarm, and a young replica's do not delay it."""
    series = {
        of_set(NOT_READY_SINCE, instance="a"): steady(60, 900) + gone(2700),
        of_set(NOT_READY_SINCE, instance="b"): steady(60, 3600),
        of_set(NOT_READY_SINCE, instance="c"): gone(900) + steady(900, 2700),
    }
    check(tmp_path, Story(series).fires("LWSSetNotReady", 2400, 3500, **SET))


def test_a_blocked_set_fires_once_for_all_replicas(tmp_path: Path) -> None:
    """Both replicas export the set; there is one alert, across the restart of one of them."""
    series = {
        of_set("lws_blocked", instance="a"): steady(1, 600) + gone(600) + steady(0, 600),
        of_set("lws_blocked", instance="b"): steady(1, 1200) + steady(0, 600),
    }
    story = Story(series).fires("LWSSetBlocked", 330, 900, 1190, **SET)
    check(tmp_path, story.silent(1200 + 400, alerts=["LWSSetBlocked"]))


@pytest.mark.parametrize(
    ("alert", "metric", "more", "wait"),
    [
        ("LWSGroupFailed", "lws_groups_failed", "", 60),
        ("LWSRolloutStalled", "lws_rollout_stalled", "", 60),
        ("LWSNodeLostHoldsGroup", "lws_groups_not_ready", ',reason="NodeLost"', 600),
    ],
)
def test_trouble_that_a_set_tells_of_is_named(tmp_path: Path, alert: str, metric: str, more: str, wait: int) -> None:
    """A set that tells of it fires once it has lasted, and no more soon after it is over."""
    series = {of_set(metric, f"{OF_SET}{more}"): gone(300) + steady(1, 1800) + gone(900)}
    story = Story(series).silent(300, 300 + wait - 30, 2700, alerts=[alert])
    check(tmp_path, story.fires(alert, 300 + wait + 60, 2000, **SET))


def test_one_failing_set_is_enough(tmp_path: Path) -> None:
    """A single set at which the controller fails is named, whatever the rate of its errors, and whatever the reason."""
    by_reason = {
        of_set("lws_set_failing_since_timestamp_seconds", f'{OF_SET},reason="Quota"'): steady(60, 900) + gone(900),
        of_set("lws_set_failing_since_timestamp_seconds", f'{OF_SET},reason="Denied"'): gone(900) + steady(60, 900),
    }
    story = Story(by_reason).silent(600, alerts=["LWSSetFailing", "LWSReconcileErrors"])
    check(tmp_path, story.fires("LWSSetFailing", 750, 900, 1200, 1790, **SET))


def test_a_storm_is_of_one_group(tmp_path: Path) -> None:
    """One group that fails every 4 minutes fires; a rack that takes 16 groups once does not."""
    storm = [min(3.0, step // 8) for step in range(60)]
    rack = 'namespace="team-a",name="rack"'
    series: Series = {
        of_set("lws_group_failures_max"): storm,
        of_set("lws_group_failures_max", rack): gone(300) + steady(1, 1500),
    }
    story = Story(series).silent(690, alerts=["LWSGroupCrashLooping"])
    check(tmp_path, story.fires("LWSGroupCrashLooping", 720, 1200, **SET))


DS = "lws_disaggregatedset_"
STALLED = "LWSDisaggregatedSetStalled"


def rollout(moved: Samples, awaited: Samples, *, instance: str = "a") -> dict[str, Samples]:
    """The series of a DisaggregatedSet that is not blocked."""
    return {
        of_set(f"{DS}rollout_last_progress_timestamp_seconds", instance=instance): moved,
        of_set(f"{DS}rollout_awaited_groups", instance=instance): awaited,
        of_set(f"{DS}blocked", instance=instance): steady(0, len(moved) * 30),
    }


def test_a_coordinated_rollout_that_stands_still(tmp_path: Path) -> None:
    """New groups are ready, yet nothing moves for 10 minutes and 5 more: fires once for both replicas, to its end."""
    moved = [*steady(0, 600), *steady(600, 2400), *steady(0, 1200)]
    series = {**rollout(moved, steady(0, 4200)), **rollout(moved, steady(0, 4200), instance="b")}
    story = Story(series).silent(600, 1200, 1500, 3600, alerts=[STALLED])
    check(tmp_path, story.fires(STALLED, 1560, 2400, 2990, **SET))


def test_groups_that_are_waited_for_are_told_of_once(tmp_path: Path) -> None:
    """A rollout that waits for a new group is left to the LeaderWorkerSet; once that is ready, it has 10 minutes."""
    child = 'namespace="team-b",name="web-0-abc-decode"'
    moved = [*steady(60, 2970), *steady(2970, 630)]
    series = rollout(moved, [*steady(1, 3000), *steady(0, 600)])
    series[of_set(NOT_READY_SINCE, child)] = [*steady(60, 3000), *steady(0, 600)]
    story = Story(series).silent(*range(0, 3600, 30), alerts=[STALLED])
    check(tmp_path, story.fires("LWSSetNotReady", 2400, namespace="team-b", name="web-0-abc-decode"))


def test_a_coordinated_rollout_that_moves_is_silent(tmp_path: Path) -> None:
    """A rollout of an hour that takes a step every 9 minutes alarms nobody, and neither does a set at rest."""
    moved = [float(step * 30 // 540 * 540 + 1) for step in range(120)]
    rest = 'namespace="team-b",name="rest"'
    series = rollout(moved, steady(0, HOUR))
    series |= {of_set(f"{DS}rollout_last_progress_timestamp_seconds", rest): steady(0, HOUR)}
    check(tmp_path, Story(series).silent(*range(0, HOUR, 30), alerts=[STALLED]))


def test_a_blocked_disaggregated_set(tmp_path: Path) -> None:
    """Blocked for 5 minutes fires, whatever its rollout waits for; a refusal that is over by then does not."""
    series = rollout(steady(60, 1800), steady(1, 1800))
    series[of_set(f"{DS}blocked")] = [*steady(1, 240), *steady(0, 360), *steady(1, 1200)]
    story = Story(series).silent(*range(0, 900, 30), alerts=[STALLED])
    check(tmp_path, story.fires(STALLED, 930, 1770, **SET))


LEADING = "leader_election_master_status"


def test_no_leader_is_critical_only_where_scrapes_succeed(tmp_path: Path) -> None:
    """Two standbys without a leader fire; replicas that cannot be scraped fire what is true of them instead."""
    without = Story({ours(LEADING, 'name="x"', instance=each): steady(0, 1200) for each in ("a", "b")})
    without.series |= {ours("up", instance=each): steady(1, 1200) for each in ("a", "b")}  # type: ignore[operator]
    without.fires("LWSControllerNotLeading", 210, 1000, **US).silent(1000, alerts=["LWSMetricsMissing"])
    refused = Story({ours("up", instance=each): steady(0, 1200) for each in ("a", "b")})
    refused.fires("LWSMetricsMissing", 330, 1000, **US).silent(1000, alerts=["LWSControllerNotLeading"])
    absent = Story({'other{job="x"}': steady(1, 1200)}).fires("LWSMetricsMissing", 330, 1000, **US)
    check(tmp_path, without, refused, absent)


def test_a_failover_alarms_nobody(tmp_path: Path) -> None:
    """The leader is killed, 25 seconds later the other leads; the first comes back as a standby."""
    series = {
        ours(LEADING, 'name="x"', instance="a"): steady(1, 600) + gone(60) + steady(0, 600),
        ours(LEADING, 'name="x"', instance="b"): steady(0, 630) + steady(1, 630),
        ours("up", instance="a"): steady(1, 600) + steady(0, 60) + steady(1, 600),
        ours("up", instance="b"): steady(1, 1260),
    }
    times = range(0, 1260, 30)
    alerts = ["LWSControllerNotLeading", "LWSMetricsMissing", "LWSReplicaMissing"]
    check(tmp_path, Story(series).silent(*times, alerts=alerts))


def test_installations_and_leases_are_told_apart(tmp_path: Path) -> None:
    """A leader in one cluster does not hide its absence in another, and the lease may have any name."""
    series = {
        ours(LEADING, 'name="mine",cluster="east"'): steady(1, 1200),
        ours(LEADING, 'name="theirs",cluster="west"'): steady(0, 1200),
    }
    check(tmp_path, Story(series).fires("LWSControllerNotLeading", 600, cluster="west", **US))


def test_one_replica_missing_is_told(tmp_path: Path) -> None:
    """A replica that is down for 10 minutes is named while the other keeps everything working."""
    series = {ours("up", instance="a"): steady(1, 1200), ours("up", instance="b"): steady(0, 1200)}
    story = Story(series).silent(1000, alerts=["LWSMetricsMissing"])
    check(tmp_path, story.fires("LWSReplicaMissing", 660, instance="b", pod="lws-b", **US))


def test_reconciles_that_do_not_get_done(tmp_path: Path) -> None:
    """A key that waits for 5 minutes fires; so do reconciles that are cut off again and again."""
    waiting = Story({ours("lws_workqueue_longest_wait_seconds", 'name="pod",controller="pod"'): counting(0, 30, 1800)})
    waiting.silent(300, 540, alerts=["LWSControllerStuck"]).fires(
        "LWSControllerStuck", 660, 1500, controller="pod", **US
    )
    cut = Story({ours("controller_runtime_reconcile_timeouts_total", 'controller="pod"'): counting(0, 1, 1800)})
    check(tmp_path, waiting, cut.fires("LWSControllerStuck", 900, 1500, controller="pod", **US))


def test_the_first_panic_is_seen_and_does_not_flap(tmp_path: Path) -> None:
    """A panic every 1000 seconds, the longest back-off, keeps one alert firing; counters begin at zero."""
    panics = ours("controller_runtime_reconcile_panics_total", 'controller="pod"')
    series: Series = {
        panics: [float((step * 30 - 600) // 1000 + 1) if step >= 20 else 0.0 for step in range(120)],
        ours("controller_runtime_webhook_panics_total"): steady(0, HOUR),
    }
    story = Story(series).silent(570, alerts=["LWSControllerPanics"])
    check(tmp_path, story.fires("LWSControllerPanics", *range(630, HOUR, 30), **US))


def test_a_silent_watch_is_found_within_minutes(tmp_path: Path) -> None:
    """An API server that does not answer: bookmarks come each minute, so 4 minutes of silence and 3 more fire."""
    series = {ours("lws_informer_last_event_age_seconds", 'resource="pods"'): counting(0, 30, 1200)}
    story = Story(series).silent(240, 420, alerts=["LWSWatchFailing"])
    check(tmp_path, story.fires("LWSWatchFailing", 450, 1000, resource="pods", **US))


def test_stalls_that_are_over_are_over(tmp_path: Path) -> None:
    """Two minutes of stalls fire nothing, not even later; a loop that stays slow does."""
    bucket = "lws_event_loop_lag_seconds_bucket"

    def lag(slow: list[float | None], quick: list[float | None]) -> dict[str, list[float | None]]:
        total: list[float | None] = [(a or 0) + (b or 0) for a, b in zip(slow, quick, strict=True)]
        edges: dict[str, list[float | None]] = {"1.0": quick, "2.5": total, "+Inf": total}
        return {ours(bucket, f'le="{edge}"'): list(values) for edge, values in edges.items()}

    burst = lag([*steady(0, 600), *counting(0, 10, 120), *steady(30, 1680)], counting(0, 30, 2400))
    lasting = lag(counting(0, 10, 2400), counting(0, 30, 2400))
    quiet = Story(burst).silent(*range(600, 2400, 30), alerts=["LWSEventLoopSlow"])
    check(tmp_path, quiet, Story(lasting).fires("LWSEventLoopSlow", 900, 2300, pod="lws-a", **US))


DAY = 86_400


@pytest.mark.parametrize(
    ("lifetime", "left", "fires"),
    [
        pytest.param(365 * DAY, 13 * DAY, True, id="a year's, overdue"),
        pytest.param(365 * DAY, 89 * DAY, False, id="a year's, being renewed"),
        pytest.param(14 * DAY, 5 * DAY, False, id="cert-manager's of two weeks, before its renewal"),
        pytest.param(14 * DAY, 2 * DAY, True, id="cert-manager's of two weeks, overdue"),
        pytest.param(3650 * DAY, 60 * DAY, False, id="an authority's, two months left"),
    ],
)
def test_certificates_by_what_is_usual_for_them(tmp_path: Path, lifetime: float, left: float, fires: bool) -> None:
    """A certificate fires when it ought to have been renewed, and not in the ordinary life of a short one."""
    serving = 'certificate="serving"'
    series = {
        ours("lws_certificate_expiry_timestamp_seconds", serving): steady(left, 2 * HOUR),
        ours("lws_certificate_lifetime_seconds", serving): steady(lifetime, 2 * HOUR),
    }
    story = Story(series)
    if fires:
        story.fires("LWSCertificateExpiring", HOUR + 60, certificate="serving", **US)
    else:
        story.silent(HOUR + 60, alerts=["LWSCertificateExpiring"])
    check(tmp_path, story)


REJECTIONS = "apiserver_admission_webhook_rejection_count"


def rejection(name: str, error: str) -> str:
    """A series of the API server."""
    return f'{REJECTIONS}{{job="apiserver",name="{name}",type="admit",operation="CREATE",error_type="{error}"}}'


def test_a_lost_webhook_is_found_by_its_first_failures(tmp_path: Path) -> None:
    """The counter is born with the first failure, and fails are rare later: fires at once, and stays for a while."""
    series = {
        rejection("mpod.kb.io", "calling_webhook_error"): gone(600) + steady(5, 3000),
        rejection("vpod.kb.io", "no_error"): steady(50, 3600),
        rejection("mpod.others.io", "calling_webhook_error"): counting(0, 5, 1800),
    }
    story = Story(series).silent(570, 3300, alerts=["LWSAdmissionFailing"])
    check(tmp_path, story.fires("LWSAdmissionFailing", 600, 1500, name="mpod.kb.io"))


def test_one_failed_call_alarms_nobody(tmp_path: Path) -> None:
    """A webhook call that fails once, as in a rolling update of ours, fires nothing."""
    series = {rejection("mpod.kb.io", "calling_webhook_error"): steady(1, 600) + steady(2, 1200)}
    check(tmp_path, Story(series).silent(*range(0, 1800, 60), alerts=["LWSAdmissionFailing"]))


def test_many_errors_fire(tmp_path: Path) -> None:
    """Errors of many keys together fire by their rate."""
    errors = ours("controller_runtime_reconcile_errors_total", 'controller="pod"')
    check(tmp_path, Story({errors: counting(0, 6, 2400)}).fires("LWSReconcileErrors", 1500, controller="pod", **US))


def test_rules_are_what_prometheus_calls_clean(tmp_path: Path) -> None:
    """No alert without its runbook, and promtool loads all of them."""
    check(tmp_path, Story({}).silent(0, alerts=[each.name for each in EVERY if each.name != "LWSMetricsMissing"]))


OPERATOR = {"job": "lws-operator-metrics-service", "namespace": "openshift-lws-operator"}


def of_operator(metric: str, labels: str = "") -> str:
    """A series of the operator, as it is scraped."""
    more = f",{labels}" if labels else ""
    return f'{metric}{{job="{OPERATOR["job"]}",namespace="{OPERATOR["namespace"]}",pod="operator"{more}}}'


def test_an_operand_that_is_not_available_is_told_after_five_minutes(tmp_path: Path) -> None:
    """The condition itself fires, and so does the probe of its webhook; a short rollout does neither."""
    false = of_operator("lws_operator_condition", 'type="Available",status="False"')
    series = {false: steady(1, 900), of_operator("lws_operator_webhook_probe_success"): steady(0, 900)}
    alerts = ["LWSOperandNotAvailable", "LWSWebhookProbeFailing"]
    story = Story(series).silent(270, alerts=alerts).fires(alerts[0], 360, 840, **OPERATOR)
    check(tmp_path, story.fires(alerts[1], 360, 840, **OPERATOR))


def test_a_degraded_operator_and_a_stuck_rollout_are_told(tmp_path: Path) -> None:
    """Degraded waits a quarter of an hour, a rollout half an hour; one that awaits approval is nobody's fault."""
    series = {
        of_operator("lws_operator_condition", 'type="Degraded",status="True"'): steady(1, 3600),
        of_operator("lws_operator_rollout_phase", 'phase="RollingOut"'): steady(1, 3600),
        of_operator("lws_operator_rollout_phase", 'phase="AwaitingApproval"'): steady(1, 3600),
    }
    story = Story(series).silent(840, alerts=["LWSOperatorDegraded"]).silent(1740, alerts=["LWSRolloutStuck"])
    story = story.fires("LWSOperatorDegraded", 960, 3500, **OPERATOR)
    check(tmp_path, story.fires("LWSRolloutStuck", 1860, 3500, phase="RollingOut", **OPERATOR))


def test_a_certificate_of_the_operand_that_nobody_renews_is_told(tmp_path: Path) -> None:
    """Less than a week before its end it fires, after an hour."""
    ends = of_operator("lws_operator_certificate_expiry_timestamp_seconds", 'certificate="webhook"')
    good = of_operator("lws_operator_certificate_expiry_timestamp_seconds", 'certificate="metrics"')
    series = {ends: steady(6 * 24 * HOUR, 3 * HOUR), good: steady(60 * 24 * HOUR, 3 * HOUR)}
    story = Story(series).silent(HOUR - 60, alerts=["LWSOperandCertificateExpiring"])
    check(tmp_path, story.fires("LWSOperandCertificateExpiring", 2 * HOUR, certificate="webhook", **OPERATOR))
