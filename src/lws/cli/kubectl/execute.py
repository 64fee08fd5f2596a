"""``kubectl lws exec``: finds the member's pod and leaves the rest to ``kubectl exec``, which knows terminals."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator

from lws.cli.kubectl.arguments import Arguments
from lws.cli.kubectl.members import pods_of, worker_index
from lws.cli.kubectl.session import Session
from lws.client.overrides import Overrides
from lws.errors import ConfigurationError

Replace = Callable[[str, list[str]], object]


async def run(session: Session, replace: Replace = os.execv) -> int:
    """Become ``kubectl exec`` in the pod of that index; its exit code is then the command's.

    Args:
        session: the command.
        replace: replaces the process; called with a path and arguments.

    Raises:
        ConfigurationError: there is no such member, or no kubectl.
    """
    await session.one_set()
    asked = session.arguments
    found = [pod for pod in await pods_of(session) if worker_index(pod) == asked.worker]
    if not found:
        which = f"worker {asked.worker}" if asked.worker else "leader"
        raise ConfigurationError(f"group {asked.group} of {session.name} has no {which} now")
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ConfigurationError("kubectl is not on the PATH, and exec needs it")
    line = ["kubectl", *command(asked, session.namespace, str(found[0]["metadata"]["name"]))]
    sys.stdout.flush()
    replace(kubectl, line)
    return 0


def command(asked: Arguments, namespace: str, pod: str) -> list[str]:
    """The arguments of kubectl: the same cluster and identity, the pod, and the command."""
    words = [*_global_flags(asked.overrides), "-n", namespace, "exec", pod]
    words += ["-c", asked.container] if asked.container else []
    words += ["-i"] if asked.stdin else []
    words += ["-t"] if asked.tty else []
    return [*words, "--", *asked.words]


def _global_flags(given: Overrides) -> Iterator[str]:
    plain = {
        "kubeconfig": given.kubeconfig,
        "context": given.context,
        "cluster": given.cluster,
        "user": given.user,
        "server": given.server,
        "token": given.token,
        "certificate-authority": given.certificate_authority,
        "client-certificate": given.client_certificate,
        "client-key": given.client_key,
        "tls-server-name": given.tls_server_name,
        "as": given.impersonate,
        "as-uid": given.impersonate_uid,
    }
    yield from (f"--{name}={value}" for name, value in plain.items() if value)
    yield from (f"--as-group={group}" for group in given.impersonate_groups)
    yield from (f"--as-user-extra={key}={value}" for key, values in given.impersonate_extra.items() for value in values)
    if given.insecure_skip_tls_verify is not None:
        yield f"--insecure-skip-tls-verify={str(given.insecure_skip_tls_verify).lower()}"
    if given.request_timeout:
        yield f"--request-timeout={given.request_timeout:g}s"
