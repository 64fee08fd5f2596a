"""The commands of ``kubectl lws`` on a DisaggregatedSet."""

from __future__ import annotations

import asyncio
from typing import Final

from lws.cli.kubectl.disaggregatedset import export, render
from lws.cli.kubectl.disaggregatedset.explain import explain, summary
from lws.cli.kubectl.disaggregatedset.picture import SetPicture, look
from lws.cli.kubectl.follow import INTERVAL, Watch, report
from lws.cli.kubectl.progress import Progress
from lws.cli.kubectl.session import Session
from lws.errors import ConfigurationError, LwsError

KIND: Final = "disaggregatedset"
_PAST: Final = {"pause": "paused", "resume": "resumed", "undo": "undone"}
_NO_STEP: Final = (
    "a DisaggregatedSet cannot be {step}: its rollout has neither partition nor stored revisions; apply the earlier "
    "manifest to go back, it takes up groups that still run"
)


class DisaggregatedSetCommand:
    """The commands, on one set."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def run(self) -> int:
        """Run the command that the arguments name.

        Raises:
            ConfigurationError: the command is none for such a set.
        """
        asked = self._session.arguments
        match asked.command.split():
            case ["tree"]:
                return await self.tree()
            case ["explain-stuck"]:
                return await self.explain()
            case ["status"]:
                return await (self.follow() if asked.watch else self.status())
            case ["rollout", "status"]:
                return await self.follow(watch=asked.watch, timeout=asked.timeout)
            case ["rollout", "history"]:
                return await self.history()
            case words:
                raise ConfigurationError(_NO_STEP.format(step=_PAST[words[-1]]))

    async def _look(self) -> SetPicture:
        session = self._session
        return await look(session.client, session.namespace, session.name)

    async def tree(self) -> int:
        """Draw the tree."""
        seen = await self._look()
        self._session.show(lambda: export.tree(seen), lambda: render.tree(seen), export.child_names(seen))
        return 0

    async def explain(self) -> int:
        """Say what the set waits for; 0 when it waits for nothing."""
        seen = await self._look()
        said = list(explain(seen))
        nothing = f"{self._session.name} waits for nothing: every role is ready and up to date."
        names = [f"leaderworkerset.leaderworkerset.x-k8s.io/{name}" for name in seen.unready]
        self._session.show(lambda: export.explanation(seen), lambda: said or [nothing], names)
        return 1 if said else 0

    async def status(self) -> int:
        """Show the numbers once."""
        seen = await self._look()
        self._session.show(lambda: export.status(seen), lambda: render.status(seen), [self._session.full_name])
        return 0

    async def history(self) -> int:
        """List the revisions that have LeaderWorkerSets."""
        seen = await self._look()
        self._session.show(lambda: export.history(seen), lambda: render.history(seen), export.child_names(seen))
        return 0

    async def follow(self, *, watch: bool = True, timeout: float | None = None) -> int:
        """Print a line whenever something changes, until the set waits for nothing.

        Returns:
            0 when it waits for nothing, or was only looked at.

        Raises:
            LwsError: ``timeout`` seconds were not enough, or the set was deleted.
        """
        watching, told = Watch(self._session.name, KIND), frozenset[str]()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    picture = await watching.look(self._look, lambda seen: seen.ds.metadata.uid)
                    lines = [watching.trouble] if picture is None else [*summary(picture), *explain(picture)]
                    done = picture is not None and not explain(picture)
                    self._tell(lines, told, done=done)
                    told = frozenset(lines)
                    if not watch or done:
                        return 0
                    await asyncio.sleep(INTERVAL)
        except TimeoutError:
            raise LwsError("timed out waiting for the rollout to finish") from None

    def _tell(self, lines: list[str], told: frozenset[str], *, done: bool) -> None:
        """Print what is new: the new lines, or one document of all."""
        if self._session.text:
            for line in lines:
                if line not in told:
                    self._session.terminal.line(line)
        elif frozenset(lines) != told:
            report(self._session, Progress("; ".join(lines), complete=done))
