"""The ``kubectl-lws`` command; ``kubectl lws`` finds it on the PATH."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live

import lws
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.cli.kubectl import explain, render, rollout
from lws.cli.kubectl.picture import JSON, Picture, look
from lws.cli.output import cannot_be_written
from lws.client.api import JSON_PATCH, MERGE_PATCH, ApiClient
from lws.client.connection import connect
from lws.errors import ConflictError, InvalidError, LwsError, NotFoundError

MANAGER = "kubectl-lws"
WATCH_INTERVAL = 1.0  # seconds between two looks
WIDTH = 160  # columns where nothing else is known
NARROWEST = 20
ATTEMPTS = 5  # of a write whose set changes under it


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-n", "--namespace", help="namespace of the set; the context's own if not given")
    common.add_argument("--kubeconfig", help="kubeconfig file; $KUBECONFIG or ~/.kube/config if not given")
    common.add_argument("--context", help="context of the kubeconfig")
    top = argparse.ArgumentParser(prog="kubectl lws", description="Look at LeaderWorkerSets and steer their rollouts.")
    top.add_argument("--version", action="version", version=f"kubectl-lws {lws.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _named(commands.add_parser("tree", parents=[common], help="groups, pods, nodes, revisions, why not ready"))
    _named(commands.add_parser("explain-stuck", parents=[common], help="say in words what a set waits for"))
    status = _named(commands.add_parser("status", parents=[common], help="numbers, conditions, progress"))
    status.add_argument("-w", "--watch", action="store_true", help="follow until every group is ready and updated")
    steps = commands.add_parser("rollout", help="steer a rolling update").add_subparsers(
        dest="step", required=True, metavar="STEP"
    )
    for step, text in (
        ("status", "follow an update to its end; exit 1 if it is not done"),
        ("pause", "stop the update where it stands, by the partition"),
        ("resume", "let the update go on"),
        ("history", "the stored revisions and the groups of each"),
    ):
        _named(steps.add_parser(step, parents=[common], help=text))
    undo = _named(steps.add_parser("undo", parents=[common], help="put an earlier revision's template back"))
    undo.add_argument("--to-revision", type=int, metavar="N", help="the newest earlier one if not given")
    return top


def _named(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
    sub.add_argument("name", help="name of the LeaderWorkerSet")
    return sub


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it succeeded, 1 when it failed or the set is not done."""
    arguments = parser().parse_args(argv)
    try:
        return asyncio.run(_run(arguments, console()))
    except NotFoundError as error:
        print(f"kubectl-lws: {error}; is the name right, and the namespace?", file=sys.stderr)  # noqa: T201
    except ConflictError:
        text = f"{arguments.name} was edited meanwhile; nothing was written, try again"
        print(f"kubectl-lws: {text}", file=sys.stderr)  # noqa: T201
    except LwsError as error:
        print(f"kubectl-lws: {error}", file=sys.stderr)  # noqa: T201
    except OSError as error:
        return cannot_be_written("kubectl-lws", error)
    except KeyboardInterrupt:
        return 130
    return 1


def console(environ: Mapping[str, str] = os.environ) -> Console:
    """Standard output: as wide as the terminal, else as ``COLUMNS`` says; what it cannot encode is a question mark."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if sys.stdout.isatty():
        return Console()
    columns = environ.get("COLUMNS", "")
    given = int(columns) if columns.isascii() and columns.isdigit() else 0
    return Console(width=max(given, NARROWEST) if given else WIDTH)


async def _run(arguments: argparse.Namespace, console: Console) -> int:
    connection = await connect(arguments.kubeconfig, arguments.context)
    try:
        client = connection.client(user_agent=f"kubectl-lws/{lws.__version__}")
        namespace = arguments.namespace or connection.namespace or "default"
        command = Command(client, namespace, arguments.name, console)
        if arguments.command == "rollout":
            return await command.rollout(arguments.step, getattr(arguments, "to_revision", None))
        if arguments.command == "status":
            return await command.status(watch=arguments.watch)
        return await (command.tree() if arguments.command == "tree" else command.explain())
    finally:
        await connection.close()


class Command:
    """The subcommands, on one set."""

    def __init__(self, client: ApiClient, namespace: str, name: str, console: Console) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._console = console

    async def _look(self) -> Picture:
        return await look(self._client, self._namespace, self._name)

    async def tree(self) -> int:
        """Draw the tree."""
        self._console.print(render.tree(await self._look()))
        return 0

    async def explain(self) -> int:
        """Say what the set waits for; 0 when it waits for nothing."""
        findings = explain.explain(await self._look())
        for sentence in findings or (f"{self._name} waits for nothing: every group is ready and up to date.",):
            self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        return 1 if findings else 0

    async def status(self, *, watch: bool) -> int:
        """Show the numbers once, or follow them until the set is done."""
        picture = await self._look()
        if not watch:
            self._console.print(render.progress(picture))
            return 0
        with Live(render.progress(picture), console=self._console, refresh_per_second=4) as live:
            while not render.done(picture):
                await asyncio.sleep(WATCH_INTERVAL)
                picture = await self._look()
                live.update(render.progress(picture))
        return 0

    async def rollout(self, step: str, revision: int | None) -> int:
        """Steer, or look at, the rollout."""
        picture = await self._look()
        if step == "history":
            self._console.print(render.history(picture))
            return 0
        if step == "status":
            self._console.print(render.progress(picture))
            return 0 if render.done(picture) else 1
        await self._write(picture, step, revision)
        self._console.print(f"leaderworkerset/{self._name} {step}{'d' if step.endswith('e') else ' done'}")
        return 0

    async def _write(self, picture: Picture, step: str, revision: int | None) -> None:
        """Write the step; a new look and another try if nothing but the status changed since the look."""
        for last in (False,) * (ATTEMPTS - 1) + (True,):
            patch, kind = self._patch(picture, step, revision)
            try:
                await self._client.patch(
                    LEADERWORKERSETS, self._namespace, self._name, patch, content_type=kind, field_manager=MANAGER
                )
                return
            except (ConflictError, InvalidError) as error:
                if isinstance(error, InvalidError) and not (step == "undo" and "resourceVersion" in str(error)):
                    raise
                now = await self._look()
                if last or _edited(picture, now):
                    raise ConflictError(409, "Conflict", str(error)) from error
                picture = now

    def _patch(self, picture: Picture, step: str, revision: int | None) -> tuple[JSON | list[JSON], str]:
        if step == "undo":
            return rollout.undo(picture, revision), JSON_PATCH
        return (rollout.pause(picture) if step == "pause" else rollout.resume(picture)), MERGE_PATCH


def _edited(before: Picture, now: Picture) -> bool:
    """Whether the set is another one, or somebody changed its spec or annotations."""
    one, other = before.lws.metadata, now.lws.metadata
    same = (one.uid, one.generation, one.annotations) == (other.uid, other.generation, other.annotations)
    return not same


if __name__ == "__main__":
    sys.exit(main())
