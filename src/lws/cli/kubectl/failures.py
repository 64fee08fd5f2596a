"""``kubectl lws failures``: why groups were recreated, as the controller recorded it (resilience 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lws.apimachinery.durations import format_duration
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.documents import Failure, FailureList
from lws.cli.kubectl.plain import age, table
from lws.cli.kubectl.session import Session

_KILLED: Final = 128  # exit codes above it are signals, by custom


async def run(session: Session) -> int:
    """List the recorded failures, the newest first."""
    items = [_failure(raw, each) for raw in await session.child_sets() for each in _recorded(raw)]
    if session.arguments.group:
        items = [one for one in items if one.group == session.arguments.group]
    items.sort(key=lambda one: one.time, reverse=True)
    document = FailureList(
        set_kind=session.set_kind, namespace=session.namespace, name=session.name, items=tuple(items)
    )
    session.show(lambda: document, lambda: _text(session, document), list(dict.fromkeys(f"pod/{o.pod}" for o in items)))
    return 0


def _recorded(raw: JSON) -> list[Mapping[str, Any]]:
    found = (raw.get("status") or {}).get("failures")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _failure(raw: JSON, told: Mapping[str, Any]) -> Failure:
    container = bool(told.get("container"))
    return Failure(
        set=str(raw["metadata"]["name"]),
        time=str(told.get("time") or ""),
        group=str(told.get("group", "")),
        pod=str(told.get("pod") or ""),
        node=str(told.get("node") or ""),
        container=str(told.get("container") or ""),
        reason=str(told.get("reason") or ""),
        exit_code=int(told.get("exitCode") or 0) if container else None,
        signal=told.get("signal") or None,
        message=str(told.get("message") or ""),
        ran_seconds=int(told.get("ranSeconds") or 0) if container else None,
        restarts=int(told.get("restarts") or 0),
        also_failed=int(told.get("alsoFailed") or 0),
        healed=bool(told.get("healed", False)),
        revision=str(told.get("revision") or ""),
        leader_uid=str(told.get("leaderUID") or ""),
    )


def cause(one: Failure) -> str:
    """Why, in a few words, such as ``OOMKilled (exit 137) in vllm``."""
    code = f" (exit {one.exit_code})" if one.exit_code else f" (signal {one.signal})" if one.signal else ""
    where = f" in {one.container}" if one.container else ""
    return f"{one.reason or 'unknown'}{code}{where}"


def _text(session: Session, document: FailureList) -> list[str]:
    if not document.items:
        which = f"group {session.arguments.group} of {session.name}" if session.arguments.group else session.name
        return [f"{which} has no recorded failures"]
    now, many = datetime.now(UTC), session.kind != "leaderworkerset"
    header = ["AGE", *(["SET"] if many else []), "GROUP", "POD", "NODE", "CAUSE", "RAN", "NO"]
    more = ["TIME", "REVISION", "ALSO FAILED"] if session.wide else []
    rows = []
    for one in document.items:
        ran = "-" if one.ran_seconds is None else format_duration(one.ran_seconds)
        number = "healed" if one.healed else str(one.restarts) if one.restarts else "-"
        row = [age(one.time, now), *([one.set] if many else []), one.group, one.pod, one.node or "-", cause(one), ran]
        extra = [one.time, one.revision, str(one.also_failed)] if session.wide else []
        rows.append([*row, number, *extra, one.message or "-"])
    return table([*header, *more, "MESSAGE"], rows, session.terminal.width)
