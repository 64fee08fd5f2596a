"""``lws-operator`` beside running: ``diff``, ``render``, ``gather`` and ``handback`` (operator 5.1).

Exit codes: 0 done, and for ``diff`` nothing differs; 1 ``diff``: something does; 2 it could not be done.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from lws.api.operand import names
from lws.api.operand.crd import LEADERWORKERSETOPERATOR
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.api.schemafaults import faults
from lws.apimachinery.manifests import JSON
from lws.cli.output import cannot_be_written
from lws.client.api import ApiClient
from lws.client.connection import connect
from lws.clock import SystemClock
from lws.errors import ConfigurationError, LwsError
from lws.manager.gather import gather, rendered
from lws.manager.handback import handback
from lws.manager.survey import Survey, client_of, current, survey
from lws.planning.operand import facts_file
from lws.planning.operand.assets import assets
from lws.planning.operand.desired import desired
from lws.planning.operand.facts import Facts
from lws.planning.operand.preview import lines
from lws.reconcilers.operand.observe import Surroundings
from lws.yamltext import YamlError, load

SAME: Final = 0
DIFFERS: Final = 1
FAILED: Final = 2
STANDARD_OUTPUT: Final = "-"
Handler: TypeAlias = Callable[[argparse.Namespace, Surroundings], int]
Surround: TypeAlias = Callable[[argparse.Namespace], Surroundings]


def register(commands: Any, common: Callable[[argparse.ArgumentParser], None], surround: Surround) -> None:
    """Add the commands to the parser.

    Args:
        commands: where they are added.
        common: adds the options by which a cluster is found.
        surround: what the operator would be told with these arguments.
    """
    diff = commands.add_parser("diff", help="what would change; 0 nothing, 1 something, 2 it cannot be told")
    render = commands.add_parser("render", help="print the objects of an installation, without asking a cluster")
    collect = commands.add_parser("gather", help="write what is needed to find a fault, without secrets")
    back = commands.add_parser("handback", help="give the cluster back to the reference operator")
    for command, handler in ((diff, run_diff), (render, run_render), (collect, run_gather), (back, run_handback)):
        common(command)
        command.set_defaults(handler=lambda arguments, handler=handler: _told(handler, arguments, surround(arguments)))
    for command in (diff, render):
        command.add_argument(
            "--cr", default="", metavar="FILE", help="a LeaderWorkerSetOperator instead of the cluster's"
        )
    render.add_argument("--facts", default="", metavar="FILE", help="facts of a cluster, as gather writes them")
    collect.add_argument("directory", metavar="DIR", help="where to write; - for a tar archive on standard output")


def run_diff(arguments: argparse.Namespace, surroundings: Surroundings) -> int:
    """Print what is between the cluster and this release."""

    async def look(client: ApiClient) -> Survey:
        operator = {**await current(client), "spec": _spec(arguments.cr)} if arguments.cr else None
        return await survey(client, surroundings, clock=SystemClock(), operator=operator)

    seen = _with_cluster(arguments, look)
    _print("".join(f"{line}\n" for line in lines(seen.preview)))
    return DIFFERS if seen.preview.entries else SAME


def run_render(arguments: argparse.Namespace, surroundings: Surroundings) -> int:
    """Print every object of an installation."""
    defaults = Facts(
        surroundings.namespace,
        surroundings.namespace,
        "",
        image=surroundings.image,
        version=surroundings.version,
        openshift=surroundings.platform == "openshift",
    )
    facts = defaults
    if arguments.facts:
        try:
            facts = facts_file.from_json(_yaml(arguments.facts), defaults)
        except ValueError as error:
            raise ConfigurationError(f"{arguments.facts}: {error}") from error
    metadata = {"name": names.SINGLETON}
    operator = LeaderWorkerSetOperator.from_json({"metadata": metadata, "spec": _spec(arguments.cr)})
    _print(rendered(each.manifest for each in desired(operator.spec, facts, assets()).objects))
    return SAME


def run_gather(arguments: argparse.Namespace, surroundings: Surroundings) -> int:
    """Write what is needed to find a fault."""

    async def collect(client: ApiClient) -> dict[str, bytes]:
        seen = await survey(client, surroundings, clock=SystemClock())
        return await gather(client, seen, surroundings.namespace)

    files = _with_cluster(arguments, collect)
    if arguments.directory == STANDARD_OUTPUT:
        sys.stdout.buffer.write(archive(files))
        sys.stdout.flush()
        return SAME
    for path, content in files.items():
        target = Path(arguments.directory) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    _print(f"{len(files)} files in {arguments.directory}\n")
    return SAME


def run_handback(arguments: argparse.Namespace, surroundings: Surroundings) -> int:
    """Give the cluster back to the reference operator."""

    async def give(client: ApiClient) -> None:
        clock = SystemClock()
        seen = await survey(client, surroundings, clock=clock)
        await handback(client, seen, surroundings.namespace, clock, lambda line: _print(f"{line}\n"))

    _with_cluster(arguments, give)
    return SAME


def archive(files: dict[str, bytes]) -> bytes:
    """The files as a compressed tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(f"lws/{path}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _told(handler: Handler, arguments: argparse.Namespace, surroundings: Surroundings) -> int:
    try:
        return handler(arguments, surroundings)
    except LwsError as error:
        sys.stderr.write(f"lws-operator: {error}\n")
        return FAILED
    except OSError as error:
        return cannot_be_written("lws-operator", error) and FAILED


def _with_cluster(arguments: argparse.Namespace, act: Callable[[ApiClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        connection = await connect(arguments.kubeconfig or None, arguments.context or None, environ=os.environ)
        try:
            return await act(client_of(connection.transport))
        finally:
            await connection.close()

    return asyncio.run(run())


def _spec(path: str) -> JSON:
    """The spec of a LeaderWorkerSetOperator in a file; an empty one without a file.

    Raises:
        ConfigurationError: it cannot be read, is something else, or has what an API server would refuse or drop.
    """
    if not path:
        return {}
    content = _yaml(path)
    if not isinstance(content, dict) or content.get("kind") != names.KIND:
        raise ConfigurationError(f"{path}: it is no {names.KIND}")
    given = content.get("spec") or {}
    (version,) = LEADERWORKERSETOPERATOR.manifest()["spec"]["versions"]
    if wrong := sorted(faults(version["schema"]["openAPIV3Schema"]["properties"]["spec"], given, "spec")):
        raise ConfigurationError(f"{path}: {'; '.join(wrong)}")
    return dict(given)


def _yaml(path: str) -> Any:
    try:
        return load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except YamlError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
