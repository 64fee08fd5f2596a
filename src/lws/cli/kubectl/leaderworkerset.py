"""The commands of ``kubectl lws`` that look at one LeaderWorkerSet and steer it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.arguments import LEADERWORKERSET
from lws.cli.kubectl.observe import Observation, observe
from lws.cli.kubectl.session import Session
from lws.client.api import JSON_PATCH, MERGE_PATCH
from lws.errors import ConfigurationError, ConflictError, InvalidError, LwsError
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.facts import Facts
from lws.planning.leaderworkerset.diagnosis.words import sentences

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lws.cli.kubectl.documents import Document

MANAGER: Final = "kubectl-lws"
ATTEMPTS: Final = 5  # of a write whose set changes under it
PAUSE_SECONDS: Final = 10.0  # how long a controller may take to tell that it heeds a pause
PAUSE_LOOKS: Final = 40
_DONE: Final = {"pause": "paused", "resume": "resumed", "undo": "rolled back"}


class LeaderWorkerSetCommand:
    """The commands, on one set."""

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
        facts = (await self._observe()).facts

        def document() -> Document:
            from lws.cli.kubectl import export

            return export.tree(facts)

        def text() -> RenderableType:
            from lws.cli.kubectl import render

            return render.tree(facts, wide=self._session.wide)

        self._session.show(document, text, _pod_names(facts))
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
        seen, number = await self._observe(), self._session.arguments.revision
        chosen = [one for one in seen.revisions if number in (0, one.revision)]
        if number and not chosen:
            raise ConfigurationError(f"{self._name} has no revision {number}; `kubectl lws rollout history` lists them")

        def document() -> Document:
            from lws.cli.kubectl import export

            return export.history(seen, number)

        def text() -> RenderableType | list[str]:
            from lws.cli.kubectl import render

            return render.revision(chosen[0]) if number else render.history(seen)

        self._session.show(document, text, [f"controllerrevision.apps/{one.metadata.name}" for one in chosen])
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


def _pod_names(facts: Facts) -> Iterator[str]:
    """What ``tree -o name`` prints."""
    pods = [pod for group in facts.groups for pod in group.pods]
    return (f"pod/{pod.metadata.name}" for pod in (*pods, *facts.strays))


def _patch(observation: Observation, step: str, revision: int) -> tuple[JSON | list[JSON], str]:
    from lws.cli.kubectl import rollout

    if step == "undo":
        return rollout.undo(observation, revision), JSON_PATCH
    return (rollout.pause(observation) if step == "pause" else rollout.resume(observation)), MERGE_PATCH


def _edited(before: Observation, now: Observation) -> bool:
    """Whether the set is another one, or somebody changed its spec or annotations."""
    one, other = before.facts.lws.metadata, now.facts.lws.metadata
    return (one.uid, one.generation, one.annotations) != (other.uid, other.generation, other.annotations)
