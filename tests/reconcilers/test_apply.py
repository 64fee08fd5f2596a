"""Carrying out plans: order, failures, ownership, events, versions (`lws.runtime.executor`)."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.actions import (
    Apply,
    Create,
    Delete,
    EmitEvent,
    Fold,
    Patch,
    Plan,
    Reference,
    Update,
    UpdateStatus,
)
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, NODES, PODS, SERVICES, STATEFULSETS
from lws.client.api import ApiClient
from lws.client.transport import Request, Response, Stream
from lws.errors import AlreadyExistsError, ApiError, ConflictError, PauseError, StaleError
from lws.informers.requests import Selection
from lws.planning.leaderworkerset.ownership import relation
from lws.reconcilers.leaderworkerset.group import regarding
from lws.runtime import bounded
from lws.runtime.controller import Done, RequeueAfter
from lws.runtime.events import ObjectRef
from lws.runtime.executor import Executor
from lws.runtime.freshness import InformerSource, Ledger
from lws.runtime.outcomes import FoundError, Outcome, PlanError, verdict
from lws_sandbox.virtual_time import VirtualClock
from tests.planning import making
from tests.virtual import virtual_time

KEY = ("default", "sample")


class Server:
    """Answers requests from a table of (method, last part of the path) to (status, body)."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, JSON]] = {}
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        """The answer of the table; what is written comes back by default, with version 900."""
        self.requests.append(request)
        given = self.answers.get((request.method, request.path.rsplit("/", 1)[1]))
        if given is None:
            body = orjson.loads(request.body or b"{}")
            body.setdefault("metadata", {}).update(uid="uid-new", resourceVersion="900")
            given = (200, body)
        return Response(given[0], {}, orjson.dumps(given[1]))

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Nothing is watched here."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to close."""


class Recorder:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, ObjectRef | None]] = []

    def record(
        self,
        regarding: ObjectRef,
        type: str,  # noqa: A002
        reason: str,
        action: str,
        note: str,
        related: ObjectRef | None = None,
        fold: Fold | None = None,
    ) -> None:
        """Keep the event."""
        assert regarding.name == "sample"
        self.events.append((type, reason, note, related))

    @property
    def notes(self) -> list[str]:
        """Notes in order."""
        return [note for _, _, note, _ in self.events]


class Unwatched:
    """Caches without a single informer."""

    def informer(self, resource: object) -> None:
        """There is none."""


@dataclass
class Selected:
    """A cache of what carries the label of our sets, which knows everything at once."""

    selection: Selection = field(default_factory=lambda: Selection(label_selector=labels.NAME))

    def has_seen(self, namespace: str, name: str, resource_version: int | str) -> bool:
        """It has."""
        return True

    def informer(self, resource: object) -> Selected:
        """One for every kind."""
        return self


class Bench:
    """An executor on a scripted server."""

    def __init__(self, caches: object | None = None) -> None:
        self.clock = VirtualClock()
        self.server, self.recorder = Server(), Recorder()
        self.executor = Executor(
            ApiClient(self.server, user_agent="test", field_manager="lws"),
            self.recorder,
            cast(InformerSource, caches or Unwatched()),
            Ledger[tuple[str, str]](lambda key: None),
            ownership=relation,
            clock=self.clock,
        )

    async def run(self, *actions: Any) -> Outcome:
        """Carry out these actions about the set ``sample``."""
        return await self.executor.run(KEY, Plan(actions), regarding(making.lws()))

    def status(self, code: int, reason: str) -> tuple[int, JSON]:
        """A failure as the server writes it."""
        return code, {"kind": "Status", "code": code, "reason": reason, "message": f"no: {reason}"}


def event(note: str, **changes: Any) -> EmitEvent:
    """An event with this note."""
    return EmitEvent("Normal", "Reason", "Create", note, **changes)


SERVICE: JSON = {
    "metadata": {
        "name": "svc",
        "namespace": "default",
        "ownerReferences": [{"uid": "uid-lws", "kind": "LeaderWorkerSet", "name": "sample", "controller": True}],
    },
    "spec": {"clusterIP": "None", "selector": {"a": "b"}},
}
SET: JSON = {"metadata": {"name": "sts", "namespace": "default"}, "spec": {"replicas": 1}}


