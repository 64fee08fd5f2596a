"""``kubectl lws logs``: the logs of a group's pods, each line with where it comes from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.members import container_names, default_container, pods_of
from lws.cli.kubectl.session import Session
from lws.client.api import query_of
from lws.client.transport import Request
from lws.errors import ApiError, ConfigurationError, TransportError

MOST_FOLLOWED: Final = 100  # logs at once: each is a connection
LONGEST: Final = 1 << 20  # bytes of a line that are kept together
_COLOURS: Final = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


@dataclass(frozen=True, slots=True)
class Source:
    """One log."""

    pod: str
    container: str

    @property
    def prefix(self) -> str:
        """What its lines begin with."""
        return f"[{self.pod}/{self.container}]"


async def run(session: Session) -> int:
    """Print the logs one after the other, or follow all of them at once; 1 if one of them cannot be read."""
    sources = [Source(name, one) for pod in await pods_of(session) for name, one in _chosen(session, pod)]
    if not sources:
        raise ConfigurationError(f"no pod has a container {session.arguments.container}")
    if session.arguments.output == "name":
        for name in dict.fromkeys(source.pod for source in sources):
            session.terminal.line(f"pod/{name}")
        return 0
    if not session.arguments.watch:
        return max([await _print(session, source, number) for number, source in enumerate(sources)])
    if len(sources) > MOST_FOLLOWED:
        raise ConfigurationError(f"{len(sources)} logs are too many to follow (at most {MOST_FOLLOWED}): name a group")
    return max(await asyncio.gather(*(_print(session, source, number) for number, source in enumerate(sources))))


def _chosen(session: Session, pod: JSON) -> list[tuple[str, str]]:
    name, wanted = str(pod["metadata"]["name"]), session.arguments.container
    if session.arguments.all_containers:
        names = container_names(pod)
    elif wanted:
        names = [wanted] if wanted in container_names(pod) else []
    else:
        names = [default_container(pod)]
    return [(name, container) for container in names]


async def _print(session: Session, source: Source, number: int) -> int:
    try:
        async for line in _lines(session, source):
            _say(session, source, number, line)
    except (ApiError, TransportError) as error:
        session.tell(f"{source.pod}: {error}")
        return 1
    return 0


def _say(session: Session, source: Source, number: int, line: str) -> None:
    if session.arguments.output in ("json", "yaml"):
        from lws.cli.kubectl.documents import LogLine

        session.show(lambda: LogLine(pod=source.pod, container=source.container, line=line), list, stream=True)
        return
    prefix = source.prefix
    if session.terminal.coloured:
        prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{prefix}\x1b[0m"
    session.terminal.line(f"{prefix} {line}")


async def _lines(session: Session, source: Source) -> AsyncIterator[str]:
    """The lines of a log; one that does not end is cut where it grows too long."""
    asked = session.arguments
    query = query_of(
        container=source.container,
        follow=asked.watch or None,
        previous=asked.previous or None,
        tailLines=asked.tail,
        sinceSeconds=None if asked.since is None else max(1, round(asked.since)),
    )
    path = PODS.path(session.namespace, source.pod, "log")
    left = b""
    async with session.client.stream(Request("GET", path, query, {"accept": "*/*"})) as stream:
        async for chunk in stream.chunks():
            *whole, left = (left + chunk).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")
            if len(left) > LONGEST:
                yield left.decode(errors="replace")
                left = b""
    if left:
        yield left.decode(errors="replace")
