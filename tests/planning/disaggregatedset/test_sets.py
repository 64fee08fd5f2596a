"""Passes over a set, each for one rule of the specification (disaggregatedset 5, 7, 8, 12)."""

from __future__ import annotations

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.revision import revision_of
from lws.api.leaderworkerset.objects import Service
from lws.apimachinery.objects import ObjectMeta, OwnerReference
from lws.planning.disaggregatedset import sets
from lws.planning.disaggregatedset.snapshots import Snapshot
from tests.api.disaggregatedset.making import ds, external, paced, pause, role, scaler
from tests.planning.disaggregatedset.world import NOW, OLD, child, planned, service, snapshot

TWO = ds(role("a", 2), role("b", 2))
T = revision_of(TWO.raw_roles)


def test_5_4_a_new_set() -> None:
    """Children in the order of the roles, at full size, and not a word about it."""
    assert planned(snapshot(TWO)) == [
        f"create LeaderWorkerSet x-0-{T}-a 2",
        f"create LeaderWorkerSet x-0-{T}-b 2",
    ]


def test_5_4_scaling() -> None:
    """A child with another count is patched, without an event."""
    found = snapshot(TWO, child(TWO, "a", 1), child(TWO, "b", 2), services=_services())
    assert planned(found) == [f"patch x-0-{T}-a 2"]


def _services() -> tuple[Service, ...]:
    return tuple(service(child(TWO, name, 1)) for name in ("a", "b"))


def test_at_rest() -> None:
    """A set as it should be needs nothing."""
    found = snapshot(TWO, child(TWO, "a", 2), child(TWO, "b", 2), services=_services())
    assert planned(found) == []


def test_7_1_beginning() -> None:
    """Old replicas are written down, over what an earlier rollout wrote; new children begin with none, told once."""
    old = [
        child(TWO, "a", 2, revision=OLD),
        child(TWO, "b", 2, revision=OLD, initial="7"),
    ]
    assert planned(snapshot(TWO, *old)) == [
        f"patch x-0-{OLD}-a initial 2",
        f"patch x-0-{OLD}-b initial 2",
        f"create LeaderWorkerSet x-0-{T}-a 0",
        "event RollingUpdateStarted",
        f"create LeaderWorkerSet x-0-{T}-b 0",
    ]


def test_dd_02_what_is_missing_in_mid_rollout_is_made() -> None:
    """A target child that failed or vanished is made with no replicas, and the beginning is not told again."""
    old = [child(TWO, name, 2, revision=OLD, initial="2") for name in ("a", "b")]
    assert planned(snapshot(TWO, *old, child(TWO, "a", 1))) == [f"create LeaderWorkerSet x-0-{T}-b 0"]


def test_dd_07_a_note_that_is_missing_or_too_low_is_mended() -> None:
    """After a rollback, the revision that is old now gets its note; one that is higher stays."""
    old = [child(TWO, "a", 2, revision=OLD), child(TWO, "b", 2, revision=OLD, initial="4")]
    new = [child(TWO, "a", 1, ready=0), child(TWO, "b", 1)]
    assert planned(snapshot(TWO, *old, *new)) == [f"patch x-0-{OLD}-a initial 2"]


def test_7_2_waiting() -> None:
    """While a new group is not ready, or its child's status is older than its spec, nothing moves (DD-27)."""
    old = [child(TWO, name, 2, revision=OLD, initial="2") for name in ("a", "b")]
    unready = [child(TWO, "a", 1, ready=0), child(TWO, "b", 1)]
    unseen = [child(TWO, "a", 1, observed=7), child(TWO, "b", 1)]
    assert planned(snapshot(TWO, *old, *unready)) == []
    assert planned(snapshot(TWO, *old, *unseen, services=_services())) == []