def create(**changes: Any) -> Create:
    """A creation with all three kinds of events."""
    events: JSON = {
        "on_success": (event("made"),),
        "on_failure": (event("failed: {error}"),),
        "on_foreign": (event("foreign"),),
    }
    return Create(SERVICES, SERVICE, **{**events, **changes})


@virtual_time
async def test_actions_run_in_order_and_stop_at_the_first_failure() -> None:
    """What comes after a failure is not begun; its event carries the cause."""
    bench = Bench()
    bench.server.answers["POST", "services"] = bench.status(403, "Forbidden")
    with pytest.raises(ApiError):
        await bench.run(event("first"), create(), event("never"))
    assert bench.recorder.notes == ["first", "failed: no: Forbidden"]


@virtual_time
async def test_events_name_what_was_just_written() -> None:
    """A reference to an object of the same plan is completed with its UID and version."""
    bench = Bench()
    reference = Reference(CONTROLLERREVISIONS, "default", "rev")
    manifest = {"metadata": {"name": "rev", "namespace": "default"}}
    await bench.run(Create(CONTROLLERREVISIONS, manifest, on_success=(event("made", related=reference),)))
    related = bench.recorder.events[0][3]
    assert related is not None
    assert (related.name, related.uid, related.resource_version) == ("rev", "uid-new", "900")


@virtual_time
async def test_cd_25_already_there_and_ours_is_success() -> None:
    """A name taken by our own object is success, without an event."""
    bench = Bench()
    bench.server.answers["POST", "services"] = bench.status(409, "AlreadyExists")
    bench.server.answers["GET", "svc"] = (200, SERVICE)
    outcome = await bench.run(create(), event("next"))
    assert bench.recorder.notes == ["next"]
    assert outcome.written == []


@virtual_time
async def test_cd_26_already_there_and_foreign_is_told_once() -> None:
    """A name taken by someone else is told once for that object, and is never written."""
    bench = Bench()
    bench.server.answers["POST", "services"] = bench.status(409, "AlreadyExists")
    foreign = {"metadata": {"name": "svc", "uid": "uid-foreign"}, "spec": {"clusterIP": "10.0.0.1"}}
    bench.server.answers["GET", "svc"] = (200, foreign)
    await bench.run(create())
    await bench.run(create())
    assert bench.recorder.notes == ["foreign"]
    assert {request.method for request in bench.server.requests} == {"POST", "GET"}


