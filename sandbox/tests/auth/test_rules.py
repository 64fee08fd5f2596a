"""Rules, evaluated and compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_sandbox.auth.rules import Rule, allows, compact, missing, quoted
from lws_sandbox.rest.call import RequestInfo


def asked(verb: str, resource: str, group: str = "", name: str = "") -> RequestInfo:
    """A request for a resource, or a subresource after a slash."""
    plural, _, subresource = resource.partition("/")
    return RequestInfo(verb, "", group=group, resource=plural, subresource=subresource, name=name)


PODS = Rule(("get", "list"), ("",), ("pods",))
CASES = [
    (PODS, asked("get", "pods"), True),
    (PODS, asked("watch", "pods"), False),
    (PODS, asked("get", "pods", "apps"), False),
    (PODS, asked("get", "pods/log"), False),
    (Rule(("get",), ("",), ("pods/log",)), asked("get", "pods/log"), True),
    (Rule(("get",), ("",), ("pods/log",)), asked("get", "pods"), False),
    (Rule(("get",), ("",), ("pods/*",)), asked("get", "pods/log"), False),
    (Rule(("get",), ("",), ("*/log",)), asked("get", "pods/log"), True),
    (Rule(("get",), ("",), ("*/log",)), asked("get", "pods"), False),
    (Rule(("get",), ("",), ("*",)), asked("get", "pods/log"), True),
    (Rule(("*",), ("*",), ("*",)), asked("escalate", "roles", "rbac"), True),
    (Rule(("get",), ("",), ("pods",), ("mine",)), asked("get", "pods", name="mine"), True),
    (Rule(("get",), ("",), ("pods",), ("mine",)), asked("get", "pods", name="other"), False),
    (Rule(("list",), ("",), ("pods",), ("mine",)), asked("list", "pods"), False),
    (Rule(("get",), urls=("/metrics",)), RequestInfo("get", "/metrics"), True),
    (Rule(("get",), urls=("/metrics",)), RequestInfo("get", "/metrics/slis"), False),
    (Rule(("get",), urls=("/livez/*",)), RequestInfo("get", "/livez/ping"), True),
    (Rule(("get",), urls=("/livez/*",)), RequestInfo("get", "/livez"), False),
    (Rule(("get",), urls=("*",)), RequestInfo("get", "/anything"), True),
    (Rule(("get",), urls=("*",)), RequestInfo("post", "/anything"), False),
    (Rule(("get",), urls=("*",)), asked("get", "pods"), False),
]


@pytest.mark.parametrize(("rule", "info", "allowed"), CASES)
def test_allows(rule: Rule, info: RequestInfo, allowed: bool) -> None:
    """A rule grants exactly the requests that Kubernetes says it does."""
    assert allows(rule, info) is allowed


def test_missing_is_broken_down_and_joined_again() -> None:
    """What is lacking is told for each resource, with the lacking verbs together."""
    held = [Rule(("get",), ("",), ("configmaps",))]
    wanted = [Rule(("get", "list"), ("",), ("configmaps", "secrets")), Rule(("get",), urls=("/x",))]
    assert {str(rule) for rule in compact(missing(held, wanted))} == {
        '{APIGroups:[""], Resources:["configmaps"], Verbs:["list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
    }


@pytest.mark.parametrize(
    ("held", "wanted", "covered"),
    [
        (Rule(("*",), ("*",), ("*",)), Rule(("get",), ("apps",), ("x/y",), ("n",)), True),
        (Rule(("get",), ("",), ("pods",), ("a", "b")), Rule(("get",), ("",), ("pods",), ("a",)), True),
        (Rule(("get",), ("",), ("pods",), ("a",)), Rule(("get",), ("",), ("pods",)), False),
        (Rule(("get",), ("",), ("*/log",)), Rule(("get",), ("",), ("pods/log",)), True),
        (Rule(("get",), ("",), ("*/log",)), Rule(("get",), ("",), ("pods",)), False),
        (Rule(("get",), urls=("/a/*",)), Rule(("get",), urls=("/a/b", "/a/*")), True),
        (Rule(("get",), urls=("/a",)), Rule(("get",), urls=("/a/*",)), False),
        (Rule(("get",), ("",), ("pods",)), Rule(("*",), ("",), ("pods",)), False),
    ],
)
def test_covering(held: Rule, wanted: Rule, covered: bool) -> None:
    """A rule covers another if it grants all that the other does."""
    assert (not missing([held], [wanted])) is covered


WORDS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=2, unique=True).map(tuple)
RULES = st.builds(Rule, WORDS, WORDS, st.lists(st.sampled_from(["x", "x/s", "*/s", "*"]), min_size=1).map(tuple))


@given(RULES, RULES, st.sampled_from("abc"), st.sampled_from("abc"), st.sampled_from(["x", "x/s", "y/s", "y"]))
def test_what_is_covered_is_allowed(held: Rule, wanted: Rule, verb: str, group: str, resource: str) -> None:
    """Whatever a covered rule allows, the covering one allows too."""
    if not missing([held], [wanted]) and allows(wanted, asked(verb, resource, group)):
        assert allows(held, asked(verb, resource, group))


@given(st.lists(RULES, max_size=4))
def test_joining_changes_nothing(rules: list[Rule]) -> None:
    """Joined rules grant what the single ones do, no more and no less."""
    joined = compact(rules)
    assert not missing(joined, rules)
    assert not missing(rules, joined)


def test_quoting() -> None:
    """Lists of strings print as Go prints them."""
    assert quoted(["a", 'b"']) == '["a" "b\\""]'
    assert quoted([]) == "[]"
