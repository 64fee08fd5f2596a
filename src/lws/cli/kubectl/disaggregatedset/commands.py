"""The commands of ``kubectl lws`` on a DisaggregatedSet."""

from __future__ import annotations

import asyncio
from typing import Final

from lws.cli.kubectl.arguments import Arguments
from lws.cli.kubectl.disaggregatedset.explain import explain, summary
from lws.cli.kubectl.disaggregatedset.picture import SetPicture, look
from lws.cli.kubectl.follow import INTERVAL, Watch
from lws.cli.kubectl.terminal import Terminal
from lws.client.api import ApiClient
from lws.errors import ConfigurationError, LwsError

KIND: Final = "disaggregatedset"
_PAST: Final = {"pause": "paused", "resume": "resumed", "undo": "undone"}
_NO_STEP: Final = (
    "a DisaggregatedSet cannot be {step}: its rollout has neither partition nor stored revisions; apply the earlier "
    "manifest to go back, it takes up groups that still run"
)


class DisaggregatedSetCommand:
    """The commands, on one set."""

    def __init__(self, client: ApiClient, namespace: str, name: str, terminal: Terminal) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._terminal = terminal

    async def run(self, arguments: Arguments) -> int:
        """Run the command that the arguments name.

        Raises:
            ConfigurationError: the command is none for such a set.
        """
        match arguments.command.split():
            case ["tree"]:
                return await self.tree()
            case ["explain-stuck"]:
                return await self.explain()
            case ["status"]:
                return await (self.follow() if arguments.watch else self.status())
            case ["rollout", "status"]:
                return await self.follow(watch=arguments.watch, timeout=arguments.timeout)
            case ["rollout", "history"]:
                return await self.history()
            case _:
                raise ConfigurationError(_NO_STEP.format(step=_PAST[arguments.command.split()[-1]]))

    async def _look(self) -> SetPicture:
        return await look(self._client, self._namespace, self._name)

    async def tree(self) -> int:
        """Draw the tree."""
        from lws.cli.kubectl.disaggregatedset import render

        self._terminal.picture(render.tree(await self._look()))
        return 0

    async def explain(self) -> int:
        """Say what the set waits for; 0 when it waits for nothing."""
        said = explain(await self._look())
        for sentence in said or (f"{self._name} waits for nothing: every role is ready and up to date.",):
            self._terminal.line(sentence)
        return 1 if said else 0

    async def status(self) -> int:
        """Show the numbers once."""
        from lws.cli.kubectl.disaggregatedset import render

        self._terminal.picture(render.status(await self._look()))
        return 0

    async def history(self) -> int:
        """List the revisions that have LeaderWorkerSets."""
        from lws.cli.kubectl.disaggregatedset import render

        self._terminal.picture(render.history(await self._look()))
        return 0

    async def follow(self, *, watch: bool = True, timeout: float | None = None) -> int:
        """Print a line whenever something changes, until the set waits for nothing.

        Returns:
            0 when it waits for nothing, or was only looked at.

        Raises:
            LwsError: ``timeout`` seconds were not enough, or the set was deleted.
        """
        watching, told = Watch(self._name, KIND), frozenset[str]()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    picture = await watching.look(self._look, lambda seen: seen.ds.metadata.uid)
                    lines = [watching.trouble] if picture is None else [*summary(picture), *explain(picture)]
                    for line in lines:
                        if line not in told:
                            self._terminal.line(line)
                    told = frozenset(lines)
                    if not watch or (picture is not None and not explain(picture)):
                        return 0
                    await asyncio.sleep(INTERVAL)
        except TimeoutError:
            raise LwsError("timed out waiting for the rollout to finish") from None