@virtual_time
async def test_what_was_told_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of objects told of once only the latest are remembered, however many there are in the life of a process."""
    monkeypatch.setattr(bounded, "REMEMBERED", 3)
    bench = Bench()
    for uid in ("a", "b", "c", "d", "d", "b", "a"):
        await bench.run(event(uid, once=uid))
    assert bench.recorder.notes == ["a", "b", "c", "d", "a"]
    assert len(bench.executor._told) == 3


@pytest.mark.parametrize(
    ("kind", "uid", "told"),
    [("Pod", "uid-leader-0", False), ("Pod", "uid-of-former-leader", False), ("ReplicaSet", "uid-other", True)],
)
@virtual_time
async def test_worker_set_of_an_earlier_leader_is_not_foreign(kind: str, uid: str, told: bool) -> None:
    """A set of a former leader will be collected: its end wakes the key, nobody is warned."""
    bench = Bench()

    def owned(kind: str, uid: str) -> JSON:
        owner = {"kind": kind, "name": "sample-0", "uid": uid, "controller": True}
        return {"metadata": {"name": "sample-0", "namespace": "default", "ownerReferences": [owner]}}

    bench.server.answers["POST", "statefulsets"] = bench.status(409, "AlreadyExists")
    bench.server.answers["GET", "sample-0"] = (200, owned(kind, uid))
    await bench.run(Create(STATEFULSETS, owned("Pod", "uid-leader-0"), on_foreign=(event("foreign"),)))
    assert bool(bench.recorder.notes) is told


OUR_SERVICE: JSON = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "sample",
        "namespace": "default",
        "labels": {labels.NAME: "sample"},
        "ownerReferences": [{"kind": "LeaderWorkerSet", "name": "sample", "uid": "uid-lws", "controller": True}],
    },
    "spec": {"clusterIP": "None", "selector": {labels.NAME: "sample"}},
}
MADE = Create(SERVICES, OUR_SERVICE, owner=Reference(LEADERWORKERSETS, "default", "sample", "uid-lws"))


def methods(bench: Bench) -> list[str]:
    """The methods of the requests so far."""
    return [request.method for request in bench.server.requests]


@pytest.mark.parametrize("answer", [(404, {}), (200, {"metadata": {"uid": "uid-of-a-successor"}})])
@virtual_time
async def test_dependent_is_made_again_only_for_an_owner_that_is_there(answer: tuple[int, JSON]) -> None:
    """What was made before is made again once the server has confirmed its owner, whatever the caches show (K3)."""
    bench = Bench()
    bench.server.answers["GET", "sample"] = bench.status(404, "NotFound") if answer[0] == 404 else answer
    await bench.run(MADE)
    assert methods(bench) == ["POST"]
    with pytest.raises(StaleError, match="sample is gone"):
        await bench.run(MADE)
    assert methods(bench) == ["POST", "GET"]
    bench.server.answers["GET", "sample"] = (200, {"metadata": {"uid": "uid-lws"}})
    await bench.run(MADE)
    assert methods(bench) == ["POST", "GET", "GET", "POST"]


@virtual_time
async def test_creations_that_are_undone_slow_down() -> None:
    """An object that ends as soon as it is made is made less and less often, and after a quiet time at once again."""
    bench = Bench()
    bench.server.answers["GET", "sample"] = (200, {"metadata": {"uid": "uid-lws"}})
    made_at: list[float] = []
    begun = bench.clock.monotonic()
    while bench.clock.monotonic() < begun + 300:
        try:
            await bench.run(MADE)
            made_at.append(bench.clock.monotonic() - begun)
        except PauseError as pause:
            await asyncio.sleep(pause.seconds)
    assert [round(each) for each in made_at[:7]] == [0, 0, 1, 3, 7, 15, 31]
    assert len(made_at) <= 12
    await asyncio.sleep(601)
    since = len(bench.server.requests)
    await bench.run(MADE)
    assert methods(bench)[since:] == ["POST"]


@virtual_time
async def test_object_outside_the_caches_is_not_asked_for_at_every_pass() -> None:
    """A user's own headless Service without our label serves: it is found once a minute, and never written (K5)."""
    bench = Bench(Selected())
    bench.server.answers["POST", "services"] = bench.status(409, "AlreadyExists")
    own = {
        **OUR_SERVICE,
        "metadata": {"name": "sample", "namespace": "default", "uid": "uid-own", "resourceVersion": "7"},
    }
    bench.server.answers["GET", "sample"] = (200, own)
    for _ in range(100):
        outcome = await bench.run(MADE)
        assert outcome.name_taken
    assert methods(bench) == ["POST", "GET"]
    await asyncio.sleep(60)
    await bench.run(MADE)
    assert methods(bench) == ["POST", "GET", "POST", "GET"]
    assert bench.recorder.notes == []


@virtual_time
async def test_object_of_ours_gets_its_label_back() -> None:
    """What is ours and lost the label by which the caches select is labelled again, so that they show it (K5)."""
    bench = Bench(Selected())
    bench.server.answers["POST", "services"] = bench.status(409, "AlreadyExists")
    meta = {**OUR_SERVICE["metadata"], "labels": {"team": "ml"}, "uid": "uid-ours", "resourceVersion": "7"}
    bench.server.answers["GET", "sample"] = (200, {**OUR_SERVICE, "metadata": meta})
    bench.server.answers["PATCH", "sample"] = (200, {"metadata": {**meta, "resourceVersion": "8"}})
    await bench.run(MADE)
    assert methods(bench) == ["POST", "GET", "PATCH"]
    assert orjson.loads(bench.server.requests[-1].body or b"") == {
        "metadata": {"labels": {labels.NAME: "sample"}, "uid": "uid-ours"}
    }
    bench.server.answers["PATCH", "sample"] = bench.status(403, "Forbidden")
    await asyncio.sleep(60)
    await bench.run(MADE)


