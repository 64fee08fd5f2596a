"""Names that carry meaning."""

from __future__ import annotations

import pytest

from lws.api.leaderworkerset.groupkeys import group_key, subgroup_key
from lws.apimachinery.names import parent_and_ordinal


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my-lws-0", ("my-lws", 0)),
        ("my-lws-0-12", ("my-lws-0", 12)),
        ("-7", ("", 7)),
        ("a--1", ("a-", 1)),
        ("a-007", ("a", 7)),
        ("a-2147483647", ("a", 2147483647)),
        ("a-2147483648", ("a", -1)),
        ("a-" + "9" * 5000, ("a", -1)),
        ("plain", ("", -1)),
        ("a-", ("", -1)),
        ("a-1x", ("", -1)),
        ("a-１", ("", -1)),
        ("a-1\n", ("", -1)),
        ("", ("", -1)),
    ],
)
def test_spec_4_1_2_split(name: str, expected: tuple[str, int]) -> None:
    """A name splits at its last dash if ASCII digits up to 2147483647 follow, and nowhere else (spec 4.1)."""
    assert parent_and_ordinal(name) == expected


def test_spec_4_3_keys() -> None:
    """Group and subgroup keys are the SHA-1 values that spec 4.3 prints."""
    assert group_key("default", "my-lws-0") == "85c75a5bcf357a993c958ca839ff3faf70ec6b0b"
    assert subgroup_key("my-lws-0", 0) == "5deee8c4a097c2901d4bc8feeb358a6e7ef32eac"
    assert subgroup_key("my-lws-0", 1) == "342acf7ff6f85b42bb1b926ba95b46e5f1d93839"
