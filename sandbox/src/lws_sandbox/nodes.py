"""The shape of a sandbox's nodes: how many, where, with what; from presets or from a small YAML file.

A file has this form; everything but ``nodes`` may be left out::

    nodes:
      - count: 4                       # default 1
        name: gpu-{i}                  # {i} counts from 0 within the entry
        labels: {topology.kubernetes.io/zone: "zone-{i%2}", example.com/rack: "rack-{i//2}"}
        capacity: {cpu: 96, memory: 1Ti, nvidia.com/gpu: 8}
        taints: [{key: nvidia.com/gpu, effect: NoSchedule}]
    delays: {start: 0.5, init: 0.5, ready: 1, stop: 0.5, jitter: 0.2}
    heartbeat: 10                      # seconds between renewals of a node's lease; 0: none
    events: true                       # record events of scheduler, kubelets and controllers
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError
from lws.errors import ConfigurationError
from lws.yamltext import load
from lws_sandbox.controllers.kubelet.runtime import Delays

ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
RACK: Final = "example.com/rack"
HOSTNAME: Final = "kubernetes.io/hostname"
_PLACEHOLDER: Final = re.compile(r"\{i(?:(//|%)(\d+))?\}")
_BASE_CAPACITY: Final[Mapping[str, str]] = {"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "1Ti"}
_ENTRY_FIELDS: Final = frozenset({"count", "name", "labels", "capacity", "taints"})
_FILE_FIELDS: Final = frozenset({"nodes", "delays", "heartbeat", "events"})


@dataclass(frozen=True, slots=True)
class NodeShape:
    """One node: its name, labels, what it has, and its taints."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[JSON] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A whole cluster.

    Attributes:
        nodes: in the order in which they are made.
        delays: how long things take on them.
        heartbeat: seconds between renewals of a node's lease; 0 for none.
        events: whether the control loops record events.
    """

    nodes: tuple[NodeShape, ...]
    delays: Delays = Delays()  # noqa: RUF009 -- frozen
    heartbeat: float = 10.0
    events: bool = True


def preset(name: str) -> Shape:
    """A shape by its name: ``small``, ``gpu-rack``, ``1000-nodes``.

    Raises:
        ConfigurationError: there is no such preset.
    """
    makers = {"small": _small, "gpu-rack": _gpu_rack, "1000-nodes": _thousand}
    if name not in makers:
        raise ConfigurationError(f"there is no preset {name!r}: choose one of {', '.join(makers)}")
    return makers[name]()


def read_shape(path: Path) -> Shape:
    """Read a shape from a YAML file.

    Raises:
        ConfigurationError: the file cannot be read, or breaks the form; the message names the field.
    """
    try:
        document = load(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        return parse_shape(document)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse_shape(document: Any) -> Shape:
    """A shape from what a file holds.

    Raises:
        ConfigurationError: it breaks the form.
    """
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
        raise ConfigurationError("a cluster's shape needs a list 'nodes'")
    _refuse_unknown(document, _FILE_FIELDS, "")
    nodes = tuple(node for number, entry in enumerate(document["nodes"]) for node in _entry(entry, f"nodes[{number}]"))
    names = [node.name for node in nodes]
    double = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if double is not None:
        raise ConfigurationError(f"two nodes are named {double!r}: put {{i}} into 'name'")
    given = document.get("delays") or {}
    _refuse_unknown(given, frozenset(Delays.__slots__), "delays.")
    try:
        delays = replace(Delays(), **{key: float(value) for key, value in given.items()})
        heartbeat = float(document.get("heartbeat", 10.0))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"delays and heartbeat are numbers of seconds: {error}") from error
    return Shape(nodes, delays, heartbeat, bool(document.get("events", True)))


def uniform(
    count: int,
    *,
    prefix: str = "node",
    labels: Mapping[str, str] | None = None,
    capacity: Mapping[str, str] | None = None,
) -> tuple[NodeShape, ...]:
    """Equal nodes ``<prefix>-0`` and so on; ``{i}``, ``{i%n}`` and ``{i//n}`` in label values are filled in."""
    return _entry(
        {"count": count, "name": f"{prefix}-{{i}}", "labels": labels or {}, "capacity": capacity or {}}, "nodes"
    )


def _entry(entry: Any, where: str) -> tuple[NodeShape, ...]:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where} must be a mapping")
    _refuse_unknown(entry, _ENTRY_FIELDS, f"{where}.")
    count = entry.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ConfigurationError(f"{where}.count must be a number of nodes, not {count!r}")
    capacity = {**_BASE_CAPACITY, **{str(key): str(value) for key, value in (entry.get("capacity") or {}).items()}}
    for resource, value in capacity.items():
        try:
            Quantity.parse(value)
        except QuantityError as error:
            raise ConfigurationError(f"{where}.capacity.{resource}: {value!r} is not a quantity: {error}") from error
    name, labels = str(entry.get("name", "node-{i}")), entry.get("labels") or {}
    return tuple(
        NodeShape(
            _fill(name, i),
            {str(key): _fill(str(value), i) for key, value in labels.items()},
            capacity,
            tuple(entry.get("taints") or ()),
        )
        for i in range(count)
    )


def _fill(text: str, i: int) -> str:
    def number(match: re.Match[str]) -> str:
        operator, operand = match[1], int(match[2] or 1)
        return str(i // operand if operator == "//" else i % operand if operator == "%" else i)

    return _PLACEHOLDER.sub(number, text)


def _refuse_unknown(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise ConfigurationError(f"unknown field {where}{unknown[0]}: known are {', '.join(sorted(known))}")


def _small() -> Shape:
    """Three nodes with GPUs, and two with TPUs, over two zones: enough for every example."""
    gpus = {"nvidia.com/gpu": "8"}
    tpus = {"google.com/tpu": "8"}
    zones = {REGION: "region-0", ZONE: "zone-{i%2}", RACK: "rack-{i}"}
    tpu_labels = {
        **zones,
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "2x4",
    }
    return Shape(
        (
            *_entry({"count": 4, "name": "node-{i}", "labels": zones, "capacity": gpus}, "small"),
            *_entry({"count": 4, "name": "tpu-{i}", "labels": tpu_labels, "capacity": tpus}, "small"),
        )
    )


def _gpu_rack() -> Shape:
    """Eight racks of four machines with eight GPUs each, in two zones, of which only GPU pods are welcome."""
    entry = {
        "count": 32,
        "name": "gpu-{i}",
        "labels": {REGION: "region-0", ZONE: "zone-{i//16}", RACK: "rack-{i//4}"},
        "capacity": {"cpu": "96", "memory": "1Ti", "nvidia.com/gpu": "8"},
    }
    return Shape(_entry(entry, "gpu-rack"), Delays(start=1.0, init=1.0, ready=1.0, stop=0.5, jitter=0.5))


def _thousand() -> Shape:
    """A thousand nodes in a hundred racks and four zones; rare heartbeats, no events."""
    entry = {
        "count": 1000,
        "name": "node-{i}",
        "labels": {REGION: "region-0", ZONE: "zone-{i//250}", RACK: "rack-{i//10}"},
        "capacity": {"nvidia.com/gpu": "8"},
    }
    return Shape(_entry(entry, "1000-nodes"), Delays(jitter=0.5), heartbeat=60.0, events=False)
