"""``kubectl lws plan``: reads the cluster, then, with the connection closed, rehearses the change and says how it went.

Nothing is written to the cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.arguments import DISAGGREGATEDSET
from lws.cli.kubectl.plan.answer import Change, StartUp, answer, difference, start_up
from lws.cli.kubectl.plan.edit import applied, assigned
from lws.cli.kubectl.plan.rehearsal import Outcome, Request, check_installed, rehearse
from lws.cli.kubectl.plan.world import World, hashed, read_world
from lws.cli.kubectl.session import Session, full_name
from lws.errors import ConfigurationError, NotFoundError
from lws.planning.leaderworkerset.course import Place
from lws.yamltext import YamlError, load_all

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
    if session.kind == DISAGGREGATEDSET:
        raise ConfigurationError("plan knows LeaderWorkerSets only")
    manifest = _manifest(session) if session.arguments.filename else None
    namespace = str((manifest or {}).get("metadata", {}).get("namespace") or session.namespace)
    world = await read_world(session.client, "" if change in ("drain", "upgrade") else namespace)
    request, diff, took = _request(session, change, world, manifest, namespace)
    return lambda: _finish(session, change, request, play(request), took, diff)


def _request(
    session: Session, change: Change, world: World, manifest: JSON | None, namespace: str
) -> tuple[Request, str, StartUp]:
    asked = session.arguments
    if change in ("drain", "upgrade"):
        took = start_up(world)
        return Request(change, world, nodes=_nodes(world, asked.words), start_up=took.seconds), "", took
    name = asked.name if manifest is None else str(manifest["metadata"]["name"])
    live = world.lws(namespace, name)
    if manifest is not None:
        edited = applied(live, {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}})
    elif live is None and any(text.startswith(f"{namespace}/{name} ") for text in world.missing):
        raise ConfigurationError(f"{name} cannot be planned: its groups are known by a key, and have no order")
    elif live is None:
        raise NotFoundError(404, "NotFound", f'leaderworkersets.leaderworkerset.x-k8s.io "{name}" not found')
    else:
        edited = assigned(live, [f"replicas={asked.words[0]}"] if change == "scale" else asked.assignments)
    if hashed(edited):
        raise ConfigurationError(f"{name} cannot be planned: its groups are known by a key, and have no order")
    place: Place = (namespace, name)
    took = start_up(world, place)
    return Request("edit", world, edited=edited, start_up=took.seconds), difference(live, edited), took


def _nodes(world: World, names: tuple[str, ...]) -> tuple[str, ...]:
    from lws.apimachinery.resources import NODES

    known = {str(one["metadata"]["name"]) for one in world.of(NODES)}
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise ConfigurationError(f"there is no node {unknown[0]}")
    return tuple(dict.fromkeys(names))


def _manifest(session: Session) -> JSON:
    """The one LeaderWorkerSet of the file.

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
    sets = [one for one in documents if one.get("kind") == "LeaderWorkerSet"]
    if len(sets) == 1 and not ((sets[0].get("metadata") or {}).get("name") and isinstance(sets[0].get("spec"), dict)):
        raise ConfigurationError(f"{path} holds a LeaderWorkerSet without name or spec")
    if len(sets) != 1:
        raise ConfigurationError(f"{path} holds {len(sets) or 'no'} LeaderWorkerSets; plan takes one at a time")
    return sets[0]


def _finish(session: Session, change: Change, request: Request, outcome: Outcome, took: StartUp, diff: str) -> int:
    from lws.cli.kubectl.plan.text import lines

    plan = answer(change, request, outcome, took, diff)
    names = [full_name("LeaderWorkerSet", one.name) for one in plan.sets]
    session.show(lambda: plan, lambda: lines(plan, session.terminal.width, wide=session.wide), names)
    if change == "upgrade":
        return 1 if any(one.restarted or one.removed for one in plan.sets) else 0
    bad = plan.refused or plan.stuck or (change != "drain" and any(one.waits for one in plan.sets))
    return 1 if bad else 0
