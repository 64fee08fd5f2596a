"""Draws docs/images/coordinated-rollout.svg: a rollout of two roles, state by state, as the planner takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lws.planning.disaggregatedset.guard import guarded_step
from lws.planning.disaggregatedset.step import RoleState

ROLES: Final = {"prefill": RoleState(2, 2, 0, 2), "decode": RoleState(4, 4, 0, 4)}
_LEFT, _ROW, _BOX, _GAP = 110, 40, 30, 6
_COLUMNS: Final = {"prefill": _LEFT, "decode": 270}
TITLE: Final = "A rollout of two roles: prefill of two groups, decode of four, one surge group each"


def picture() -> str:
    """The picture."""
    states = _states()
    height = 40 + _ROW * len(states) + 34
    parts = [f'<text x="{left}" y="24">{name}</text>' for name, left in _COLUMNS.items()]
    for row, state in enumerate(states):
        top = 36 + row * _ROW
        label = "edited" if row == 0 else "done" if row == len(states) - 1 else f"step {row}"
        parts.append(f'<text class="n" x="10" y="{top + 20}">{label}</text>')
        for name, role in zip(ROLES, state, strict=True):
            parts += _boxes(_COLUMNS[name], top, role)
    parts += _legend(height - 26)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 470 {height}" role="img" aria-label="{TITLE}">\n'
        f"<title>{TITLE}</title>\n<style>\n"
        "svg { background: #ffffff; font-family: system-ui, sans-serif; font-size: 13px; } text { fill: #1f2328; }\n"
        "rect { stroke: #57606a; } .o { fill: #ffebe9; } .u { fill: #dafbe1; } .n { fill: #57606a; font-size: 12px; }\n"
        "</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _states() -> list[tuple[RoleState, ...]]:
    """Every state from the edit to the end, assuming that new groups get ready."""
    states = [tuple(ROLES.values())]
    while step := guarded_step(states[-1]):
        together = zip(states[-1], step.old, step.new, strict=True)
        states.append(tuple(replace(role, old=min(role.old, old), new=new) for role, old, new in together))
    return states


def _boxes(left: int, top: int, role: RoleState) -> list[str]:
    kinds = "o" * role.old + "u" * role.new
    return [
        f'<rect class="{kind}" x="{left + place * (_BOX + _GAP)}" y="{top}" width="{_BOX}" height="{_BOX}" rx="5"/>'
        for place, kind in enumerate(kinds)
    ]


def _legend(top: int) -> list[str]:
    return [
        f'<rect class="o" x="{_LEFT}" y="{top}" width="14" height="14" rx="3"/>',
        f'<text class="n" x="{_LEFT + 20}" y="{top + 12}">old revision</text>',
        f'<rect class="u" x="{_LEFT + 120}" y="{top}" width="14" height="14" rx="3"/>',
        f'<text class="n" x="{_LEFT + 140}" y="{top + 12}">new revision</text>',
    ]
