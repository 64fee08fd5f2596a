"""What an installation has around it: cert-manager's work is done, and the operand's pods are answered for.

    python -m tests.e2e.surroundings KUBECONFIG NAMESPACE PORT

It prints one line when reviews are answered, and goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from random import Random
from typing import Final

import structlog

from lws.client.connection import connect
from lws.clock import SystemClock
from lws.planning.operand.assets import assets
from tests.acceptance.operand.certmanager import CertManager
from tests.acceptance.operand.ground import Ground
from tests.e2e.sites import LOCAL
from tests.real.operand.answering import Answering

READY: Final = "ready\n"


async def live(kubeconfig: str, namespace: str, port: int) -> None:
    """Do both."""
    connection = await connect(kubeconfig)
    client = connection.client(user_agent="surroundings")
    answering = Answering(client, connection.transport, namespace, LOCAL, port)
    manager = CertManager(Ground(client, SystemClock(), Random(1), namespace, assets()))
    async with asyncio.TaskGroup() as group:
        group.create_task(answering.controller.run())
        group.create_task(answering.run())
        await asyncio.gather(answering.controller.wait_ready(), answering.listening.wait())
        sys.stdout.write(READY)
        sys.stdout.flush()
        await manager.task


if __name__ == "__main__":
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)  # nobody reads what it logs
    structlog.configure(wrapper_class=quiet)
    asyncio.run(live(sys.argv[1], sys.argv[2], int(sys.argv[3])))
