"""Finding the API server: ``--kubeconfig``, else ``$KUBECONFIG``, else in-cluster, else ``~/.kube/config``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lws.client.api import DEFAULT_TIMEOUT, ApiClient, Observer
from lws.client.credentials import Credentials, Identity, StaticCredentials, Tls
from lws.client.http import HttpTransport
from lws.client.incluster import (
    DIRECTORY,
    ServiceAccountCredentials,
    check_mount,
    in_cluster_namespace,
    in_cluster_server,
)
from lws.client.kubeconfig import Kubeconfig, KubeconfigCredentials, choose, flags_alone, read_kubeconfig
from lws.client.limiter import TokenBucket
from lws.client.overrides import Overrides
from lws.client.proxies import proxy_from_environment
from lws.client.transport import Transport
from lws.clock import Clock, SystemClock
from lws.errors import ConfigurationError

__all__ = [
    "Connection",
    "Credentials",
    "HttpTransport",
    "Identity",
    "StaticCredentials",
    "Tls",
    "connect",
]


@dataclass(frozen=True, slots=True)
class Connection:
    """A way to one API server; nothing is connected before the first request.

    Attributes:
        transport: carries requests; close it at the end.
        server: base URL.
        namespace: the default namespace that the configuration names; empty if none.
        source: a description of where the configuration came from.
    """

    transport: HttpTransport
    server: str
    namespace: str
    source: str

    @property
    def host(self) -> str:
        """Host and port of the server, as metrics call it."""
        return urlsplit(self.server).netloc

    def client(
        self,
        *,
        user_agent: str,
        field_manager: str | None = None,
        qps: float = 500.0,
        burst: int = 500,
        observer: Observer | None = None,
        warn: Callable[[str], None] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> ApiClient:
        """A client with its own rate limit; a ``qps`` of 0 or less is none."""
        limiter = TokenBucket(qps, burst) if qps > 0 else None
        return ApiClient(
            self.transport,
            user_agent=user_agent,
            field_manager=field_manager,
            host=self.host,
            limiter=limiter,
            observer=observer,
            warn=warn,
            timeout=timeout,
        )

    def separate_transport(self) -> Transport:
        """Another transport to the server, with the same credentials, that shares no connection with any other."""
        return self.transport.separate()

    async def close(self) -> None:
        """Close every connection of ``transport``. Idempotent."""
        await self.transport.close()


async def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    service_account: Path = DIRECTORY,
    overrides: Overrides | None = None,
) -> Connection:
    """Find the API server and the credentials for it (operations 1).

    Args:
        kubeconfig: value of ``--kubeconfig``.
        context: value of ``--context``; only a kubeconfig has contexts.
        environ: the environment; the process's own by default.
        clock: tells when an exec plugin's credential runs out.
        service_account: where a pod's token and CA are mounted.
        overrides: what the command line puts over the kubeconfig.

    Raises:
        ConfigurationError: there is none, or it is wrong; one sentence with the remedy.
    """
    environ = os.environ if environ is None else environ
    clock = clock or SystemClock()
    overrides = overrides or Overrides()
    server = in_cluster_server(environ)
    if server is not None and not kubeconfig and not environ.get("KUBECONFIG") and not context:
        return _in_cluster(server, service_account, environ)
    config = find_kubeconfig(kubeconfig, environ, overrides)
    choice = choose(config, context, overrides)
    credentials = KubeconfigCredentials(choice, clock)
    await credentials.load()
    await _check_tls(credentials, choice.user.file)
    proxy = choice.proxy or proxy_from_environment(choice.server, environ)
    transport = HttpTransport(choice.server, credentials, proxy=proxy)
    source = f"context {choice.context.name!r} of {config.name}"
    return Connection(transport, choice.server, choice.namespace, source)


def find_kubeconfig(
    kubeconfig: str | None = None, environ: Mapping[str, str] = os.environ, overrides: Overrides | None = None
) -> Kubeconfig:
    """The kubeconfig that is meant: the flag, which may list files as ``$KUBECONFIG`` does, else that, else the home's.

    Raises:
        ConfigurationError: there is none, or it is wrong.
    """
    if kubeconfig:
        alone = os.path.exists(os.path.expanduser(kubeconfig))
        return read_kubeconfig([kubeconfig] if alone else kubeconfig.split(os.pathsep), all_must_exist=True)
    if environ.get("KUBECONFIG"):
        return read_kubeconfig(environ["KUBECONFIG"].split(os.pathsep), all_must_exist=False)
    # A user that OpenShift assigns has no home, which is no fault; `Path.home` would make it one.
    home = Path(environ.get("HOME") or os.path.expanduser("~")) / ".kube" / "config"
    if home.exists():
        return read_kubeconfig([str(home)], all_must_exist=True)
    if overrides is not None and overrides.server:
        return flags_alone()
    raise ConfigurationError(
        f"no cluster is configured: $KUBECONFIG is not set, this is no pod, and {home} does not exist; "
        "give --kubeconfig FILE"
    )


def _in_cluster(server: str, directory: Path, environ: Mapping[str, str]) -> Connection:
    check_mount(directory)
    transport = HttpTransport(
        server, ServiceAccountCredentials(directory), proxy=proxy_from_environment(server, environ)
    )
    return Connection(transport, server, in_cluster_namespace(directory), "the service account of this pod")


async def _check_tls(credentials: KubeconfigCredentials, file: str) -> None:
    try:
        (await credentials.identity()).tls.context()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates of kubeconfig {file} cannot be used: {error.strerror or error}; correct the file"
        ) from error
