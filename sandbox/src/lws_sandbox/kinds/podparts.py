"""Parts of a pod's spec that change through a subresource of their own: resources, ephemeral containers."""

from __future__ import annotations

from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import resources
from lws_sandbox.status import Causes

RESIZE: Final = "resize"
EPHEMERAL: Final = "ephemeralcontainers"
PARTS: Final = (RESIZE, EPHEMERAL)
_RESIZABLE: Final = ("cpu", "memory")
_MEMBERS: Final = ("containers", "initContainers")
_CONTAINER_PARTS: Final = ("resources", "resizePolicy")


def restrict(new: JSON, old: JSON, part: str) -> None:
    """Put back, in place, all of the spec that the subresource does not change."""
    spec, before = new["spec"], old["spec"]
    if part == EPHEMERAL:
        ephemeral = spec.get("ephemeralContainers")
        new["spec"] = dict(before)
        if ephemeral:
            new["spec"]["ephemeralContainers"] = ephemeral
        return
    resized: JSON = {name: _resized(spec.get(name), before[name]) for name in _MEMBERS if before.get(name)}
    new["spec"] = {**before, **resized}


def _resized(containers: list[JSON] | None, before: list[JSON]) -> list[JSON]:
    by_name: dict[Any, JSON] = {container.get("name"): container for container in containers or ()}
    resized: list[JSON] = []
    for container in before:
        asked = by_name.get(container.get("name"), container)
        kept = {key: value for key, value in container.items() if key not in _CONTAINER_PARTS}
        resized.append(kept | {key: value for key, value in asked.items() if key in _CONTAINER_PARTS})
    return resized


def validate(new: JSON, old: JSON, part: str, causes: Causes) -> None:
    """Check a change through the subresource."""
    if part == EPHEMERAL:
        _ephemeral(new["spec"], old["spec"], causes)
        return
    quality, before = resources.qos_class(new["spec"]), resources.qos_class(old["spec"])
    if quality != before:
        causes.invalid("spec", quality, "Pod QOS Class may not change as a result of resizing")
    for member in _MEMBERS:
        pairs = zip(new["spec"].get(member) or (), old["spec"].get(member) or (), strict=True)
        for index, (container, was) in enumerate(pairs):
            _same_others(container, was, f"spec.{member}[{index}].resources", causes)


def _same_others(container: JSON, was: JSON, path: str, causes: Causes) -> None:
    wanted, had = container.get("resources") or {}, was.get("resources") or {}
    for member in ("limits", "requests"):
        now, then = wanted.get(member) or {}, had.get(member) or {}
        for name in sorted({*now, *then}):
            if name not in _RESIZABLE and now.get(name) != then.get(name):
                causes.forbidden(f"{path}.{member}", "only cpu and memory resources are mutable")
            elif name in then and name not in now:
                causes.forbidden(f"{path}.{member}", f"resource {member} cannot be removed")


def _ephemeral(spec: JSON, before: JSON, causes: Causes) -> None:
    by_name = {each.get("name"): each for each in spec.get("ephemeralContainers") or ()}
    for was in before.get("ephemeralContainers") or ():
        name = was.get("name")
        if name not in by_name:
            causes.forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be removed\n')
        elif by_name[name] != was:
            causes.forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be changed\n')
