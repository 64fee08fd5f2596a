"""``kubectl lws plan`` around the rehearsal: what is edited, what is asked, and how the answer is said."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest

from lws.api.disaggregatedset import labels as role_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, NODES, PODDISRUPTIONBUDGETS, PODS, STATEFULSETS, Resource
from lws.cli.kubectl.arguments import parse
from lws.cli.kubectl.commandline import UsageError
from lws.cli.kubectl.plan import rehearsal
from lws.cli.kubectl.plan.answer import start_up
from lws.cli.kubectl.plan.command import prepare
from lws.cli.kubectl.plan.edit import LAST_APPLIED, applied, assigned
from lws.cli.kubectl.plan.rehearsal import Outcome, Request, Roles, Write
from lws.cli.kubectl.plan.roles import RoleCourses
from lws.cli.kubectl.plan.world import RESOURCEQUOTAS, World, read_world
from lws.cli.kubectl.terminal import Terminal
from lws.errors import ConfigurationError, ForbiddenError, NotFoundError
from lws.planning.leaderworkerset.course import Courses, SetCourse
from tests.api.disaggregatedset import making
from tests.cli.sessions import session
from tests.cli.shelf import READY, Shelf, pod, site
from tests.cli.test_kubectl_output import validator
from tests.virtual import virtual_time

PLACE = ("default", "web")


def template(*images: str) -> JSON:
    """A pod template with containers of these images."""
    return {"spec": {"containers": [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]}}


def live(**section: Any) -> JSON:
    """A stored set."""
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"leaderWorkerTemplate": {"size": 2, **section}},
    }


def images(raw: JSON) -> list[list[str]]:
    """Images of leader and worker."""
    section = raw["spec"]["leaderWorkerTemplate"]
    parts = [section[part] for part in ("leaderTemplate", "workerTemplate") if part in section]
    return [[one["image"] for one in part["spec"]["containers"]] for part in parts]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("reg:5000/app:2", [["reg:5000/app:2", "side:1"], ["reg:5000/app:2"]]),
        ("side:2", [["reg:5000/app:1", "side:2"], ["reg:5000/app:1"]]),
        ("other:1", [["other:1", "side:1"], ["other:1"]]),
        ("reg:5000/app@sha256:0", [["reg:5000/app@sha256:0", "side:1"], ["reg:5000/app@sha256:0"]]),
    ],
)
def test_an_image_replaces_that_of_its_repository(image: str, expected: list[list[str]]) -> None:
    """Every container of the same repository, wherever it is; a new repository goes to the first containers."""
    before = live(leaderTemplate=template("reg:5000/app:1", "side:1"), workerTemplate=template("reg:5000/app:1"))
    assert images(assigned(before, [f"image={image}"])) == expected
    assert images(before)[0] == ["reg:5000/app:1", "side:1"]


def test_members_of_the_spec_are_set_by_short_names_and_paths() -> None:
    """Numbers are numbers, everything else is text; the way there is made."""
    spec = assigned(live(), ["replicas=4", "size=3", "maxSurge=25%", "spec.startupPolicy=LeaderReady", "partition=1"])[
        "spec"
    ]
    assert (spec["replicas"], spec["leaderWorkerTemplate"]["size"], spec["startupPolicy"]) == (4, 3, "LeaderReady")
    assert spec["rolloutStrategy"]["rollingUpdateConfiguration"] == {"maxSurge": "25%", "partition": 1}
    for wrong in ("replicas", "=4", "leaderWorkerTemplate.size.x=1", "a..b=1"):
        with pytest.raises(ConfigurationError, match="--set"):
            assigned(live(), [wrong])


def test_an_applied_manifest_takes_away_what_the_last_one_had() -> None:
    """A three-way merge: what others wrote stays, what was applied before and is gone now goes, lists are replaced."""
    last = {"metadata": {"labels": {"old": "1"}}, "spec": {"replicas": 2, "startupPolicy": "LeaderReady"}}
    stored = live(workerTemplate=template("app:1", "side:1"))
    stored["metadata"] |= {"labels": {"old": "1", "theirs": "1"}, "annotations": {LAST_APPLIED: json.dumps(last)}}
    stored["spec"] |= {"replicas": 2, "startupPolicy": "LeaderReady", "networkConfig": {"subdomainPolicy": "Shared"}}
    wanted = {
        "metadata": {"name": "web", "labels": {"new": "1"}},
        "spec": {"leaderWorkerTemplate": {"workerTemplate": template("app:2")}},
    }
    result = applied(stored, wanted)
    assert result["metadata"]["labels"] == {"theirs": "1", "new": "1"}
    assert set(result["spec"]) == {"leaderWorkerTemplate", "networkConfig"}
    assert images(result) == [["app:2"]]
    assert result["spec"]["leaderWorkerTemplate"]["size"] == 2
    assert applied(None, wanted) == wanted


@pytest.mark.parametrize(
    ("line", "command", "name", "words"),
    [
        ("plan web --set image=a", "plan edit", "web", ()),
        ("plan lws/drain --set size=1", "plan edit", "drain", ()),
        ("plan -f x.yaml", "plan edit", "", ()),
        ("plan scale web 4", "plan scale", "web", ("4",)),
        ("plan scale x a=4 b=5", "plan scale", "x", ("a=4", "b=5")),
        ("plan drain a b", "plan drain", "", ("a", "b")),
        ("plan upgrade", "plan upgrade", "", ()),
    ],
)
def test_forms_of_a_plan(line: str, command: str, name: str, words: tuple[str, ...]) -> None:
    """Each form of resilience 8 is read."""
    found = parse(line.split())
    assert (found.command, found.name, found.words) == (command, name, words)


@pytest.mark.parametrize(
    "line",
    [
        "plan",
        "plan web",
        "plan scale web",
        "plan scale web many",
        "plan drain",
        "plan upgrade now",
        "plan web -f x",
        "plan upgrade --set a=b",
        "plan web two --set a=b",
    ],
)
def test_other_forms_are_refused(line: str) -> None:
    """What is none of them is told the forms."""
    with pytest.raises(UsageError, match="plan takes -f FILE"):
        parse(line.split())


def stamped(seconds: int, **more: Any) -> JSON:
    """A pod that took so long to be ready."""
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z",
    }
    return pod("web", 0, status={"startTime": "2026-01-01T00:00:00Z", "conditions": [ready], **more})


def test_start_up_is_measured_from_the_pods_that_tell() -> None:
    """The median of ready pods that were never restarted; without any, an assumption that is called one."""
    pods = [stamped(60), stamped(90), stamped(600), stamped(5, containerStatuses=[{"restartCount": 1}]), pod("web", 1)]
    found = start_up(World({PODS: pods}), PLACE)
    assert (found.seconds, found.measured) == (90.0, True)
    assert not start_up(World({PODS: pods}), ("default", "other")).measured


def course_of(shelf: Shelf) -> SetCourse:
    """Group 1 of the set restarts, beside a surge group that finds no node."""
    courses = Courses()
    for each in shelf.objects[PODS]:
        courses.see("ADDED", each)
    courses.begin()
    leader = pod("web", 1)
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    courses.see("ADDED", pod("web", 2, spec={"nodeName": ""}, status={"conditions": [scheduled]}), 1.0)
    courses.see("DELETED", leader, 2.0)
    courses.see("ADDED", {**leader, "metadata": {**leader["metadata"], "uid": "new"}, "status": READY}, 3.5)
    return courses.of(PLACE)


class Rehearsed:
    """A rehearsal that is known beforehand; remembers what it was asked."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Outcome:
        """The outcome."""
        self.asked.append(request)
        return self._outcome