@virtual_time
async def test_cd_02_deletion_of_a_successor_is_refused_and_fine() -> None:
    """The UID goes with the deletion; gone or replaced is success without an event."""
    for code, reason in ((404, "NotFound"), (409, "Conflict")):
        bench = Bench()
        bench.server.answers["DELETE", "leader"] = bench.status(code, reason)
        outcome = await bench.run(Delete(PODS, "default", "leader", "uid-1", "Foreground", (event("gone"),)))
        assert (outcome.deleted, bench.recorder.notes) == ([], [])
        options = orjson.loads(bench.server.requests[0].body)
        assert options["preconditions"] == {"uid": "uid-1"}
        assert options["propagationPolicy"] == "Foreground"


@virtual_time
async def test_what_a_deletion_has_ended_is_not_deleted_again() -> None:
    """A cache may show what is gone for a moment more; an object that was only marked is another matter."""
    bench = Bench()
    bench.server.answers["DELETE", "old"] = (200, {"kind": "Status", "status": "Success", "details": {"uid": "uid-1"}})
    bench.server.answers["DELETE", "leader"] = (200, {"kind": "Pod", "metadata": {"name": "leader", "uid": "uid-2"}})
    gone = Delete(CONTROLLERREVISIONS, "default", "old", "uid-1")
    marked = Delete(PODS, "default", "leader", "uid-2", "Foreground")
    assert (await bench.run(gone, marked)).deleted == ["uid-1", "uid-2"]
    assert (await bench.run(gone, marked)).deleted == ["uid-2"]
    assert [request.path.rsplit("/", 1)[1] for request in bench.server.requests] == ["old", "leader", "leader"]


