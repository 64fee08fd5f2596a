"""``kubectl lws diff``: what differs between two stored revisions."""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision
from lws.cli.kubectl.documents import Difference
from lws.cli.kubectl.observe import Observation, observe
from lws.cli.kubectl.revisions import difference
from lws.cli.kubectl.session import Session
from lws.errors import ConfigurationError


async def run(session: Session) -> int:
    """Print the difference; 1 if there is one, as ``diff`` does.

    Raises:
        ConfigurationError: there is no such revision, or none but the current.
    """
    await session.one_set()
    older, newer = _two(await observe(session.client, session.namespace, session.name), session.arguments.words)
    lines = difference(older, newer)
    document = Difference(
        namespace=session.namespace,
        name=session.name,
        older=older.revision,
        newer=newer.revision,
        equal=not lines,
        diff="\n".join(lines),
    )
    names = [f"controllerrevision.apps/{one.metadata.name}" for one in (older, newer)]
    session.show(lambda: document, lambda: _text(lines, older, newer), names)
    return 1 if lines else 0


def _text(lines: list[str], older: ControllerRevision, newer: ControllerRevision) -> list[str]:
    return lines or [f"revisions {older.revision} and {newer.revision} are equal"]


def _two(seen: Observation, words: tuple[str, ...]) -> tuple[ControllerRevision, ControllerRevision]:
    """The revisions meant: A and B, A and the current one, or the previous and the current one."""
    name = seen.facts.lws.name
    current = next((one for one in seen.revisions if one.metadata.label(labels.REVISION) == seen.facts.key), None)
    given = [_numbered(seen, int(word)) for word in words]
    if len(given) == 2:
        return given[0], given[1]
    if current is None:
        raise ConfigurationError(f"the current revision of {name} is not stored; name two revisions")
    if given:
        return given[0], current
    others = [one for one in seen.revisions if one is not current]
    if not others:
        raise ConfigurationError(f"{name} has one revision only: earlier ones are kept until an update is complete")
    return max(others, key=lambda one: one.revision), current


def _numbered(seen: Observation, number: int) -> ControllerRevision:
    found = next((one for one in seen.revisions if one.revision == number), None)
    if found is None:
        stored = ", ".join(str(one.revision) for one in sorted(seen.revisions, key=lambda one: one.revision))
        raise ConfigurationError(f"{seen.facts.lws.name} has no revision {number}; stored are: {stored or 'none'}")
    return found