def test_7_2_a_step() -> None:
    """A settled rollout takes one step: here it drains, newest revision first, and tells of each."""
    old = [child(TWO, name, 2, revision=OLD, initial="2") for name in ("a", "b")]
    new = [child(TWO, name, 1) for name in ("a", "b")]
    found = snapshot(TWO, *old, *new, services=_services())
    assert planned(found) == [
        f"patch x-0-{OLD}-a 1",
        "event ScalingDown",
        f"patch x-0-{OLD}-b 1",
        "event ScalingDown",
    ]


def test_5_3_the_end() -> None:
    """A revision at 0 is deleted whole, with its Services, and the last deletion tells that the rollout is over."""
    old = [child(TWO, name, 0, revision=OLD, initial="2") for name in ("a", "b")]
    new = [child(TWO, name, 2) for name in ("a", "b")]
    services = (*_services(), *(service(each) for each in old))
    assert planned(snapshot(TWO, *old, *new, services=services)) == [
        f"delete LeaderWorkerSet x-0-{OLD}-a",
        "event LWSDeleted",
        f"delete LeaderWorkerSet x-0-{OLD}-b",
        "event LWSDeleted",
        "event RollingUpdateCompleted",
        f"delete Service x-0-{OLD}-a-prv",
        f"delete Service x-0-{OLD}-b-prv",
    ]


def test_dd_37_what_a_rollout_began_with_does_not_shrink() -> None:
    """A revision that is deleted while an older one runs leaves it its beginning, and no step is taken before that."""
    older, newer = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
    old = [child(TWO, name, 1, revision="aaaaaaaa", initial="1", created=older) for name in ("a", "b")]
    gone = [child(TWO, name, 0, revision=OLD, initial="3", created=newer) for name in ("a", "b")]
    new = [child(TWO, name, 1) for name in ("a", "b")]
    assert planned(snapshot(TWO, *old, *gone, *new, services=_services())) == [
        "patch x-0-aaaaaaaa-a initial 4",
        "patch x-0-aaaaaaaa-b initial 4",
        f"delete LeaderWorkerSet x-0-{OLD}-a",
        "event LWSDeleted",
        f"delete LeaderWorkerSet x-0-{OLD}-b",
        "event LWSDeleted",
    ]


def test_5_3_one_role_above_zero_keeps_its_revision() -> None:
    """A revision is deleted when all of its roles are at 0, and not before."""
    old = [child(TWO, "a", 0, revision=OLD, initial="2"), child(TWO, "b", 1, revision=OLD, initial="2")]
    new = [child(TWO, name, 2, ready=1) for name in ("a", "b")]
    assert not [line for line in planned(snapshot(TWO, *old, *new)) if line.startswith("delete")]


def test_dd_03_two_children_of_one_role_and_revision() -> None:
    """The one with the slice's label is the target; the other counts as old and is drained by its own name."""
    twin = child(TWO, "a", 1, slice_=None, initial="1")
    found = snapshot(TWO, twin, child(TWO, "a", 2), child(TWO, "b", 2), services=_services())
    assert planned(found) == [f"patch x-{T}-a 0", "event ScalingDown"]


def test_dd_08_no_scaler_no_rollout() -> None:
    """With somebody else's scaler under its name, a role is neither scaled nor rolled, and neither are the others."""
    made = ds(external("a"), role("b", 2))
    target = revision_of(made.raw_roles)
    foreign = {"x-a": ObjectMeta(name="x-a", uid="theirs")}
    old = [child(made, name, 2, revision=OLD) for name in ("a", "b")]
    assert planned(snapshot(made, *old, foreign_scalers=foreign)) == ["event ScalerConflict"]
    fresh = planned(snapshot(made, child(made, "b", 1, ready=0), foreign_scalers=foreign))
    assert fresh == ["event ScalerConflict", f"create LeaderWorkerSet x-0-{target}-a 0", f"patch x-0-{target}-b 2"]


