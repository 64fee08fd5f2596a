"""Makes documents of what was seen of a LeaderWorkerSet. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from lws.api.leaderworkerset import labels
from lws.apimachinery import objects
from lws.cli.kubectl import documents as made
from lws.cli.kubectl.members import missing
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.progress import Watched
from lws.cli.kubectl.revisions import change, images, section, sections
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, waits
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts
from lws.planning.leaderworkerset.diagnosis.findings import Finding
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.pods import diagnose_pod
from lws.planning.leaderworkerset.diagnosis.words import sentences

_NOUNS = {"leader pod": "Pod", "worker pod": "Pod", "StatefulSet": "StatefulSet", "worker StatefulSet": "StatefulSet"}


def status(facts: Facts) -> made.SetStatus:
    """The document of ``status``."""
    lws = facts.lws
    return made.SetStatus(
        set_kind="LeaderWorkerSet",
        namespace=lws.metadata.namespace,
        name=lws.name,
        replicas=lws.replicas,
        present=lws.present,
        ready=lws.ready,
        updated=lws.updated,
        partition=facts.partition,
        max_unavailable=lws.allowed_unavailable,
        max_surge=lws.max_surge,
        revision=facts.key,
        owner=owner(facts),
        conditions=conditions(lws.conditions),
        sentences=sentences(diagnose(facts)),
    )


def watched(seen: Watched) -> made.SetStatus:
    """The document of one line of ``status --watch``."""
    document = status(seen.facts)
    if not seen.trouble:
        return document
    return made.replace(document, sentences=(seen.trouble, *document.sentences))


def conditions(values: Iterable[objects.Condition]) -> tuple[made.Condition, ...]:
    """Conditions as they are stored."""
    return tuple(
        made.Condition(type=one.type, status=one.status, reason=one.reason, message=one.message) for one in values
    )


def owner(facts: Facts) -> str:
    """``Kind/name`` of the set's controller; empty without one."""
    found = facts.lws.owner
    return f"{found.kind}/{found.name}" if found is not None else ""


def explanation(facts: Facts) -> made.Explanation:
    """The document of ``explain-stuck``."""
    found = diagnose(facts)
    return made.Explanation(
        set_kind="LeaderWorkerSet",
        namespace=facts.lws.metadata.namespace,
        name=facts.lws.name,
        waiting=waits(found),
        owner=owner(facts),
        findings=findings(facts.lws.name, found),
        sentences=sentences(found),
    )


def findings(name: str, found: Iterable[Finding]) -> tuple[made.Finding, ...]:
    """Findings about a set."""
    return tuple(
        made.Finding(
            reason=one.reason.text,
            message=one.text,
            remedy=one.remedy,
            set=name,
            group=one.group,
            object_kind=_NOUNS.get(one.noun, one.noun),
            object_name=one.name,
            node=one.node,
        )
        for one in found
    )


def tree(facts: Facts) -> made.SetTree:
    """The document of ``tree``."""
    return made.SetTree(
        set_kind="LeaderWorkerSet",
        namespace=facts.lws.metadata.namespace,
        name=facts.lws.name,
        revision=facts.key,
        owner=owner(facts),
        groups=tuple(_group(facts, one) for one in facts.groups),
        strays=tuple(_pod(facts, one) for one in facts.strays),
    )


def _group(facts: Facts, group: GroupFacts) -> made.Group:
    return made.Group(
        index=group.index,
        revision=group.revision,
        size=group.size,
        ready=group.state.ready,
        updated=group.state.updated,
        surge=group.index >= facts.lws.replicas,
        pods=tuple(_pod(facts, pod) for pod in group.pods),
        missing=tuple(missing(facts.lws, group)),
    )


def _pod(facts: Facts, pod: PodReport) -> made.Pod:
    found = diagnose_pod(facts, pod)
    return made.Pod(
        name=pod.metadata.name,
        node=pod.spec.node_name or "",
        phase=pod.status.phase or "Unknown",
        ready=pod.ready,
        problem="" if found is None else found.text,
    )


def history(seen: Observation, number: int = 0) -> made.History:
    """The document of ``rollout history``; of one revision alone if a number is given."""
    facts = seen.facts
    stored = sorted(seen.revisions, key=lambda one: one.revision)
    before = {newer.metadata.name: change(older, newer) for older, newer in pairwise(stored)}
    revisions = tuple(
        made.Revision(
            number=one.revision,
            key=one.metadata.label(labels.REVISION),
            current=one.metadata.label(labels.REVISION) == facts.key,
            size=section(one, "leaderWorkerTemplate").get("size", 1),
            images=tuple(images(one)),
            groups=tuple(
                group.index for group in facts.groups if group.revision == one.metadata.label(labels.REVISION)
            ),
            change=before.get(one.metadata.name, ""),
            template=sections(one) if number else None,
        )
        for one in stored
        if number in (0, one.revision)
    )
    return made.History(
        set_kind="LeaderWorkerSet",
        namespace=facts.lws.metadata.namespace,
        name=facts.lws.name,
        revisions=revisions,
    )
