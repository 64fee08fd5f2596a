"""Values without what differs from run to run: what a server invents is known by its form."""

from __future__ import annotations

import re
from typing import Any, Final

from lws.apimachinery.manifests import JSON

UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
ADDRESS: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b")
RANDOM: Final = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")  # what the server adds to a generateName
MOMENT: Final = re.compile(r"(?<=\.)[0-9a-f]{14,16}$")
# How a Deployment's template is hashed is nobody's promise; that it shows in names, labels and selectors is.
HASH: Final = re.compile(r"(?<=controller-manager-)[bcdfghjklmnpqrstvwxz2456789]{8,10}\b")
VERSION: Final = re.compile(r'(?<=resourceVersion":")\d+')
PLACE: Final = re.compile(r"(?<= on node )\S+")  # where a pod is, the scheduler decides anew each time
SPAN: Final = re.compile(r"\b\d+(?:\.\d+)?(?:ms|µs|s)\b")
OPAQUE: Final = {
    "resourceVersion": "<version>",
    "node": "<node>",  # of a failure in a status
    "nodeName": "<node>",
    "holderIdentity": "<holder>",
    "caBundle": "<bytes>",
    "ca.crt": "<bytes>",
    "ca.key": "<bytes>",
    "tls.crt": "<bytes>",
    "tls.key": "<bytes>",
    "continue": "<continue>",
    "token": "<token>",
    "pod-template-hash": "<hash>",
    "containerID": "<container>",
    "volumeName": "<volume>",
    "volume.kubernetes.io/selected-node": "<node>",
}


def plain(value: Any, key: str = "") -> Any:
    """The value with every invented part replaced by its form; managed fields in the order of their managers."""
    if isinstance(value, dict):
        if "generateName" in value and RANDOM.fullmatch(str(value.get("name")).removeprefix(value["generateName"])):
            value = {**value, "name": f"{value['generateName']}<random>"}
        return {_masked(name): plain(item, name) for name, item in sorted(value.items()) if not _passing(key, name)}
    if isinstance(value, list):
        found = [plain(item, f"{key}[]") for item in value]
        return sorted(filter(_certain, found), key=_manager) if key == "managedFields" else found
    if isinstance(value, str):
        return OPAQUE[key] if key in OPAQUE and value not in ("", "0") else _masked(value)
    return value


def _masked(text: str) -> str:
    text = TIME.sub(lambda match: "<microtime>" if match[1] else "<time>", UID.sub("<uid>", text))
    text = VERSION.sub("<version>", MOMENT.sub("<moment>", ADDRESS.sub("<address>", text)))
    return PLACE.sub("<node>", SPAN.sub("<span>", HASH.sub("<hash>", text)))


def _passing(parent: str, name: str) -> bool:
    """Members that tell nothing: the times of managed fields."""
    return parent == "managedFields[]" and name == "time"


def _certain(entry: JSON) -> bool:
    """The scheduler writes to a pod only if it could not place it at once, which is a race with what it waits for."""
    return bool(entry.get("manager") != "kube-scheduler")


def _manager(entry: JSON) -> tuple[str, ...]:
    return tuple(str(entry.get(name, "")) for name in ("manager", "operation", "subresource", "apiVersion", "fieldsV1"))


def added(sent: Any, answered: Any, path: str = "") -> JSON:
    """What an answer has that was not sent, by path: what the server set of itself."""
    if isinstance(sent, dict) and isinstance(answered, dict):
        found: JSON = {}
        for name in sorted(answered):
            where = f"{path}.{name}" if path else name
            found |= added(sent[name], answered[name], where) if name in sent else {where: answered[name]}
        return found
    if isinstance(sent, list) and isinstance(answered, list) and len(sent) == len(answered):
        pairs = enumerate(zip(sent, answered, strict=True))
        return {
            key: item for index, (one, other) in pairs for key, item in added(one, other, f"{path}[{index}]").items()
        }
    return {} if sent == answered else {path: answered}


def differences(recorded: Any, actual: Any, path: str = "") -> list[str]:
    """Where two plain values differ, by path."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        found = []
        for name in sorted(recorded.keys() | actual.keys()):
            where = f"{path}.{name}" if path else name
            if name not in actual or name not in recorded:
                found.append(f"{where}: {_short(recorded, name)}, here {_short(actual, name)}")
            else:
                found += differences(recorded[name], actual[name], where)
        return found
    if isinstance(recorded, list) and isinstance(actual, list) and len(recorded) == len(actual):
        pairs = enumerate(zip(recorded, actual, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{path}[{index}]")]
    return [] if recorded == actual else [f"{path}: {str(recorded)[:600]}, here {str(actual)[:600]}"]


def _short(values: JSON, name: str) -> str:
    return str(values[name])[:600] if name in values else "(absent)"