def _answer(changes: JSON) -> JSON:
    live: JSON = {
        "metadata": {
            "name": "sts",
            "namespace": "default",
            "uid": "uid-set",
            "generation": 2,
            "resourceVersion": "5",
        },
        "spec": {"replicas": 1},
    }
    live["metadata"]["managedFields"] = [
        {"manager": "lws", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    live["spec"].update(changes)
    return live


@pytest.mark.parametrize(("changes", "writes"), [({}, 0), ({"replicas": 7}, 1)])
@virtual_time
async def test_cd_11_first_apply_looks_before_it_writes(changes: JSON, writes: int) -> None:
    """What an apply would not change is not applied, and is remembered as if it had been."""
    bench = Bench()
    bench.server.answers["GET", "sts"] = (200, _answer(changes))
    outcome = await bench.run(
        Apply(STATEFULSETS, SET, "digest", look_first=True, expected=("uid-set", 2), on_success=(event("applied"),))
    )
    assert len([each for each in bench.server.requests if each.method == "PATCH"]) == writes
    assert len(bench.recorder.notes) == writes
    assert outcome.applied is not None
    assert outcome.applied.digest == "digest"


@pytest.mark.parametrize("expected", [("uid-set", 1), ("uid-set", 3), ("uid-other", 2)])
@virtual_time
async def test_a_stale_plan_is_not_applied(expected: tuple[str, int]) -> None:
    """A live object that is not the one that was planned for is left alone until the caches know it (K6)."""
    bench = Bench()
    bench.server.answers["GET", "sts"] = (200, _answer({"replicas": 7}))
    with pytest.raises(StaleError, match="has changed since the plan was made"):
        await bench.run(Apply(STATEFULSETS, SET, "digest", look_first=True, expected=expected))
    assert [each.method for each in bench.server.requests] == ["GET"]


@virtual_time
async def test_cd_03_object_that_the_cache_did_not_show_is_not_written() -> None:
    """Where nothing should be, something is: it is handed back to be judged."""
    bench = Bench()
    bench.server.answers["GET", "sts"] = (200, _answer({}))
    with pytest.raises(FoundError) as found:
        await bench.run(Apply(STATEFULSETS, SET, "digest", look_first=True))
    assert found.value.live["metadata"]["name"] == "sts"
    assert [each.method for each in bench.server.requests] == ["GET"]


@virtual_time
async def test_apply_is_forced_in_our_name() -> None:
    """The apply names the field manager lws and takes fields over (spec 5.3)."""
    bench = Bench()
    await bench.run(Apply(STATEFULSETS, SET, "digest"))
    (request,) = bench.server.requests
    assert request.method == "PATCH"
    assert dict(request.query) == {"fieldManager": "lws", "force": "true"}
    assert request.headers["content-type"] == "application/apply-patch+yaml"


@virtual_time
async def test_status_is_written_under_the_version_that_was_read() -> None:
    """The status goes to its subresource with UID and resourceVersion; its event follows success only."""
    bench = Bench()
    action = UpdateStatus(
        LEADERWORKERSETS, "default", "sample", "uid-lws", "100", {"replicas": 2}, (event("Available"),)
    )
    await bench.run(action)
    (request,) = bench.server.requests
    assert request.path.endswith("/leaderworkersets/sample/status")
    body = orjson.loads(request.body)
    assert (body["metadata"]["resourceVersion"], body["status"]) == ("100", {"replicas": 2})
    bench.server.answers["PUT", "status"] = bench.status(409, "Conflict")
    with pytest.raises(ConflictError):
        await bench.run(action)
    assert bench.recorder.notes == ["Available"]


@virtual_time
async def test_a_patch_merges_into_one_object_only() -> None:
    """A merge patch names what changes and the UID; an object that is gone was not the one that was planned for."""
    bench = Bench()
    change = {"metadata": {"annotations": {"a": "b"}}, "spec": {"replicas": 3}}
    live = {"metadata": {"name": "child", "namespace": "default", "uid": "uid-1", "resourceVersion": "900"}}
    bench.server.answers |= {("PATCH", "child"): (200, live), ("PATCH", "status"): (200, live)}
    await bench.run(Patch(LEADERWORKERSETS, "default", "child", "uid-1", change, on_success=(event("scaled"),)))
    (request,) = bench.server.requests
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert orjson.loads(request.body) == {
        "metadata": {"annotations": {"a": "b"}, "uid": "uid-1"},
        "spec": {"replicas": 3},
    }
    outcome = await bench.run(Patch(LEADERWORKERSETS, "default", "child", "uid-1", {"status": {}}, "status"))
    assert bench.server.requests[1].path.endswith("/leaderworkersets/child/status")
    assert outcome.status_written
    bench.server.answers["PATCH", "child"] = bench.status(404, "NotFound")
    with pytest.raises(StaleError):
        await bench.run(Patch(LEADERWORKERSETS, "default", "child", "uid-1", change, on_success=(event("scaled"),)))
    assert bench.recorder.notes == ["scaled"]


@virtual_time
async def test_update_changes_only_what_it_names() -> None:
    """The object is read, changed and written whole; if it is another version, nothing is written."""
    bench = Bench()
    live = {
        "metadata": {"name": "rev", "namespace": "default", "resourceVersion": "7"},
        "revision": 1,
        "data": {"a": 1},
    }
    bench.server.answers["GET", "rev"] = (200, live)
    await bench.run(Update(CONTROLLERREVISIONS, "default", "rev", "7", {"revision": 3}))
    assert orjson.loads(bench.server.requests[1].body) == {**live, "revision": 3}
    with pytest.raises(StaleError):
        await bench.run(Update(CONTROLLERREVISIONS, "default", "rev", "6", {"revision": 3}))


@virtual_time
async def test_refused_update_gives_way_to_its_alternative() -> None:
    """A change that the server calls invalid is made another way, and the events are those of that way."""
    bench = Bench()
    live = {"metadata": {"name": "rev", "namespace": "default", "resourceVersion": "7"}, "revision": 1}
    bench.server.answers["GET", "rev"] = (200, live)
    bench.server.answers["PUT", "rev"] = bench.status(422, "Invalid")
    manifest = {"metadata": {"name": "rev-3", "namespace": "default"}, "revision": 3}
    otherwise = Create(CONTROLLERREVISIONS, manifest, on_success=(event("made"),))
    update = Update(CONTROLLERREVISIONS, "default", "rev", "7", {"revision": 3})
    with pytest.raises(ApiError):
        await bench.run(update)
    outcome = await bench.run(replace(update, otherwise=otherwise))
    assert [(verb, name) for verb, _, name in outcome.written] == [("create", "rev-3")]
    assert bench.recorder.notes == ["made"]


@pytest.mark.parametrize(
    ("controller", "error"),
    [
        ({"uid": "uid-old", "kind": "LeaderWorkerSet", "name": "sample", "controller": True}, ConflictError),
        ({"uid": "uid-other", "kind": "Deployment", "name": "sample", "controller": True}, AlreadyExistsError),
    ],
)
@virtual_time
async def test_taken_name_of_a_revision_ends_the_pass(controller: JSON, error: type[Exception]) -> None:
    """No StatefulSet is made for a revision whose name an earlier set, or anyone else, still has."""
    bench = Bench()
    wanted = {**controller, "uid": "uid-lws", "kind": "LeaderWorkerSet"}
    manifest = {"metadata": {"name": "rev", "namespace": "default", "labels": {}, "ownerReferences": [wanted]}}
    bench.server.answers["POST", "controllerrevisions"] = bench.status(409, "AlreadyExists")
    live = {"metadata": {"name": "rev", "namespace": "default", "ownerReferences": [controller]}}
    bench.server.answers["GET", "rev"] = (200, live)
    with pytest.raises(error):
        await bench.run(Create(CONTROLLERREVISIONS, manifest, required=True), event("never"))
    assert bench.recorder.notes == []


@pytest.mark.parametrize(("seen", "waits"), [(False, True), (True, False)])
@virtual_time
async def test_key_waits_until_its_caches_know_its_write(seen: bool, waits: bool) -> None:
    """Every answer's version is noted, so that the key does not act on caches that are older."""

    class Informer:
        selection = Selection()

        def has_seen(self, namespace: str, name: str, resource_version: str) -> bool:
            return seen

        def on_change(self, handler: object) -> None:
            """Nothing ever changes."""

        def on_progress(self, callback: object) -> None:
            """Nor moves."""

    class Watched:
        def informer(self, resource: object) -> Informer:
            return Informer()

    bench = Bench()
    ledger = Ledger[tuple[str, str]](lambda key: None)
    client = ApiClient(bench.server, user_agent="test", field_manager="lws")
    executor = Executor(client, bench.recorder, cast(InformerSource, Watched()), ledger, ownership=relation)
    await executor.run(KEY, Plan((Apply(STATEFULSETS, SET, "digest"),)), regarding(making.lws()))
    assert ledger.stale(KEY) is waits


@virtual_time
async def test_events_to_be_told_once_are() -> None:
    """An event for an object's UID is recorded one time in the life of the executor."""
    bench = Bench()
    for _ in range(3):
        await bench.run(event("strange", once="uid-1"))
    await bench.run(event("strange", once="uid-2"))
    assert bench.recorder.notes == ["strange", "strange"]


def test_verdicts() -> None:
    """A plan that ends well rests or looks again; one that tells of an error raises it."""
    assert verdict(Plan()) == Done()
    assert verdict(Plan(requeue_after=5.0)) == RequeueAfter(5.0)
    failing: list[tuple[Plan, type[Exception]]] = [(Plan(error="x"), PlanError)]
    for plan, kind in failing:
        with pytest.raises(kind):
            verdict(plan)


@virtual_time
async def test_objects_without_a_namespace_are_applied_as_often_as_they_drift() -> None:
    """An apply without a look may be an update, and is never held back as a creation that came undone."""
    bench = Bench()
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-0"}}
    for _ in range(5):
        await bench.run(Apply(NODES, node, ""))
    await bench.run(Create(NODES, node))
    assert methods(bench) == ["PATCH"] * 5 + ["POST"]
