"""Exec plugins of kubeconfigs: commands that print a credential (``client.authentication.k8s.io``).

kubernetes-asyncio can run them too, but leaves a hanging plugin behind when its caller is cancelled.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from lws.apimachinery.manifests import JSON

KIND: Final = "ExecCredential"
GRACE: Final = 1.0  # seconds from SIGTERM to SIGKILL


class PluginError(Exception):
    """The plugin gave no credential; the text says why."""


async def run(plugin: Mapping[str, Any], cluster: JSON | None = None) -> JSON:
    """The ``status`` of the credential that the plugin prints.

    A plugin that declares ``provideClusterInfo`` is told of the cluster.

    Without a terminal it has a process group of its own, and when the caller is cancelled that ends as a whole. At a
    terminal it may ask its user, so it stays in the terminal's group.

    Raises:
        PluginError: it cannot be run, failed, or printed something else.
    """
    for member in ("command", "apiVersion"):
        if not plugin.get(member):
            raise PluginError(f"exec: malformed request. missing key '{member}'")
    interactive = sys.stdin is not None and sys.stdin.isatty() and plugin.get("interactiveMode") != "Never"
    version = str(plugin["apiVersion"])
    spec: JSON = {"interactive": interactive}
    if plugin.get("provideClusterInfo") and cluster:
        spec["cluster"] = cluster
    asked = {"apiVersion": version, "kind": KIND, "spec": spec}
    given = {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            str(plugin["command"]),
            *map(str, plugin.get("args") or ()),
            env={**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
            stdin=None if interactive else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=None if interactive else 0,
        )
    )
    try:
        process = await asyncio.shield(starting)  # a start that is cut off would leave behind what it started
        printed, complaint = await process.communicate()
    except OSError as error:
        hint = str(plugin.get("installHint") or "").strip()
        raise PluginError(f"exec: {error}" + (f"; {hint}" if hint else "")) from error
    except asyncio.CancelledError:
        await _end(await starting, group=not interactive)
        raise
    if process.returncode:
        text = complaint.decode(errors="replace").strip()
        raise PluginError(f"exec: process returned {process.returncode}" + (f". {text}" if text else ""))
    return _status(printed, version)


async def _end(process: asyncio.subprocess.Process, *, group: bool) -> None:
    """SIGTERM first; SIGKILL to what is left a moment later."""

    def send(number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number) if group else process.send_signal(number)

    send(signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await process.wait()
    send(signal.SIGKILL)
    await process.wait()


def _status(printed: bytes, version: str) -> JSON:
    try:
        document = json.loads(printed)
    except ValueError as error:
        raise PluginError(f"exec: failed to decode process output: {error}") from error
    for member in ("apiVersion", "kind", "status"):
        if not isinstance(document, dict) or member not in document:
            raise PluginError(f"exec: malformed response. missing key '{member}'")
    if document["apiVersion"] != version:
        raise PluginError(f"exec: plugin api version {document['apiVersion']} does not match {version}")
    status = document["status"]
    if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
        raise PluginError("exec: plugin didn't return a token or cert/key pair")
    if bool(status.get("clientCertificateData")) != bool(status.get("clientKeyData")):
        raise PluginError("exec: plugin returned only certificate or key, not both")
    return status
