"""``kubectl lws plan``: reads the cluster, then, with the connection closed, rehearses the change and says how it went.

Nothing is written to the cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.plan.answer import Change, StartUp, answer, difference, start_up
from lws.cli.kubectl.plan.edit import Edit, applied, assigned, scaled
from lws.cli.kubectl.plan.rehearsal import Outcome, Request, check_installed, rehearse
from lws.cli.kubectl.plan.world import World, read_world
from lws.cli.kubectl.session import Session, full_name
from lws.errors import ConfigurationError, NotFoundError
from lws.yamltext import YamlError, load_all

_PLANNED: Final = {"LeaderWorkerSet": LEADERWORKERSETS, "DisaggregatedSet": DISAGGREGATEDSETS}
Rehearse = Callable[[Request], Outcome]


async def prepare(session: Session, *, play: Rehearse = rehearse) -> Callable[[], int]:
    """Read what the plan needs; what it returns rehearses, prints, and gives the exit code.

    Raises:
        ConfigurationError: the sandbox is not installed, or what is asked for is none of ours.
        NotFoundError: there is no such set.
    """
    if play is rehearse:
        check_installed()
    change: Change = session.arguments.command.split()[1]  # type: ignore[assignment]
    manifest = _manifest(session) if session.arguments.filename else None
    namespace = str((manifest or {}).get("metadata", {}).get("namespace") or session.namespace)
    world = await read_world(session.client, "" if change in ("drain", "upgrade") else namespace)
    request, diff, took = _request(session, change, world, manifest, namespace)
    return lambda: _finish(session, change, request, play(request), took, diff)


def _request(
    session: Session, change: Change, world: World, manifest: JSON | None, namespace: str
) -> tuple[Request, str, StartUp]:
    asked, now = session.arguments, datetime.now(UTC)
    if change in ("drain", "upgrade"):
        took = start_up(world)
        return Request(change, world, now, nodes=_nodes(world, asked.words), start_up=took.seconds), "", took
    resource = _PLANNED[session.set_kind if manifest is None else str(manifest["kind"])]
    name = asked.name if manifest is None else str(manifest["metadata"]["name"])
    live = world.find(resource, namespace, name)
    if manifest is not None:
        wanted = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
        edited: tuple[Edit, ...] = ((resource, applied(live, wanted)),)
    elif live is None:
        unread = next((text for text in world.missing if text.startswith(f"{namespace}/{name} ")), "")
        if unread:
            raise ConfigurationError(f"{name} cannot be planned: {unread.partition(': ')[2]}")
        raise NotFoundError(404, "NotFound", f'{resource} "{name}" not found')
    elif change == "scale":
        edited = scaled(live, world.of(ROLESCALERS), asked.words)
    else:
        edited = ((resource, assigned(live, asked.assignments)),)
    took = start_up(world, (namespace, name))
    diffs = [difference(world.find(kind, namespace, str(one["metadata"]["name"])), one) for kind, one in edited]
    diff = "\n".join(text for text in diffs if text)
    return Request("edit", world, now, edited=edited, start_up=took.seconds), diff, took


def _nodes(world: World, names: tuple[str, ...]) -> tuple[str, ...]:
    from lws.apimachinery.resources import NODES

    known = {str(one["metadata"]["name"]) for one in world.of(NODES)}
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise ConfigurationError(f"there is no node {unknown[0]}")
    return tuple(dict.fromkeys(names))


def _manifest(session: Session) -> JSON:
    """The one set of the file.

    Raises:
        ConfigurationError: it cannot be read, or holds none or several.
    """
    path = session.arguments.filename
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        documents = [one for one in load_all(text) if isinstance(one, dict)]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except YamlError as error:
        raise ConfigurationError(f"{path} is no YAML: {error}") from error
    sets = [one for one in documents if one.get("kind") in _PLANNED]
    kinds = "LeaderWorkerSets or DisaggregatedSets"
    if len(sets) != 1:
        raise ConfigurationError(f"{path} holds {len(sets) or 'no'} {kinds}; plan takes one at a time")
    if not ((sets[0].get("metadata") or {}).get("name") and isinstance(sets[0].get("spec"), dict)):
        raise ConfigurationError(f"{path} holds a {sets[0]['kind']} without name or spec")
    return sets[0]


def _finish(session: Session, change: Change, request: Request, outcome: Outcome, took: StartUp, diff: str) -> int:
    from lws.cli.kubectl.plan.text import lines

    plan = answer(change, request, outcome, took, diff)
    names = [full_name("DisaggregatedSet", one.name) for one in plan.disaggregated_sets]
    names += [full_name("LeaderWorkerSet", one.name) for one in plan.sets]
    session.show(lambda: plan, lambda: lines(plan, session.terminal.width, wide=session.wide), names)
    if change == "upgrade":
        return 1 if any(one.restarted or one.removed for one in plan.sets) else 0
    held = any(one.waits for one in plan.sets) or any(one.waits for one in plan.disaggregated_sets)
    bad = plan.refused or plan.stuck or (change != "drain" and held)
    return 1 if bad else 0
