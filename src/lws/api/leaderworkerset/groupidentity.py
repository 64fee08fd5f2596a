"""Groups that are known by a key and not by an index: admission's rules, and the names that follow (next 3.2, 3.4).

Such a set has no ordinals. Its leaders come from a Deployment; each one's key is drawn at admission, and what bears the
name of a group bears ``<set>-<first digits of the key>``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from lws.api.leaderworkerset import types
from lws.api.leaderworkerset.namelengths import LONGEST_STATEFULSET_NAME
from lws.api.rules import integer, member
from lws.apimachinery.gotext import encoded
from lws.apimachinery.manifests import JSON

KEY_DIGITS: Final = 8  # of the key, in names
LONGEST_LABEL: Final = 63
LONGEST_ALONE: Final = LONGEST_LABEL - KEY_DIGITS - 1  # the name of a set whose groups are leaders alone
LONGEST_WITH_WORKERS: Final = LONGEST_STATEFULSET_NAME - KEY_DIGITS - 1


def drawn_key(namespace: str, drawn: str) -> str:
    """The key of a new group: lower-case hex SHA-1 of ``<namespace>/<drawn>``, 40 digits (next 3.4)."""
    return hashlib.sha1(f"{namespace}/{drawn}".encode(), usedforsecurity=False).hexdigest()


def group_name(set_name: str, key: str) -> str:
    """The name of a group: host name of its leader, and name of its worker StatefulSet."""
    return f"{set_name}-{key[:KEY_DIGITS]}"


def longest_name(size: int) -> int:
    """How many characters the name of such a set may have (row 27)."""
    return LONGEST_WITH_WORKERS if size > 1 else LONGEST_ALONE


def rules(spec: JSON, path: str = "spec") -> Iterator[str]:
    """Rows 24 to 26 of next 3.2; a role of a DisaggregatedSet has them under its own path."""
    hashed = spec.get("groupIdentity") == types.HASH
    if spec.get("groupReplacementPolicy") == types.IMMEDIATE and not hashed:
        why = "Immediate is only supported with groupIdentity Hash"
        yield f"{path}.groupReplacementPolicy: Invalid value: {encoded(types.IMMEDIATE)}: {why}"
    if not hashed:
        return
    refused = f"{path}.groupIdentity: Invalid value: {encoded(types.HASH)}:"
    if member(spec, "leaderWorkerTemplate").get("volumeClaimTemplates"):
        yield f"{refused} volumeClaimTemplates are not supported with groupIdentity Hash"
    pace = member(member(spec, "rolloutStrategy"), "rollingUpdateConfiguration")
    if integer(pace.get("partition"), 0) != 0:
        yield f"{refused} rollingUpdateConfiguration.partition is not supported with groupIdentity Hash"


def name_rule(obj: JSON, old: JSON | None) -> Iterator[str]:
    """Row 27 of next 3.2: on creation, and when a group gets its first worker (ND-05)."""
    grown = old is not None and _size(old) <= 1 < _size(obj)
    if old is None or grown:
        yield from _too_long(obj)


def name_warning(obj: JSON, old: JSON | None) -> Iterator[str]:
    """Of a set that was admitted with a name that row 27 would refuse now (ND-05)."""
    if old is not None:
        for refused in _too_long(obj):
            yield f"{refused}: its groups may never get their pods"


def immutable(obj: JSON, old: JSON) -> Iterator[str]:
    """Row 29 of next 3.2; absent and empty are Ordinal."""
    now, before = (_identity(each) for each in (obj, old))
    if now != before:
        yield f"spec.groupIdentity: Invalid value: {encoded(now)}: groupIdentity is immutable"


def _identity(obj: JSON) -> str:
    found = member(obj, "spec").get("groupIdentity")
    return found if isinstance(found, str) and found else types.ORDINAL


def _size(obj: JSON) -> int:
    return integer(member(member(obj, "spec"), "leaderWorkerTemplate").get("size"), 1)


def _too_long(obj: JSON) -> Iterator[str]:
    name, longest = member(obj, "metadata").get("name"), longest_name(_size(obj))
    if _identity(obj) == types.HASH and isinstance(name, str) and len(name) > longest:
        why = f"must be no more than {longest} characters with groupIdentity Hash"
        yield f"metadata.name: Invalid value: {encoded(name)}: {why}"
