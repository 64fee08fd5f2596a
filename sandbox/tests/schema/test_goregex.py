"""Regular expressions of custom resources mean what they mean to Go."""

from __future__ import annotations

import pytest

from lws_sandbox.schema.goregex import PatternError, compile_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^(?i)(abort|warn)?$", "WARN", True),
        ("^(?i)(abort|warn)?$", "warned", False),
        ("a(?i)b|c", "C", True),
        ("a(?i)b|c", "Ab", False),
        ("^a$", "a\n", False),
        ("(?m)^b$", "a\nb\nc", True),
        (r"^\pL+$", "größe", True),
        (r"^\w+$", "größe", False),
        (r"^\d$", "٣", False),
        (r"^[[:alpha:]]+\z", "abc", True),
        (r"^[[:^alpha:]]+$", "123", True),
        (r"^\Qa.b\E$", "axb", False),
        (r"^(?P<zone>.)$", "é", True),
        ("^.$", "\n", False),
        (r"^a{2}$", "aa", True),
    ],
)
def test_meaning(pattern: str, text: str, expected: bool) -> None:
    """Flags in the middle, classes, anchors and quotes work as in Go."""
    assert matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("a(b", "missing closing ): `a(b`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"a\Z", r"invalid escape sequence: `\Z`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
    ],
)
def test_faults(pattern: str, fault: str) -> None:
    """A pattern that is none is called what Go calls it, with the part that is wrong."""
    with pytest.raises(PatternError) as told:
        compile_pattern(pattern)
    assert str(told.value) == f"error parsing regexp: {fault}"


def test_half_characters() -> None:
    """Text and patterns that are no UTF-8 break nothing."""
    assert not matches("^a$", "\ud800")
    with pytest.raises(PatternError):
        compile_pattern("\ud800")
