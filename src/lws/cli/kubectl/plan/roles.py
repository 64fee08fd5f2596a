"""The courses of the roles of DisaggregatedSets: one of each role's pods, and one of all of them. Pure."""

from __future__ import annotations

from lws.api.disaggregatedset import labels
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.course import Change, Courses, Place, SetCourse


class RoleCourses:
    """Fed like `Courses`; pods of LeaderWorkerSets without a DisaggregatedSet are passed over."""

    def __init__(self) -> None:
        self._wholes = Courses()
        self._roles: dict[Place, dict[str, None]] = {}
        self._courses = Courses()

    def see(self, change: Change, pod: JSON, at: float = 0.0) -> None:
        """One change of one pod, ``at`` seconds after the beginning."""
        meta = pod["metadata"]
        own = meta.get("labels") or {}
        place = str(meta.get("namespace") or ""), str(own.get(labels.NAME, ""))
        if not place[1]:
            return
        role = str(own.get(labels.ROLE, ""))
        self._roles.setdefault(place, {})[role] = None
        self._wholes.see(change, pod, at, into=place)
        self._courses.see(change, pod, at, into=_within(place, role))

    def begin(self) -> None:
        """From now on changes count."""
        self._wholes.begin()
        self._courses.begin()

    def whole(self, place: Place) -> SetCourse:
        """The course of all pods of a DisaggregatedSet; groups are named ``SET/GROUP``."""
        return self._wholes.of(place)

    def of(self, place: Place) -> dict[str, SetCourse]:
        """The courses of its roles, by role."""
        return {role: self._courses.of(_within(place, role)) for role in sorted(self._roles.get(place, ()))}


def _within(place: Place, role: str) -> Place:
    return place[0], f"{place[1]}/{role}"
