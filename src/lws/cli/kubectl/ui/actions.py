"""What the page may do for its user, with the user's own rights: a few writes, each shown before it is made.

Guarantees: a write is refused if the object is another one, or was edited, since it was shown (UID, generation,
annotations); and it carries the resourceVersion that was read for it, so nothing is written over an edit that comes in
between. Every action is what a line of kubectl does, and that line is shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl import rollout
from lws.cli.kubectl.arguments import LEADERWORKERSET, Arguments
from lws.cli.kubectl.leaderworkerset import LeaderWorkerSetCommand
from lws.cli.kubectl.observe import Observation, observe
from lws.cli.kubectl.restart import exhausted, recreate
from lws.cli.kubectl.session import Session
from lws.cli.kubectl.terminal import silent
from lws.cli.kubectl.ui import nodeactions
from lws.cli.kubectl.ui.foresight import foresee
from lws.client.api import ApiClient
from lws.errors import ConfigurationError, ConflictError, LwsError, NotFoundError
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.facts import GroupFacts, SetFacts
from lws.planning.leaderworkerset.diagnosis.words import sentences

STEPS: Final = ("pause", "resume", "undo")
RESTART: Final = "restart-group"
NAMES: Final = (*STEPS, RESTART)


class Actions:
    """Previews and carries out.

    Args:
        client: with the user's rights.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._rehearsing = asyncio.Lock()  # each takes a processor for seconds

    async def preview(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What an action would do: a kubectl line, effects in words, what the set says now, and what was seen.

        Raises:
            LwsError: set or node cannot be read.
        """
        if asked.get("action") in nodeactions.NAMES:
            return await nodeactions.preview(self._client, asked)
        action, namespace, name = _named(asked)
        try:
            seen = await observe(self._client, namespace, name)
            effects = _effects(action, seen, asked)
        except ConfigurationError as error:
            return {"refused": str(error)}
        except NotFoundError:
            return {"refused": f"{name} does not exist any more."}
        facts = seen.facts
        notice = owner_notice(facts)
        return {
            "line": line(action, namespace, name, asked),
            "effects": [*effects, *([f"{notice} Its next write may undo this one."] if notice else [])],
            "says": list(sentences(diagnose(facts))),
            "seen": _seen(action, seen, asked),
        }

    async def plan(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What `kubectl lws plan` says of it: ``plan``, in lines, or ``refused`` where there is none."""
        if asked.get("action") in nodeactions.NAMES:
            async with self._rehearsing:
                return await nodeactions.plan(self._client, asked)
        action, namespace, name = _named(asked)
        if action == RESTART:
            return {"refused": "A restart makes no revision; plan has nothing to rehearse."}
        try:
            seen = await observe(self._client, namespace, name)
            async with self._rehearsing:
                return {"plan": await foresee(self._client, namespace, name, _patch(action, seen, asked))}
        except LwsError as error:
            return {"refused": f"No plan: {error}."}

    async def act(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do it, if what was shown still holds; ``done`` or ``refused`` in one sentence."""
        if asked.get("action") in nodeactions.NAMES:
            return await nodeactions.act(self._client, asked)
        action, namespace, name = _named(asked)
        try:
            now = await observe(self._client, namespace, name)
            if asked.get("seen") != _seen(action, now, asked):
                return {"refused": f"{name} changed since this was shown. Nothing was written: look again."}
            if action == RESTART:
                await recreate(self._client, _group(now, asked))
            else:
                await self._steer(now, action, asked)
        except (ConflictError, NotFoundError):
            return {"refused": f"{name} changed meanwhile. Nothing was written: look again."}
        except LwsError as error:
            return {"refused": str(error)}
        return {"done": line(action, namespace, name, asked)}

    async def _steer(self, now: Observation, action: str, asked: Mapping[str, Any]) -> None:
        meta = now.facts.lws.metadata
        arguments = Arguments(command=f"rollout {action}", name=meta.name, kind=LEADERWORKERSET)
        session = Session(self._client, meta.namespace, arguments, silent(), LEADERWORKERSET, _unheard, _unheard)
        command = LeaderWorkerSetCommand(session)
        await command.write(now, action, _revision(asked))
        if action == "pause":
            await command.heeded()


def _unheard(_text: str) -> None:
    """What a terminal would be told is in the preview."""


def line(action: str, namespace: str, name: str, asked: Mapping[str, Any]) -> str:
    """The line of kubectl that does the same."""
    words = ["kubectl", "lws", "rollout", action, name]
    if action == "undo" and _revision(asked):
        words.append(f"--to-revision={_revision(asked)}")
    if action == RESTART:
        words = ["kubectl", "lws", "restart", name, f"--group={asked.get('group')}"]
    return shlex.join([*words, "-n", namespace])


def _effects(action: str, seen: Observation, asked: Mapping[str, Any]) -> list[str]:
    """What the action writes, and what follows, in words.

    Raises:
        ConfigurationError: it cannot be done.
    """
    lws = seen.facts.lws
    if action == RESTART:
        group = _group(seen, asked)
        if group.leader is None or group.leader.metadata.deleting:
            raise ConfigurationError(f"Group {group.index} has no leader that could be deleted: it is being made.")
        if exhausted(group):
            return [f"Group {group.index}, whose restarts are exhausted, is marked for recovery and made anew."]
        return [
            f"Pod {group.leader.metadata.name} is deleted, and with it the {group.size - 1} workers of its group.",
            "The group comes back with the revision that the partition gives it; it does not serve meanwhile.",
        ]
    patch = _patch(action, seen, asked)
    if isinstance(patch, list):
        number = _revision(asked)
        which = f"revision {number}" if number else "the newest revision that is not current"
        return [
            f"The template of {which} is written into the spec.",
            "A rolling update follows, at the set's own pace: it is an edit like any other.",
        ]
    return [
        *_written(lws, patch),
        "No further group is replaced." if action == "pause" else "The rollout goes on, at the set's own pace.",
    ]


def _written(lws: SetFacts, patch: JSON) -> Iterator[str]:
    for key, value in patch["metadata"].get("annotations", {}).items():
        if value is not None or lws.metadata.annotation(key) is not None:
            yield f"Annotation {key} is {'removed' if value is None else f'set to {value}'}."
    if "spec" in patch:
        partition = patch["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]["partition"]
        yield f"rollingUpdateConfiguration.partition is set from {lws.partition} to {partition}."


def _patch(action: str, seen: Observation, asked: Mapping[str, Any]) -> JSON | list[JSON]:
    """What a step of a rollout writes.

    Raises:
        ConfigurationError: it cannot be done.
    """
    if action == "undo":
        return rollout.undo(seen, _revision(asked))
    return rollout.pause(seen) if action == "pause" else rollout.resume(seen)


def _seen(action: str, seen: Observation, asked: Mapping[str, Any]) -> str:
    """What an action was shown for: the object, but for its status; of a restart the leader too."""
    meta = seen.facts.lws.metadata
    parts: list[Any] = [meta.uid, meta.generation, sorted((meta.annotations or {}).items())]
    if action == RESTART:
        leader = _group(seen, asked).leader
        parts.append(None if leader is None else [leader.metadata.uid, leader.metadata.deleting])
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _group(seen: Observation, asked: Mapping[str, Any]) -> GroupFacts:
    index = natural(str(asked.get("group", "")))
    found = [group for group in seen.facts.groups if group.index == index]
    if not found:
        raise ConfigurationError(f"{seen.facts.lws.name} has no such group.")
    return found[0]


def _revision(asked: Mapping[str, Any]) -> int:
    return natural(str(asked.get("revision", 0))) or 0


def _named(asked: Mapping[str, Any]) -> tuple[str, str, str]:
    """Action, namespace and name.

    Raises:
        ConfigurationError: the request does not name them.
    """
    action, namespace, name = (asked.get(each) for each in ("action", "namespace", "name"))
    if action not in NAMES or not isinstance(namespace, str) or not isinstance(name, str) or not (namespace and name):
        raise ConfigurationError("no such action")
    return action, namespace, name