async def planned(line: str, shelf: Shelf, outcome: Outcome, *, columns: int | None = None) -> tuple[int, str, Request]:
    """Exit code, what was printed, and what was asked."""
    stream, play = io.StringIO(), Rehearsed(outcome)
    environ = {} if columns is None else {"COLUMNS": str(columns)}
    finish = await prepare(session(shelf, line, Terminal(stream, environ))[0], play=play)
    code = finish()
    return code, stream.getvalue(), play.asked[0]


def restarting(**more: Any) -> Outcome:
    """Of that course."""
    return Outcome(courses={PLACE: course_of(site())}, keys={PLACE: "newer"}, seconds=61.4, **more)


@virtual_time
async def test_an_edit_is_told_with_order_worst_moment_and_room() -> None:
    """The diff, the order of restarts, the numbers, what finds no room, and the time as an estimate."""
    code, text, request = await planned("plan web --set replicas=3", site(), restarting())
    assert code == 0
    assert text.splitlines() == [
        "--- live",
        "+++ planned",
        "@@ -1,3 +1,3 @@",
        " leaderWorkerTemplate:",
        "   size: 2",
        "-replicas: 2",
        "+replicas: 3",
        "",
        "leaderworkerset default/web:",
        "  makes a new revision",
        "  restarts group 1",
        "  creates group 2",
        "  ready groups: 2 now, 1 at the worst moment, 2 at the end",
        "  pods: 4 now, at most 5, 5 at the end",
        "  cpu: 2 now, at most 2500m, 2500m at the end",
        "  nvidia.com/gpu: 8 now, at most 10, 10 at the end",
        "Estimated time: 1m1s with a start-up of 30s, assumed, for no live pod tells.",
        "Warning: default/web: the nodes as they are have no room for 1 pod (web-2).",
    ]
    ((resource, edited),) = request.edited
    assert (resource, edited["spec"]["replicas"]) == (LEADERWORKERSETS, 3)


