"""The commands with which people go on after ``make run``: each works in a new shell, in any folder."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from lws.apimachinery.manifests import JSON


def hints(url: str, kubeconfig: Path, documents: Sequence[JSON], node: str, page: str) -> list[str]:
    """Lines to print: where a page and the cluster are, two lines that set a shell up, commands that fit the manifests.

    Args:
        url: of the API server.
        kubeconfig: by which it is reached.
        documents: the manifests that were applied; the first LeaderWorkerSet is played with.
        node: the name of some node.
        page: the address of the page, with its token.
    """
    where = shlex.quote(str(kubeconfig.resolve()))
    scripts = shlex.quote(str(Path(sys.prefix, "bin")))
    lines = [
        f"The cluster is at {url}. Go on in another terminal:",
        f"  export KUBECONFIG={where}",
        f'  export PATH={scripts}:"$PATH"',
        "  kubectl get lws,sts,pods -o wide",
    ]
    first = next((one for one in documents if one["kind"] == "LeaderWorkerSet"), None)
    if first is not None:
        lines += _about(first, node)
    if shutil.which("kubectl") is None:
        lines.append("(kubectl is not installed here: these lines need it.)")
    return [*lines, f"Look at it in a browser: {page}", "Ctrl-C ends it."]


def _about(manifest: JSON, node: str) -> list[str]:
    name, spec = manifest["metadata"]["name"], manifest.get("spec") or {}
    namespace = manifest["metadata"].get("namespace") or "default"
    where = "" if namespace == "default" else f" -n {namespace}"
    size = (spec.get("leaderWorkerTemplate") or {}).get("size") or 1
    member = f"{name}-0-1" if size > 1 else f"{name}-0"
    more = (1 if spec.get("replicas") is None else spec["replicas"]) + 1
    return [
        f"  kubectl lws tree {name}{where}",
        f"  kubectl scale lws {name} --replicas={more}{where}",
        f"  lws-sandbox pod crash {member}{where}",
        f"  kubectl lws explain-stuck {name}{where}",
        f"  kubectl describe lws {name}{where}",
        f"  lws-sandbox node drain {node}",
    ]
