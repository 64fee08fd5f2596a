"""Clients that ask admission all the time: dry runs of a set's creation, over connections that they keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from lws.client.transport import Request, Transport
from lws.errors import TransportError
from tests.node.machine import Machine
from tests.node.world import leaderworkerset

PATH: Final = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/default/leaderworkersets"
BODY: Final = json.dumps(leaderworkerset("asked-only")).encode()
PAUSE: Final = 0.1  # seconds between two questions of a client: what kubectl and a pipeline ask at most
CLIENTS: Final = 3


@dataclass
class Answers:
    """What was answered so far.

    Attributes:
        good: how often a set was admitted.
        bad: every other answer.
    """

    good: int = 0
    bad: list[str] = field(default_factory=list)


@asynccontextmanager
async def asking(node: Machine) -> AsyncIterator[Answers]:
    """Three clients ask until the context is left; each has one request on its way at a time."""
    answers = Answers()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        clients = []
        for number in range(CLIENTS):
            transport = node.plane.transport(f"client-{number}")
            stack.push_async_callback(transport.close)
            clients.append(group.create_task(_ask(transport, answers)))
        try:
            yield answers
        finally:
            for each in clients:
                each.cancel()


async def _ask(transport: Transport, answers: Answers) -> None:
    request = Request("POST", PATH, (("dryRun", "All"),), {"content-type": "application/json"}, body=BODY, timeout=30.0)
    while True:
        try:
            answer = await transport.send(request)
        except TransportError as error:
            answers.bad.append(str(error))
        else:
            if answer.status == 201:
                answers.good += 1
            else:
                answers.bad.append(answer.body.decode(errors="replace"))
        await asyncio.sleep(PAUSE)
