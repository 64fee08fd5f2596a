"""The commands of ``kubectl lws`` on one set, and which kind of set is meant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from lws import __version__
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.cli.kubectl import follow, rollout
from lws.cli.kubectl.arguments import DISAGGREGATEDSET, LEADERWORKERSET, Arguments
from lws.cli.kubectl.observe import Observation, observe
from lws.cli.kubectl.terminal import Terminal, standard_output
from lws.client.api import DEFAULT_TIMEOUT, JSON_PATCH, MERGE_PATCH, ApiClient
from lws.client.connection import connect
from lws.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, owner_notice
from lws.planning.leaderworkerset.diagnosis.words import sentences

if TYPE_CHECKING:
    from lws.cli.kubectl.disaggregatedset.commands import DisaggregatedSetCommand

MANAGER: Final = "kubectl-lws"
ATTEMPTS: Final = 5  # of a write whose set changes under it
_DONE: Final = {"pause": "paused", "resume": "resumed", "undo": "rolled back"}


async def run(arguments: Arguments) -> int:
    """Connect and run the command; its exit code.

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
        command = await chosen(client, namespace, arguments, standard_output())
        return await command.run(arguments)
    finally:
        await connection.close()


async def chosen(
    client: ApiClient, namespace: str, arguments: Arguments, terminal: Terminal
) -> Command | DisaggregatedSetCommand:
    """The commands on the kind of set that is meant: a name alone is a LeaderWorkerSet's, else a DisaggregatedSet's."""
    kind, name = arguments.kind, arguments.name
    if not kind and await _exists(client, DISAGGREGATEDSETS, namespace, name):
        kind = LEADERWORKERSET if await _exists(client, LEADERWORKERSETS, namespace, name) else DISAGGREGATEDSET
    if kind == DISAGGREGATEDSET:
        from lws.cli.kubectl.disaggregatedset.commands import DisaggregatedSetCommand

        return DisaggregatedSetCommand(client, namespace, name, terminal)
    return Command(client, namespace, name, terminal)


async def _exists(client: ApiClient, resource: Resource, namespace: str, name: str) -> bool:
    try:
        await client.get(resource, namespace, name)
    except (NotFoundError, ForbiddenError):
        return False
    return True


def _warn(text: str) -> None:
    sys.stderr.write(f"Warning: {text}\n")


class Command:
    """The commands, on one LeaderWorkerSet."""

    def __init__(self, client: ApiClient, namespace: str, name: str, terminal: Terminal) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._terminal = terminal

    async def run(self, arguments: Arguments) -> int:
        """Run the command that the arguments name."""
        match arguments.command.split():
            case ["tree"]:
                return await self.tree()
            case ["explain-stuck"]:
                return await self.explain()
            case ["status"]:
                return await self.status(watch=arguments.watch)
            case ["rollout", "status"]:
                return await self.rollout_status(watch=arguments.watch, timeout=arguments.timeout)
            case ["rollout", "history"]:
                return await self.history()
            case _:
                return await self.steer(arguments.command.split()[-1], arguments.revision)

    async def _observe(self) -> Observation:
        return await observe(self._client, self._namespace, self._name)

    async def tree(self) -> int:
        """Draw the tree."""
        from lws.cli.kubectl import render

        self._terminal.picture(render.tree((await self._observe()).facts))
        return 0

    async def explain(self) -> int:
        """Say what the set waits for; 0 when it waits for nothing."""
        facts = (await self._observe()).facts
        notice, said = owner_notice(facts), sentences(diagnose(facts))
        for sentence in (*said, *([notice] if said and notice else [])):
            self._terminal.line(sentence)
        if not said:
            self._terminal.line(f"{self._name} waits for nothing: every group is ready and up to date.")
        return 1 if said else 0

    async def status(self, *, watch: bool) -> int:
        """Show the numbers once, or follow them until the set waits for nothing."""
        if watch:
            return await follow.status(self._name, self._observe, self._terminal)
        from lws.cli.kubectl import render

        self._terminal.picture(render.status((await self._observe()).facts))
        return 0

    async def rollout_status(self, *, watch: bool = True, timeout: float | None = None) -> int:
        """Follow the rollout to its end, or say once how far it is; 1 if the end does not come in time."""
        return await follow.rollout(
            self._client, self._namespace, self._name, self._terminal, watch=watch, timeout=timeout
        )

    async def history(self) -> int:
        """List the stored revisions."""
        from lws.cli.kubectl import render

        self._terminal.picture(render.history(await self._observe()))
        return 0

    async def steer(self, step: str, revision: int = 0) -> int:
        """Write ``pause``, ``resume`` or ``undo``; warn first if the set's owner will write over it."""
        observation = await self._observe()
        if notice := owner_notice(observation.facts):
            _warn(f"{notice} Its next write may undo this one.")
        await self.write(observation, step, revision)
        self._terminal.line(f"leaderworkerset/{self._name} {_DONE[step]}")
        return 0

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
    if step == "undo":
        return rollout.undo(observation, revision), JSON_PATCH
    return (rollout.pause(observation) if step == "pause" else rollout.resume(observation)), MERGE_PATCH


def _edited(before: Observation, now: Observation) -> bool:
    """Whether the set is another one, or somebody changed its spec or annotations."""
    one, other = before.facts.lws.metadata, now.facts.lws.metadata
    return (one.uid, one.generation, one.annotations) != (other.uid, other.generation, other.annotations)
