"""A pod that arrives on its node: what the kubelet reads of its spec before anything runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet.runtime import Container, Delays, PodRun, Role
from lws_sandbox.controllers.objects import name_of, namespace_of, uid_of

_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_SLEEP: Final = re.compile(r"(?:^|[;&|\s])sleep\s+(\d+(?:\.\d+)?)")


def begin(pod: JSON, delays: Delays, now: datetime) -> PodRun:
    """A pod that has just arrived on its node."""
    spec = pod["spec"]
    inits = [
        _container(item, Role.SIDECAR if item.get("restartPolicy") == "Always" else Role.INIT)
        for item in spec.get("initContainers") or ()
    ]
    mains = [_container(item, Role.MAIN) for item in spec["containers"]]
    return PodRun(
        pod=f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})",
        arrived=now,
        delays=delays,
        restart_policy=spec.get("restartPolicy") or "Always",
        containers=(*inits, *mains),
        sync_at=now,
    )


def _container(spec: JSON, role: Role) -> Container:
    probes: Sequence[JSON] = [spec[name] for name in _PROBES if spec.get(name)]
    delays = (spec.get("startupProbe") or {}, spec.get("readinessProbe") or {})
    return Container(
        spec["name"],
        role,
        image=spec.get("image") or "",
        probe_delay=float(sum(int(probe.get("initialDelaySeconds") or 0) for probe in delays)),
        probe_period=min((float(probe.get("periodSeconds") or 10) for probe in probes), default=None),
        pre_stop=pre_stop_seconds(spec),
    )


def pre_stop_seconds(container: JSON) -> float:
    """Seconds that the preStop hook takes: nothing runs here, so only a hook that sleeps takes any."""
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    if hook.get("sleep"):
        return float(hook["sleep"].get("seconds") or 0)
    command = " ".join(str(word) for word in (hook.get("exec") or {}).get("command") or ())
    return sum(float(seconds) for seconds in _SLEEP.findall(command))
