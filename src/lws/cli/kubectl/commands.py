"""The commands of ``kubectl lws``, by name.

A command's own modules are imported when it runs: most of a short command's time is imports.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from lws import __version__
from lws.cli.kubectl.arguments import DISAGGREGATEDSET, Arguments
from lws.cli.kubectl.session import Session, kind_of
from lws.cli.kubectl.terminal import standard_output
from lws.client.api import DEFAULT_TIMEOUT
from lws.client.connection import connect


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
    from lws.cli.kubectl.leaderworkerset import LeaderWorkerSetCommand

    return LeaderWorkerSetCommand(session).run()
