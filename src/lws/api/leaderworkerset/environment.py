"""Environment variables of containers, and the three that every container of a group gets (spec 4.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lws.api.leaderworkerset import labels as keys
from lws.apimachinery.manifests import JSON, annotations_of, labels_of, name_of, namespace_of, with_spec
from lws.errors import AdmissionError

CONTAINER_LISTS = ("containers", "initContainers")


def variable(variable_name: str, value: str) -> JSON:
    """One entry of ``env``; an empty value is left out, as the API's own encoding does."""
    return {"name": variable_name, "value": value} if value else {"name": variable_name}


def value_of(container: JSON, variable_name: str) -> str | None:
    """The literal value of a container's first variable of that name; None when it has none.

    A variable that takes its value from elsewhere reads as the empty string.
    """
    for entry in container.get("env") or []:
        if entry.get("name") == variable_name:
            return entry.get("value") or ""
    return None


def with_containers(pod: JSON, change: Callable[[str, int, JSON], JSON]) -> JSON:
    """A pod whose containers and init containers went through ``change(list name, index, container)``."""
    spec = pod.get("spec") or {}
    changed = {
        member: [change(member, index, container) for index, container in enumerate(spec[member])]
        for member in CONTAINER_LISTS
        if spec.get(member)
    }
    return with_spec(pod, changed) if changed else pod


def with_group_variables(pod: JSON) -> JSON:
    """A pod in which every container and init container knows its group.

    The three variables come first, replacing any of the same names; of further duplicates the first survives
    (spec 4.7).

    Raises:
        AdmissionError: a label or annotation that the values come from is missing.
    """
    variables = _group_variables(pod)
    return with_containers(
        pod, lambda _, __, container: {**container, "env": _first_of_each([*variables, *(container.get("env") or [])])}
    )


def _group_variables(pod: JSON) -> list[JSON]:
    set_name = _required(pod, labels_of(pod), keys.NAME, "name label")
    group_index = _required(pod, labels_of(pod), keys.GROUP_INDEX, "group index label")
    size = _required(pod, annotations_of(pod), keys.SIZE, "size annotation")
    worker_index = _required(pod, labels_of(pod), keys.WORKER_INDEX, "worker index label")
    spec = pod.get("spec") or {}
    leads = worker_index == keys.LEADER_INDEX
    host = (spec.get("hostname") if leads else "") or f"{set_name}-{group_index}"
    noted = "" if leads else annotations_of(pod).get(keys.LEADER_ADDRESS)  # by the controller (next 3.6, ND-16)
    return [
        variable(keys.ENV_LEADER_ADDRESS, noted or f"{host}.{spec.get('subdomain') or ''}.{namespace_of(pod)}"),
        variable(keys.ENV_GROUP_SIZE, size),
        variable(keys.ENV_WORKER_INDEX, worker_index),
    ]


def _required(pod: JSON, found: dict[str, str], key: str, what: str) -> str:
    if key not in found:
        # An object without a namespace is named by its name alone.
        place = f"{namespace_of(pod)}/{name_of(pod)}" if namespace_of(pod) else name_of(pod)
        raise AdmissionError(f"Failure constructing environment variables, no {what} found for pod {place}")
    return found[key]


def _first_of_each(entries: Iterable[JSON]) -> list[JSON]:
    kept: dict[str, JSON] = {}
    for entry in entries:
        kept.setdefault(entry.get("name") or "", entry)
    return list(kept.values())