def test_dd_09_a_count_that_admission_would_refuse() -> None:
    """Where the child's own budget resolves to nothing, it is loosened with the count, at creation too."""
    strategy = paced(maxUnavailable="25%", maxSurge=0)
    made = ds(role("a", 3, rolloutStrategy=strategy), role("b", 3))
    target = revision_of(made.raw_roles)
    part = sets.plan(snapshot(made), NOW).parts[1]
    pace = part.actions[0].manifest["spec"]["rolloutStrategy"]  # type: ignore[union-attr]
    assert pace == {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxUnavailable": 1, "maxSurge": 0}}
    four = ds(role("a", 4, rolloutStrategy=strategy), role("b", 3))
    found = snapshot(made, child(four, "a", 4), child(made, "b", 3, ready=0))
    assert planned(found) == [f"patch x-0-{target}-a 3 loosened"]


def test_dd_22_a_child_that_is_going_holds_its_name() -> None:
    """Nothing is created under the name, nothing is deleted twice, and no Service is made for it."""
    going = child(TWO, "a", 2, deleting=True)
    assert planned(snapshot(TWO, going, child(TWO, "b", 2))) == []


def test_5_5_foreign_names() -> None:
    """Somebody else's LeaderWorkerSet is told of; one that an earlier set of the name left is waited for."""
    name = f"x-0-{T}-a"
    theirs = {name: ObjectMeta(name=name, uid="theirs")}
    earlier = OwnerReference(kind="DisaggregatedSet", name="x", uid="before", controller=True)
    left = {name: ObjectMeta(name=name, uid="theirs", owner_references=(earlier,))}
    other = f"create LeaderWorkerSet x-0-{T}-b 2"
    assert planned(snapshot(TWO, foreign_sets=theirs)) == [other, "event FailedCreate"]
    assert planned(snapshot(TWO, foreign_sets=left)) == [other]


def test_5_8_the_gate() -> None:
    """Services come when every role that is to have groups has a ready one; those of drained children go then."""
    zero = ds(role("a", 0, scaling={"mode": "External"}), role("b", 2))
    target = revision_of(zero.raw_roles)
    scalers = (scaler("a", 0),)
    ready = snapshot(zero, child(zero, "a", 0), child(zero, "b", 2, ready=1), scalers=scalers)
    unready = snapshot(zero, child(zero, "a", 0), child(zero, "b", 2, ready=0), scalers=scalers)
    assert planned(ready) == [f"create Service x-0-{target}-a-prv", f"create Service x-0-{target}-b-prv"]
    assert planned(unready) == []


def test_dd_11_services_of_a_child_that_is_gone() -> None:
    """They go whether or not anything serves; those of a child that is to come back stay."""
    gone = child(TWO, "a", 2, revision=OLD)
    missing = child(TWO, "b", 2)
    found = snapshot(TWO, child(TWO, "a", 2, ready=0), services=(service(gone), service(missing)))
    assert planned(found) == [f"create LeaderWorkerSet x-0-{T}-b 2", f"delete Service x-0-{OLD}-a-prv"]


def test_dd_13_whose_services_are_deleted() -> None:
    """Only the set's own, and its children's (upstream ties them to the child)."""
    old = child(TWO, "a", 0, revision=OLD, initial="2")
    by_child = service(old, uid=old.lws.metadata.uid)
    users = service(name="mine", uid="")
    found = snapshot(TWO, old, child(TWO, "a", 2), child(TWO, "b", 2), services=(*_services(), by_child, users))
    assert f"delete Service x-0-{OLD}-a-prv" in planned(found)
    assert "delete Service mine" not in planned(found)


def test_5_9_more_slices_over_release_0_9_0() -> None:
    """Services, then children of slice 0 make way; nothing else is made until they are gone (DD-33)."""
    two = ds(role("a", 2), role("b", 2), slices=2)
    old = [child(two, name, 2, slice_=None) for name in ("a", "b")]
    assert planned(snapshot(two, *old, services=tuple(service(each) for each in old))) == [
        f"delete Service x-{T}-a-prv",
        f"delete Service x-{T}-b-prv",
        f"delete LeaderWorkerSet x-{T}-a",
        "event LWSDeleted",
        f"delete LeaderWorkerSet x-{T}-b",
        "event LWSDeleted",
    ]
    going = [child(two, name, 2, slice_=None, deleting=True) for name in ("a", "b")]
    assert planned(snapshot(two, *going)) == []
    assert planned(snapshot(two))[0] == f"create LeaderWorkerSet x-0-{T}-a 2"


def test_5_2_removed_slices() -> None:
    """They go at once; a label that is no number belongs to no slice and is left alone."""
    removed = [child(TWO, "a", 2, slice_=1), child(TWO, "b", 2, slice_=1, deleting=True)]
    odd = child(TWO, "a", 2, slice_=5)
    odd.lws.metadata.labels[labels.SLICE] = "five"  # type: ignore[index]
    found = snapshot(
        TWO, *removed, odd, child(TWO, "a", 2), child(TWO, "b", 2), services=(*_services(), service(removed[0]))
    )
    assert planned(found) == [
        f"delete LeaderWorkerSet x-1-{T}-a",
        "event LWSDeleted",
        f"delete Service x-1-{T}-a-prv",
    ]


def test_8_1_scalers_come_and_go() -> None:
    """One for each External role, none for any other."""
    made = ds(external("a"), role("b", 2))
    target = revision_of(made.raw_roles)
    found = snapshot(made, child(made, "b", 2, ready=0), scalers=(scaler("b", 2), scaler("gone", 1)))
    assert planned(found) == [
        "delete DisaggregatedSetRoleScaler x-b",
        "event ScalerDeleted",
        "delete DisaggregatedSetRoleScaler x-gone",
        "event ScalerDeleted",
        "create DisaggregatedSetRoleScaler x-a 1",
        "event ScalerCreated",
        f"create LeaderWorkerSet x-0-{target}-a 1",
    ]


def test_dd_17_the_seed() -> None:
    """A new scaler begins with what slice 0 of the role has or had, going children left out."""
    made = ds(external("a"), role("b", 2))

    def seed(*children: object) -> int:
        return sets.plan(snapshot(made, *children), NOW).scales.replicas["a"]  # type: ignore[arg-type]

    assert seed() == 1
    assert seed(child(made, "a", 0)) == 0
    assert seed(child(made, "a", 5, deleting=True)) == 1
    assert seed(child(made, "a", 2, revision=OLD, initial="4"), child(made, "a", 1)) == 4
    assert seed(child(made, "a", 3, revision=OLD), child(made, "a", 5)) == 5


def test_dd_06_floors_hold_over_two_old_revisions() -> None:
    """The newest revision loses no role that the rest cannot carry."""
    made = ds(role("p", 8, template=pause("3.11")), role("d", 2, template=pause("3.11")))
    older, newer = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
    old = [
        child(made, "p", 5, revision="aaaaaaaa", initial="5", created=older),
        child(made, "d", 2, revision="aaaaaaaa", initial="2", created=older),
        child(made, "p", 3, revision="bbbbbbbb", initial="3", created=newer),
        child(made, "d", 1, revision="bbbbbbbb", initial="1", created=newer),
    ]
    new = [child(made, "p", 0), child(made, "d", 0)]
    lines = planned(snapshot(made, *old, *new))
    assert not [line for line in lines if line.endswith("bbbbbbbb-p 0")]


def test_a_snapshot_is_cut_into_slices_once() -> None:
    """Slices are those that the spec asks for, each with its own children."""
    three = ds(role("a", 1), role("b", 1), slices=3)
    found: Snapshot = snapshot(three, child(three, "a", 1, slice_=2), child(three, "b", 1, slice_=9))
    assert [sorted(view.target) for view in found.slices] == [[], [], ["a"]]
