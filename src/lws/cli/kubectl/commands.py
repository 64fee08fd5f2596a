"""The commands of ``kubectl lws``, by name; and those that look at or steer one LeaderWorkerSet.

A command's own modules are imported when it runs: most of a short command's time is imports.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from lws import __version__
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.arguments import DISAGGREGATEDSET, LEADERWORKERSET, Arguments
from lws.cli.kubectl.observe import Observation, observe
from lws.cli.kubectl.session import Session, kind_of
from lws.cli.kubectl.terminal import standard_output
from lws.client.api import DEFAULT_TIMEOUT, JSON_PATCH, MERGE_PATCH
from lws.client.connection import connect
from lws.errors import ConfigurationError, ConflictError, InvalidError, LwsError
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.words import sentences

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lws.cli.kubectl.documents import Document

MANAGER: Final = "kubectl-lws"
ATTEMPTS: Final = 5  # of a write whose set changes under it
PAUSE_SECONDS: Final = 10.0  # how long a controller may take to tell that it heeds a pause
PAUSE_LOOKS: Final = 40
_DONE: Final = {"pause": "paused", "resume": "resumed", "undo": "rolled back"}


async def run(arguments: Arguments) -> Callable[[], int]:
    """Connect and run the command; what is left to be done without the cluster, which gives the exit code.

    Raises:
        LwsError: it failed.
        OSError: the output cannot be written.
    """
    overrides = arguments.overrides
    connection = await connect(overrides.kubeconfig or None, overrides.context or None, overrides=overrides)
    try:
        timeout = overrides.request_timeout or DEFAULT_TIMEOUT
        client = connection.client(user_agent=f"kubectl-lws/{__version__}", warn=_warn, timeout=timeout)
        namespace = overrides.namespace or connection.namespace or "default"
        kind = await kind_of(client, namespace, arguments) if arguments.name else ""
        session = Session(client, namespace, arguments, standard_output(), kind, _warn, _tell)
        if arguments.command.startswith("plan "):
            from lws.cli.kubectl.plan.command import prepare

            return await prepare(session)
        code = await dispatch(session)
        return lambda: code
    finally:
        await connection.close()


def _warn(text: str) -> None:
    sys.stderr.write(f"Warning: {text}\n")


def _tell(text: str) -> None:
    sys.stderr.write(f"kubectl-lws: {text}\n")


async def dispatch(session: Session) -> int:
    """Run the command that the arguments name; its exit code."""
    match session.arguments.command.split()[0]:
        case "list":
            from lws.cli.kubectl import listing

            return await listing.run(session)
        case "failures":
            from lws.cli.kubectl import failures

            return await failures.run(session)
        case "events":
            from lws.cli.kubectl import events

            return await events.run(session)
        case "top":
            from lws.cli.kubectl import top

            return await top.run(session)
        case "diff":
            from lws.cli.kubectl import difference

            return await difference.run(session)
        case _:
            return await (_acting(session) or _looking(session))


def _acting(session: Session) -> Awaitable[int] | None:
    """Commands that go into pods or write; None for any other."""
    match session.arguments.command.split()[0]:
        case "logs":
            from lws.cli.kubectl import logs

            return logs.run(session)
        case "exec":
            from lws.cli.kubectl import execute

            return execute.run(session)
        case "restart":
            from lws.cli.kubectl import restart

            return restart.run(session)
        case "hand-back":
            from lws.cli.kubectl import handback

            return handback.run(session)
        case "evacuate" | "release" as command:
            from lws.cli.kubectl import nodes

            return nodes.evacuate(session) if command == "evacuate" else nodes.release(session)
    return None


def _looking(session: Session) -> Awaitable[int]:
    if session.kind == DISAGGREGATEDSET:
        from lws.cli.kubectl.disaggregatedset.commands import DisaggregatedSetCommand

        return DisaggregatedSetCommand(session).run()
    return Command(session).run()


class Command:
    """The commands that look at one LeaderWorkerSet and steer it."""

    def __init__(self, session: Session) -> None:
        assert session.kind == LEADERWORKERSET
        self._session = session
        self._client = session.client
        self._namespace = session.namespace
        self._name = session.name

    async def run(self) -> int:
        """Run the command that the arguments name."""
        match self._session.arguments.command.split():
            case ["tree"]:
                return await self.tree()
            case ["explain-stuck"]:
                return await self.explain()
            case ["status"]:
                return await self.status()
            case ["rollout", "status"]:
                return await self.rollout_status()
            case ["rollout", "history"]:
                return await self.history()
            case words:
                return await self.steer(words[-1], self._session.arguments.revision)

    async def _observe(self) -> Observation:
        return await observe(self._client, self._namespace, self._name)

    async def tree(self) -> int:
        """Draw the tree."""
        from lws.cli.kubectl import export, render

        facts = (await self._observe()).facts
        self._session.show(
            lambda: export.tree(facts), lambda: render.tree(facts, wide=self._session.wide), export.pod_names(facts)
        )
        return 0

    async def explain(self) -> int:
        """Say what the set waits for; 0 when it waits for nothing."""
        facts = (await self._observe()).facts
        notice, said = owner_notice(facts), sentences(diagnose(facts))
        lines = [*said, *([notice] if said and notice else [])]
        nothing = f"{self._name} waits for nothing: every group is ready and up to date."

        def document() -> Document:
            from lws.cli.kubectl import export

            return export.explanation(facts)

        names = dict.fromkeys(f"pod/{one.name}" for one in diagnose(facts) if one.noun.endswith("pod"))
        self._session.show(document, lambda: lines or [nothing], names)
        return 1 if said else 0

    async def status(self) -> int:
        """Show the numbers once, or follow them until the set waits for nothing."""
        if self._session.arguments.watch:
            from lws.cli.kubectl import follow

            return await follow.status(self._session, self._observe)
        facts = (await self._observe()).facts

        def document() -> Document:
            from lws.cli.kubectl import export

            return export.status(facts)

        def text() -> RenderableType:
            from lws.cli.kubectl import render

            return render.status(facts)

        self._session.show(document, text, [self._session.full_name])
        return 0

    async def rollout_status(self) -> int:
        """Follow the rollout to its end, or say once how far it is; 1 if the end does not come in time."""
        from lws.cli.kubectl import follow

        return await follow.rollout(self._session)

    async def history(self) -> int:
        """List the stored revisions, or print one."""
        from lws.cli.kubectl import export, render

        seen, number = await self._observe(), self._session.arguments.revision
        chosen = [one for one in seen.revisions if number in (0, one.revision)]
        if number and not chosen:
            raise ConfigurationError(f"{self._name} has no revision {number}; `kubectl lws rollout history` lists them")
        names = [f"controllerrevision.apps/{one.metadata.name}" for one in chosen]
        self._session.show(
            lambda: export.history(seen, number),
            lambda: render.revision(chosen[0]) if number else render.history(seen),
            names,
        )
        return 0

    async def steer(self, step: str, revision: int = 0) -> int:
        """Write ``pause``, ``resume`` or ``undo``; warn first if the set's owner will write over it."""
        observation = await self._observe()
        if notice := owner_notice(observation.facts):
            self._session.warn(f"{notice} Its next write may undo this one.")
        await self.write(observation, step, revision)
        if step == "pause":
            await self.heeded()
        self._session.done(step, f"leaderworkerset/{self._name} {_DONE[step]}")
        return 0

    async def heeded(self) -> None:
        """Wait until the controller tells that the rollout stands still; annotations do not change the generation.

        Raises:
            LwsError: no controller heeds the annotation, which was removed again.
        """
        from lws.cli.kubectl import rollout

        for _ in range(PAUSE_LOOKS):
            found = await self._client.get(LEADERWORKERSETS, self._namespace, self._name)
            conditions = (found.get("status") or {}).get("conditions") or ()
            if any(each.get("type") == "Paused" and each.get("status") == "True" for each in conditions):
                return
            await asyncio.sleep(PAUSE_SECONDS / PAUSE_LOOKS)
        await self._client.patch(
            LEADERWORKERSETS, self._namespace, self._name, rollout.unpause(), field_manager=MANAGER
        )
        raise LwsError(
            f"the controller of {self._name} does not support pausing, or does not run: nothing is paused, and the "
            "annotation was removed again"
        )

    async def write(self, observation: Observation, step: str, revision: int) -> None:
        """Write the step; a new look and another try if nothing but the status changed since the look.

        Raises:
            ConflictError: the set was edited since.
        """
        for last in (False,) * (ATTEMPTS - 1) + (True,):
            patch, kind = _patch(observation, step, revision)
            try:
                await self._client.patch(
                    LEADERWORKERSETS, self._namespace, self._name, patch, content_type=kind, field_manager=MANAGER
                )
                return
            except (ConflictError, InvalidError) as error:
                if isinstance(error, InvalidError) and not (step == "undo" and "resourceVersion" in str(error)):
                    raise
                now = await self._observe()
                if last or _edited(observation, now):
                    raise ConflictError(409, "Conflict", str(error)) from error
                observation = now


def _patch(observation: Observation, step: str, revision: int) -> tuple[JSON | list[JSON], str]:
    from lws.cli.kubectl import rollout

    if step == "undo":
        return rollout.undo(observation, revision), JSON_PATCH
    return (rollout.pause(observation) if step == "pause" else rollout.resume(observation)), MERGE_PATCH


def _edited(before: Observation, now: Observation) -> bool:
    """Whether the set is another one, or somebody changed its spec or annotations."""
    one, other = before.facts.lws.metadata, now.facts.lws.metadata
    return (one.uid, one.generation, one.annotations) != (other.uid, other.generation, other.annotations)
