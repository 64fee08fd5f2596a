"""Findings as sentences: what is equal is said once, and what is long is cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.quoting import groups_named, listed
from lws.planning.leaderworkerset.diagnosis.remedies import with_remedy

MOST: Final = 12  # sentences
_SURE: Final = 150  # characters of what was cut that are compared: where it is cut depends on the lengths of names
_CHANCE: Final = re.compile(r"[0-9a-f]{12,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(?:\.\d+){3}|\b\d+[smh]\b")


def sentences(findings: Sequence[Finding], most: int = MOST, *, general: bool = True) -> tuple[str, ...]:
    """At most ``most`` sentences, and one that counts the rest.

    Findings that differ only in group, pod, node, and in identifiers and times within quotations, share a sentence.
    Causes come before what merely waits, in the order of `Reason`; the set's own findings come first, the rollout last.
    A finding without a remedy of its own is given a ``general`` one.
    """
    findings = [with_remedy(each) for each in findings] if general else findings
    folded: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        folded.setdefault(_key(finding), []).append(finding)
    ordered = sorted(folded.values(), key=lambda same: _rank(same[0]))
    said = [_sentence(same) for same in ordered]
    if len(said) <= most:
        return tuple(said)
    return (*said[:most], f"{len(said) - most} more reasons are not shown; `kubectl lws tree` shows every pod.")


def told(finding: Finding, limit: int) -> str:
    """One finding alone, in at most so many bytes: of a long one the middle is left out, its remedy stays."""
    finding = with_remedy(finding)
    text, remedy = f"{_subject([finding])}{finding.text}", f" {finding.remedy}" if finding.remedy else ""
    room = limit - len(remedy.encode()) - 1
    if room < limit // 3:
        remedy, room = "", limit - 1
    encoded = text.encode()
    if len(encoded) > room:
        text = encoded[: room - 3].decode(errors="ignore").rstrip() + "…"
    return f"{text}.{remedy}"


def _rank(finding: Finding) -> tuple[bool, bool, Reason]:
    return finding.reason >= Reason.ROLLOUT, finding.group is not None, finding.reason


def _key(finding: Finding) -> tuple[object, ...]:
    """What makes findings one: names of the set's objects and nodes do not count, nor identifiers and times."""
    base = re.sub(r"(-\d+)+$", "", finding.name)
    named = re.compile(rf"\b{re.escape(base)}(-\d+)+\b" if base else r"(?!)")
    parts = [named.sub("*", text) for text in (finding.text, finding.remedy)]
    if finding.node:
        parts = [part.replace(finding.node, "*") for part in parts]
    same = (_CHANCE.sub("#", part)[: _SURE if part.endswith("…") else None] for part in parts)
    return finding.reason, finding.noun, finding.group is None, *same


def _sentence(same: Sequence[Finding]) -> str:
    first = same[0]
    groups = sorted({one.group for one in same if one.group is not None})
    where = f"{groups_named(groups).capitalize()}: " if groups else ""
    text = f"{where}{_subject(same)}{first.text}"
    remedy = f" {first.remedy}" if first.remedy else ""
    return f"{text[:1].upper()}{text[1:]}.{remedy}"


def _subject(same: Sequence[Finding]) -> str:
    first = same[0]
    if not first.name:
        return ""
    nodes = sorted({one.node for one in same if one.node})
    named = first.reason is Reason.NODE_LOST or not nodes
    on = "" if named else f" on {listed(nodes, 2)}"
    if len(same) == 1:
        return f"{first.noun} {first.name}{on} "
    return f"each of {len(same)} {first.noun}s ({listed((one.name for one in same), 2)}){on} "