FORMS = [
    ("plan web --set size=4", restarting(warnings=("a word of admission",))),
    (
        "plan web --set size=0",
        Outcome(refused="size must be equal or greater than 1", courses={PLACE: SetCourse(*PLACE)}),
    ),
    ("plan scale web 4", restarting(waits={PLACE: ("Group 2: leader pod web-2 finds no node.",)})),
    ("plan drain node-1", restarting(stuck={"node-1": "pods are left: default/web-1-1"})),
    (
        "plan upgrade",
        Outcome(
            courses={PLACE: SetCourse(*PLACE)},
            writes={PLACE: (Write("patch", "StatefulSet", "web", ("spec.replicas", "metadata.labels.a")),)},
        ),
    ),
]


@pytest.mark.parametrize(("line", "outcome"), FORMS, ids=[line for line, _ in FORMS])
@virtual_time
async def test_every_form_has_its_document_and_fits_sixty_columns(line: str, outcome: Outcome) -> None:
    """JSON keeps to the schema; text is no wider than asked; wide adds the moments."""
    code, printed, _ = await planned(f"{line} -o json", site(), outcome)
    validator().validate(json.loads(printed))
    assert code == (0 if line in ("plan web --set size=4", "plan upgrade") else 1)
    _, narrow, _ = await planned(f"{line} -o wide", site(), outcome, columns=60)
    assert max(len(row) for row in narrow.splitlines()) <= 60
    _, names, _ = await planned(f"{line} -o name", site(), outcome)
    assert names == "leaderworkerset.leaderworkerset.x-k8s.io/web\n"


@virtual_time
async def test_an_upgrade_that_restarts_groups_fails_and_one_that_writes_does_not() -> None:
    """Exit 1 where any group would restart; what would be written is told with the members that change."""
    code, text, request = await planned("plan upgrade", site(), FORMS[-1][1])
    assert (code, request.kind) == (0, "upgrade")
    assert text.splitlines() == [
        "This version would restart no group; it would write to 1 set at its first pass.",
        "leaderworkerset default/web:",
        "  no group restarts, is created or is removed",
        "  would patch StatefulSet web: spec.replicas, metadata.labels.a",
    ]
    code, text, _ = await planned("plan upgrade", site(), restarting())
    assert code == 1
    assert text.startswith("This version would restart 1 group of 1 set at its first pass.")
    code, text, _ = await planned("plan upgrade", site(), Outcome(courses={PLACE: SetCourse(*PLACE)}))
    assert (code, text) == (0, "This version would write nothing: every set is as it wants it.\n")


@virtual_time
async def test_a_drain_names_the_groups_on_the_nodes() -> None:
    """Groups with a pod there are affected, whether or not anything happens to them; an unknown node is refused."""
    _, text, request = await planned("plan drain node-0 node-0", site(), restarting())
    assert request.nodes == ("node-0",)
    assert "  pods of group 0 are on these nodes" in text.splitlines()
    with pytest.raises(ConfigurationError, match="there is no node node-9"):
        await planned("plan drain node-9", site(), restarting())


