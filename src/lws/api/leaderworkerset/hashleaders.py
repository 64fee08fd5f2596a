"""What admission makes of leaders that are known by a key (next 3.4): key, host name, gate."""

from __future__ import annotations

from typing import Final

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.groupidentity import drawn_key, group_name
from lws.api.leaderworkerset.types import HASH, UNIQUE_PER_REPLICA
from lws.apimachinery.manifests import (
    JSON,
    annotations_of,
    labels_of,
    namespace_of,
    with_annotations,
    with_labels,
    with_spec,
)

DRAWN: Final = 16  # characters of chance in a key


def is_hashed(pod: JSON) -> bool:
    """Whether the pod's group is known by a key."""
    return annotations_of(pod).get(keys.GROUP_IDENTITY) == HASH


def lacks_key(pod: JSON) -> bool:
    """Whether the pod is a leader that is to get a key.

    One that an earlier pass of admission gave it shows in the host name; one that only the template carries does not
    count, for all groups would share it (ND-01).
    """
    found = labels_of(pod)
    if not is_hashed(pod) or found.get(keys.WORKER_INDEX) != keys.LEADER_INDEX or keys.NAME not in found:
        return False
    key = found.get(keys.GROUP_KEY, "")
    return not key or (pod.get("spec") or {}).get("hostname") != group_name(found[keys.NAME], key)


def identified(pod: JSON, drawn: str) -> JSON:
    """A leader with its key, its host name, and the gate that holds it until it may take its place.

    Args:
        pod: the leader, admitted before or not.
        drawn: text of chance for a new key.

    Raises:
        ValueError: a key is to be made of no chance at all.
    """
    if lacks_key(pod):
        if not drawn:
            raise ValueError("a key for a group is to be drawn, and nothing was")
        key = drawn_key(namespace_of(pod), drawn)
        pod = with_labels(pod, {keys.GROUP_KEY: key, keys.GROUP_INDEX: key})
    found = labels_of(pod)
    host = (pod.get("spec") or {}).get("hostname") or group_name(found[keys.NAME], found[keys.GROUP_KEY])
    pod = with_spec(pod, {"hostname": host})
    if annotations_of(pod).get(keys.SUBDOMAIN_POLICY) == UNIQUE_PER_REPLICA:
        pod = with_spec(pod, {"subdomain": host})
    return pod


def gated(pod: JSON) -> JSON:
    """The leader with our gate, which it gets once; with it a deletion cost, unless its author set one."""
    gates = (pod.get("spec") or {}).get("schedulingGates") or []
    if any((gate or {}).get("name") == keys.REPLACEMENT_GATE for gate in gates):
        return pod
    if keys.DELETION_COST not in annotations_of(pod):
        pod = with_annotations(pod, {keys.DELETION_COST: keys.GATED_COST})
    return with_spec(pod, {"schedulingGates": [*gates, {"name": keys.REPLACEMENT_GATE}]})
