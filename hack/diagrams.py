"""Draws what belongs to what: ``docs/images/subgroups.svg``, ``slices.svg`` and ``role-scaling.svg``.

`hack.generate` writes them. Names in them are made by the product's own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Final

from lws.api.disaggregatedset import names

_STYLE: Final = (
    "svg { background: #ffffff; font-family: system-ui, sans-serif; font-size: 13px; }\n"
    "rect { stroke: #57606a; fill: #f6f8fa; } .l { fill: #ddf4ff; } .s { fill: #fff8c5; } .u { fill: #dafbe1; }"
    " .g { fill: none; stroke-dasharray: 5 4; }\n"
    "line { stroke: #57606a; stroke-width: 1.3; } .n { fill: #57606a; font-size: 12px; } text { fill: #1f2328; }"
)
_ARROW: Final = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>'
)


def svg(title: str, width: int, height: int, parts: Iterator[str]) -> str:
    """A picture of these parts."""
    box = f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"'
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {box}>', f"<title>{escape(title)}</title>", _ARROW]
    return "\n".join([*head, f"<style>\n{_STYLE}\n</style>", *parts, "</svg>", ""])


def box(x: int, y: int, width: int, height: int, *lines: str, kind: str = "p") -> str:
    """A box with lines of text in its middle."""
    first = y + height / 2 + 5 - 8 * (len(lines) - 1)
    texts = (
        f'<text x="{x + width / 2:g}" y="{first + 16 * place:g}" text-anchor="middle">{escape(line)}</text>'
        for place, line in enumerate(lines)
    )
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>' + "".join(texts)


def frame(x: int, y: int, width: int, height: int, name: str) -> str:
    """A dashed frame with a name."""
    return (
        f'<rect class="g" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'
        f'<text class="n" x="{x + 10}" y="{y + 18}">{escape(name)}</text>'
    )


def arrow(x: int, y: int, to_x: int, to_y: int, words: str = "") -> str:
    """An arrow, with words above its middle."""
    text = f'<text class="n" x="{(x + to_x) / 2:g}" y="{y - 6}" text-anchor="middle">{escape(words)}</text>'
    return f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" marker-end="url(#a)"/>' + (text if words else "")


def note(x: int, y: int, words: str) -> str:
    """A sentence."""
    return f'<text class="n" x="{x}" y="{y}">{escape(words)}</text>'


def subgroups() -> str:
    """A group of eight pods in two subgroups, each in a domain of its own."""
    return svg("A group of eight pods in subgroups of four, each with a rack to itself", 840, 250, _subgroups())


def _subgroups() -> Iterator[str]:
    yield frame(10, 10, 820, 205, "group 0 of vllm: size 8, subGroupSize 4")
    for rack in range(2):
        left = 25 + 405 * rack
        yield frame(left, 40, 390, 160, f"rack {'ab'[rack]}: subgroup {rack}")
        for place in range(4):
            worker = 4 * rack + place
            name, kind = (f"vllm-0-{worker}", "p") if worker else ("vllm-0", "l")
            lines = (name, "leader") if not worker else (name,)
            yield box(left + 15 + 185 * (place % 2), 70 + 62 * (place // 2), 175, 52, *lines, kind=kind)
    yield note(10, 238, "subgroup-exclusive-topology: no other subgroup is in these racks")


def slices() -> str:
    """A DisaggregatedSet of two slices in two racks."""
    return svg("A DisaggregatedSet of two slices, each with all roles in a rack of its own", 840, 285, _slices())


def _slices() -> Iterator[str]:
    yield box(320, 10, 200, 40, "DisaggregatedSet inference", kind="s")
    for number in range(2):
        left = 20 + 410 * number
        yield arrow(420, 50, left + 195, 76)
        yield frame(left, 76, 390, 170, f"slice {number} in rack {'ab'[number]}")
        for place, (role, groups) in enumerate((("prefill", 2), ("decode", 3))):
            x = left + 12 + 188 * place
            name = names.child("inference", number, "6c5f9", role)
            yield box(x, 104, 178, 52, "LeaderWorkerSet", name)
            for group in range(groups):
                yield box(x + group * (178 // groups), 176, 178 // groups - 6, 50, "group", str(group), kind="u")
    yield note(20, 270, "placementPolicy: all roles of a slice in one domain, slices in different ones")


def role_scaling() -> str:
    """An autoscaler that scales one role."""
    title = "An autoscaler scales a role by its DisaggregatedSetRoleScaler"
    return svg(title, 840, 130, _role_scaling())


def _role_scaling() -> Iterator[str]:
    yield box(10, 40, 180, 50, "HorizontalPodAutoscaler")
    yield arrow(190, 65, 300, 65, "scale")
    yield box(300, 40, 220, 50, "DisaggregatedSetRoleScaler", names.scaler("scaled", "decode"), kind="s")
    yield arrow(520, 65, 640, 65, "replicas")
    yield box(640, 40, 190, 50, "LeaderWorkerSet", "of role decode", kind="u")
    yield note(300, 118, "selector and number of ready groups go back the same way")


FILES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/images/subgroups.svg": subgroups,
    "docs/images/slices.svg": slices,
    "docs/images/role-scaling.svg": role_scaling,
}
