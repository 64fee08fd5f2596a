"""Commands of ``kubectl lws`` in this process: a session with any client, and what it printed."""

from __future__ import annotations

import io
from typing import Any

from lws.cli.kubectl.arguments import LEADERWORKERSET, parse
from lws.cli.kubectl.commands import dispatch
from lws.cli.kubectl.session import Session
from lws.cli.kubectl.terminal import Terminal


class Told(list[str]):
    """What was printed on standard error."""


def session(
    client: Any, line: str, terminal: Terminal | None = None, *, kind: str = LEADERWORKERSET, namespace: str = "default"
) -> tuple[Session, Told]:
    """A session for a command line, and where its complaints go."""
    told = Told()
    stream = terminal or Terminal(io.StringIO(), {})
    return Session(client, namespace, parse(line.split()), stream, kind, told.append, told.append), told


class Plugin:
    """``kubectl lws`` against a client.

    Attributes:
        code: exit code of the last command.
        errors: what it complained of.
    """

    def __init__(self, client: Any, *, namespace: str = "default", columns: int | None = None) -> None:
        self._client = client
        self._namespace = namespace
        self._environ = {} if columns is None else {"COLUMNS": str(columns)}
        self.code = 0
        self.errors: list[str] = []

    async def run(self, line: str, *, kind: str = LEADERWORKERSET) -> str:
        """Run a command; what it printed."""
        stream = io.StringIO()
        made, self.errors = session(
            self._client, line, Terminal(stream, self._environ), kind=kind, namespace=self._namespace
        )
        self.code = await dispatch(made)
        return stream.getvalue()