@virtual_time
async def test_quotas_that_the_worst_moment_exceeds_are_named() -> None:
    """What is used already and what comes on top are compared with what is allowed."""
    shelf = site()
    hard = {"requests.nvidia.com/gpu": "9", "pods": "10", "cpu": "nonsense"}
    used = {"requests.nvidia.com/gpu": "8", "pods": "4"}
    meta = {"name": "small", "namespace": "default"}
    shelf.objects[RESOURCEQUOTAS] = [{"metadata": meta, "status": {"hard": hard, "used": used}}]
    _, text, _ = await planned("plan scale web 3", shelf, restarting())
    words = [line for line in text.splitlines() if "Quota" in line]
    assert words == ["Warning: Quota small would be exceeded: requests.nvidia.com/gpu (8 used, 2 more, 9 allowed)."]


@virtual_time
async def test_a_manifest_is_read_from_its_file(tmp_path: Path) -> None:
    """One LeaderWorkerSet among whatever else; its own namespace counts; none, two, or no YAML are said."""
    file = tmp_path / "x.yaml"
    header = "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\n"
    good = f"kind: Service\n---\n{header}metadata: {{name: new, namespace: prod}}\nspec: {{replicas: 1}}\n"
    file.write_text(good)
    _, _, request = await planned(f"plan -f {file}", site(), Outcome())
    ((resource, edited),) = request.edited
    assert (resource, edited["metadata"]) == (LEADERWORKERSETS, {"name": "new", "namespace": "prod"})
    for text, words in (
        ("kind: Service", "holds no LeaderWorkerSets or DisaggregatedSets"),
        (good + "---\n" + good, "holds 2 LeaderWorkerSets or"),
        (header, "without name or spec"),
        ("a: [", "is no YAML"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=words):
            await planned(f"plan -f {file}", site(), Outcome())
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await planned("plan -f /nowhere/x", site(), Outcome())


@virtual_time
async def test_what_cannot_be_planned_is_said() -> None:
    """A set that is not there, and roles of one that has none."""
    with pytest.raises(NotFoundError):
        await planned("plan nobody --set size=1", site(), Outcome())
    with pytest.raises(ConfigurationError, match="web is a LeaderWorkerSet and has no roles: plan scale web N"):
        await planned("plan scale web prefill=2", site(), Outcome())


@virtual_time
async def test_without_the_sandbox_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read before that is known."""
    monkeypatch.setattr(rehearsal, "SANDBOX", "lws_sandbox_that_is_missing")
    assert importlib.util.find_spec("lws_sandbox_that_is_missing") is None
    with pytest.raises(ConfigurationError, match=r"pip install lws-sandbox$"):
        await prepare(session(None, "plan upgrade")[0])


class Closed(Shelf):
    """A cluster of which some resources may not be read."""

    def __init__(self, shelf: Shelf, *closed: Resource) -> None:
        super().__init__(shelf.objects)
        self._closed = closed

    async def list(self, resource: Resource, namespace: str = "", **options: Any) -> JSON:
        """Or a refusal."""
        if resource in self._closed:
            raise ForbiddenError(403, "Forbidden", f"{resource} is forbidden")
        return await super().list(resource, namespace, **{k: v for k, v in options.items() if k.endswith("selector")})


@virtual_time
async def test_what_may_not_be_read_is_a_warning_unless_nothing_works_without_it() -> None:
    """Nodes, budgets and quotas may be missing, and that is said; sets and pods may not."""
    client: Any = Closed(site(), NODES, PODDISRUPTIONBUDGETS, RESOURCEQUOTAS)
    world = await read_world(client, "default")
    assert world.missing == (
        "Nodes may not be read: room on them is not considered.",
        "Not considered, for they may not be read: disruption budgets.",
        "Not considered, for they may not be read: quotas.",
    )
    assert len(world.of(STATEFULSETS)) == 3
    for resource in (PODS, LEADERWORKERSETS):
        refusing: Any = Closed(site(), resource)
        with pytest.raises(ForbiddenError):
            await read_world(refusing, "default")


@virtual_time
async def test_sets_by_deployments_that_may_not_be_read_are_not_planned() -> None:
    """Such a set is refused by its name; elsewhere its pods only take room, and that is said."""
    keyed = site(2, 1, spec={"groupIdentity": "Hash"})
    closed = Closed(keyed, DEPLOYMENTS)
    with pytest.raises(ConfigurationError, match="web cannot be planned: its Deployment and Re"):
        await planned("plan web --set size=2", closed, Outcome())
    _, text, request = await planned("plan drain node-0", closed, Outcome())
    assert (len(request.world.of(PODS)), len(request.world.strangers)) == (0, 2)
    words = "default/web is not considered: its Deployment and ReplicaSets may not be read."
    assert f"Warning: {words}" in text.splitlines()
    _, _, request = await planned("plan web --set size=2", keyed, Outcome())
    assert len(request.world.of(PODS)) == 2


def keyed_course() -> SetCourse:
    """A group that is known by a key goes, and another comes."""
    key = "0a1b2c3d" * 5
    raw = pod("web", 0, size=1)
    raw["metadata"]["labels"] |= {labels.GROUP_INDEX: key, labels.GROUP_KEY: key}
    courses = Courses()
    courses.see("ADDED", raw)
    courses.begin()
    other = {labels.GROUP_INDEX: key[::-1], labels.GROUP_KEY: key[::-1]}
    new = {**raw, "metadata": {**raw["metadata"], "uid": "new", "labels": raw["metadata"]["labels"] | other}}
    courses.see("ADDED", new, 1.0)
    courses.see("DELETED", raw, 9.0)
    return courses.of(PLACE)


@virtual_time
async def test_groups_with_keys_are_told_by_them_and_new_ones_by_their_number() -> None:
    """Resilience 8: which key a new group gets nobody can foresee."""
    _, text, _ = await planned("plan scale web 2 -o wide", site(), Outcome(courses={PLACE: keyed_course()}))
    told = [line for line in text.splitlines() if "group" in line]
    assert told == [
        "  creates 1 new group",
        "  removes group 0a1b2c3d",
        "  ready groups: 1 now, 1 at the worst moment, 1 at the end",
        "  1s: create a new group",
        "  9s: remove group 0a1b2c3d",
    ]


def disaggregated() -> Shelf:
    """A DisaggregatedSet ``x`` beside the set ``web``; its role ``tail`` is scaled by a scaler."""
    shelf = site()
    roles = making.role("prefill", 2), making.role("decode", 3), making.external("tail")
    shelf.objects[DISAGGREGATEDSETS] = [making.manifest(*roles)]
    meta = {"name": "x-tail", "namespace": "default", "labels": role_labels.scaler("x", "tail")}
    shelf.objects[ROLESCALERS] = [{"metadata": meta, "spec": {"replicas": 1}}]
    return shelf


async def planned_roles(line: str, outcome: Outcome | None = None) -> tuple[int, str, Request]:
    """The same for the DisaggregatedSet."""
    stream, play = io.StringIO(), Rehearsed(outcome or Outcome())
    told, _ = session(disaggregated(), line, Terminal(stream, {}), kind="disaggregatedset")
    return (await prepare(told, play=play))(), stream.getvalue(), play.asked[0]


@pytest.mark.parametrize(
    ("line", "images", "replicas", "slices"),
    [
        ("plan x --set image=registry.k8s.io/pause:4", ["4", "4", "4"], [2, 3, None], None),
        ("plan x --set decode.image=registry.k8s.io/pause:4 --set slices=2", ["3.9", "4", "3.9"], [2, 3, None], 2),
        ("plan x --set prefill.replicas=7", ["3.9", "3.9", "3.9"], [7, 3, None], None),
        ("plan scale x prefill=4 decode=5", ["3.9", "3.9", "3.9"], [4, 5, None], None),
    ],
)
@virtual_time
async def test_roles_are_edited_by_name(
    line: str, images: list[str], replicas: list[int | None], slices: int | None
) -> None:
    """An image goes to every role that runs one of its repository; ROLE.KEY and ROLE=N to one; slices to the set."""
    _, _, request = await planned_roles(line)
    ((resource, edited),) = request.edited
    assert resource is DISAGGREGATEDSETS
    specs = [one["spec"] for one in edited["spec"]["roles"]]
    pods = [one["leaderWorkerTemplate"]["workerTemplate"]["spec"] for one in specs]
    assert [one["containers"][0]["image"].partition(":")[2] for one in pods] == images
    assert [one.get("replicas") for one in specs] == replicas
    assert edited["spec"].get("slices") == slices


@virtual_time
async def test_a_role_that_others_scale_is_scaled_through_its_scaler() -> None:
    """The set is written only if one of its own numbers changes."""
    _, _, request = await planned_roles("plan scale x tail=4")
    assert [(kind, one["spec"]["replicas"]) for kind, one in request.edited] == [(ROLESCALERS, 4)]
    _, _, request = await planned_roles("plan scale x tail=4 decode=1")
    assert [kind for kind, _ in request.edited] == [DISAGGREGATEDSETS, ROLESCALERS]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("plan scale x 4", "x has the roles prefill, decode, tail: plan scale x prefill=N"),
        ("plan scale x head=4", "x has the roles"),
        (
            "plan x --set image=other:1",
            "no role runs an image of other: write ROLE.image=IMAGE, such as prefill.im",
        ),
        ("plan x --set replicas=4", "cannot write replicas of a DisaggregatedSet: write slices=N, or ROLE.KEY=VALUE"),
    ],
)
@virtual_time
async def test_what_fits_no_role_names_the_roles(line: str, words: str) -> None:
    """Every refusal says what to write instead."""
    with pytest.raises(ConfigurationError, match=words):
        await planned_roles(line)


def rolled() -> Outcome:
    """Role ``prefill`` of ``x`` rolls from one LeaderWorkerSet to another."""
    courses, roles = Courses(), RoleCourses()
    old, new = (pod(f"x-0-{key}-prefill", 0, size=1) for key in ("aaaa", "bbbb"))
    for raw in (old, new):
        raw["metadata"]["labels"] |= {role_labels.NAME: "x", role_labels.ROLE: "prefill"}
    for each in (courses, roles):
        each.see("ADDED", old)
        each.begin()
        each.see("ADDED", new, 2.0)
        each.see("DELETED", old, 5.0)
    places = [("default", f"x-0-{key}-prefill") for key in ("aaaa", "bbbb")]
    place = ("default", "x")
    return Outcome(
        courses={each: courses.of(each) for each in places},
        roles={place: Roles("aaaa", "bbbb", roles.whole(place), roles.of(place))},
        owners=dict.fromkeys(places, ("x", "prefill")),
        seconds=5.0,
    )


@virtual_time
async def test_a_disaggregated_set_is_told_by_role_and_then_by_set() -> None:
    """The worst moment of a role is over all its LeaderWorkerSets, old and new, and so is the peak of the whole."""
    code, text, _ = await planned_roles("plan x --set slices=1 -o wide", rolled())
    assert code == 0
    assert text.splitlines()[text.splitlines().index("disaggregatedset default/x:") :] == [
        "disaggregatedset default/x:",
        "  makes revision bbbb",
        "  role prefill: ready groups 1 now, 1 at the worst moment, 1 at the end",
        "  pods: 1 now, at most 2, 1 at the end",
        "  cpu: 500m now, at most 1, 500m at the end",
        "  nvidia.com/gpu: 2 now, at most 4, 2 at the end",
        "  2s: create group 0 of x-0-bbbb-prefill",
        "  5s: remove group 0 of x-0-aaaa-prefill",
        "leaderworkerset default/x-0-aaaa-prefill (role prefill of x):",
        "  removes group 0",
        "  ready groups: 1 now, 0 at the worst moment, 0 at the end",
        "  pods: 1 now, at most 1, 0 at the end",
        "  cpu: 500m now, at most 500m, 0 at the end",
        "  nvidia.com/gpu: 2 now, at most 2, 0 at the end",
        "  5s: remove group 0",
        "leaderworkerset default/x-0-bbbb-prefill (role prefill of x):",
        "  creates group 0",
        "  ready groups: 0 now, 0 at the worst moment, 1 at the end",
        "  pods: 0 now, at most 1, 1 at the end",
        "  cpu: 0 now, at most 500m, 500m at the end",
        "  nvidia.com/gpu: 0 now, at most 2, 2 at the end",
        "  2s: create group 0",
        "Estimated time: 5s with a start-up of 30s, assumed, for no live pod tells.",
    ]
    _, printed, _ = await planned_roles("plan x --set slices=1 -o json", rolled())
    validator().validate(json.loads(printed))
    _, names, _ = await planned_roles("plan x --set slices=1 -o name", rolled())
    assert names.splitlines()[0] == "disaggregatedset.disaggregatedset.x-k8s.io/x"
