"""Stored revisions as YAML, and what differs between them. Pure."""

from __future__ import annotations

import difflib

from lws.api.leaderworkerset.objects import ControllerRevision
from lws.apimachinery.manifests import JSON

SECTIONS = ("leaderWorkerTemplate", "networkConfig")


def section(revision: ControllerRevision, name: str) -> JSON:
    """A section of a revision as it was in the spec."""
    stored = ((revision.data or {}).get("spec") or {}).get(name) or {}
    return {key: item for key, item in stored.items() if key != "$patch"}


def sections(revision: ControllerRevision) -> JSON:
    """All that a revision holds of the spec."""
    return {name: section(revision, name) for name in SECTIONS}


def as_yaml(revision: ControllerRevision) -> list[str]:
    """Its content in lines."""
    import yaml

    return yaml.safe_dump(sections(revision), sort_keys=True).splitlines()


def difference(older: ControllerRevision, newer: ControllerRevision) -> list[str]:
    """What the newer revision changed, as a unified diff of YAML; empty if its content is the same."""
    names = (f"revision {older.revision}", f"revision {newer.revision}")
    return list(difflib.unified_diff(as_yaml(older), as_yaml(newer), *names, lineterm="", n=2))


def change(older: ControllerRevision, newer: ControllerRevision) -> str:
    """The difference as one text; a sentence where there is none."""
    lines = difference(older, newer)
    return "\n".join(lines) or f"revision {newer.revision} has the content of revision {older.revision}"


def images(revision: ControllerRevision) -> list[str]:
    """The images of its templates, each once, leader first."""
    found = []
    template = section(revision, "leaderWorkerTemplate")
    for part in ("leaderTemplate", "workerTemplate"):
        spec = (template.get(part) or {}).get("spec") or {}
        found += [str(container.get("image", "")) for container in spec.get("containers") or ()]
    return list(dict.fromkeys(found))
