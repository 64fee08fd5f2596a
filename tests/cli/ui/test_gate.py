"""Who may ask, what differs, and how fast a tab is told."""

from __future__ import annotations

import pytest

from lws.cli.kubectl.ui.differences import difference
from lws.cli.kubectl.ui.gate import HEADERS, WRITING, Gate
from lws.cli.kubectl.ui.pacing import BURST, RATE, SHORTEST, Pace

HOME = "127.0.0.1:8001"
WRITE = {"Host": HOME, "Origin": f"http://{HOME}", WRITING: "1", "Content-Type": "application/json"}

REFUSED = {
    "a name that was rebound": ("GET", {"Host": "evil.example:8001"}),
    "another port": ("GET", {"Host": "127.0.0.1:8002"}),
    "no host": ("GET", {}),
    "another origin": ("GET", {"Host": HOME, "Origin": "http://evil.example"}),
    "another origin's write": ("POST", {**WRITE, "Origin": "http://127.0.0.1:8002"}),
    "an opaque origin": ("POST", {**WRITE, "Origin": "null"}),
    "a fetch of another site": ("GET", {"Host": HOME, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
    "a form": ("POST", {**WRITE, "Content-Type": "application/x-www-form-urlencoded"}),
    "a form as text": ("POST", {**WRITE, "Content-Type": "text/plain"}),
    "a form without our header": ("POST", {key: value for key, value in WRITE.items() if key != WRITING}),
    "a write without an origin": ("POST", {key: value for key, value in WRITE.items() if key != "Origin"}),
    "another verb": ("DELETE", {"Host": HOME}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_comes_from_elsewhere_is_refused(case: str) -> None:
    """Rebound names, other origins, forms and simple requests are refused, token or not."""
    assert Gate(8001).refusal(*REFUSED[case])


def test_the_page_itself_is_let_in() -> None:
    """Its own reads and writes, a link that is followed, and either name of loopback."""
    gate = Gate(8001)
    link = {"Host": HOME, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for method, headers in (
        ("GET", {"Host": HOME}),
        ("GET", {"Host": "localhost:8001"}),
        ("POST", WRITE),
        ("GET", link),
    ):
        assert gate.refusal(method, headers) == ""


def test_token_and_cookie_are_secrets_of_one_run() -> None:
    """A token is not the cookie, no two runs share either, and an empty one opens nothing."""
    one, other = Gate(8001), Gate(8001)
    assert len({one.token, one.secret, other.token, other.secret}) == 4
    assert one.exchanged(one.token)
    assert not one.exchanged("")
    assert not one.exchanged(other.token)
    assert one.knows({one.cookie: one.secret})
    assert not one.knows({})
    assert not one.knows({one.cookie: one.token})
    assert not one.knows({Gate(8002).cookie: one.secret})


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    """Only files of the page itself, no inline code, no markup made of text, no frame around it."""
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_a_difference_makes_the_old_document_the_new_one() -> None:
    """Values that appear, members that change or go, keys that go: what is told suffices, and nothing more is told."""
    old = {"same": {"a": 1}, "changed": {"a": 1, "b": 2, "c": 3}, "gone": {}, "kind": [1]}
    now = {"same": {"a": 1}, "changed": {"a": 1, "b": 5}, "new": {"x": 1}, "kind": {"a": 1}}
    found = difference(old, now)
    assert found == {
        "new": {"new": {"x": 1}, "kind": {"a": 1}},
        "changed": {"changed": {"b": 5, "c": None}},
        "gone": ["gone"],
    }
    assert difference(now, now) == {}
    assert difference({}, now)["new"] == now


def test_a_tab_is_told_at_once_and_never_more_than_its_rate() -> None:
    """A rare change waits for nothing; a storm of large ones is held to the rate, beyond what a burst allows."""
    pace = Pace()
    assert pace.wait(100.0) == 0.0
    pace.spent(100.0, 500)
    assert pace.wait(100.0) == pytest.approx(SHORTEST)
    assert pace.wait(101.0) == 0.0
    now, sent = 101.0, 0
    while now < 161.0:
        now += pace.wait(now)
        pace.spent(now, 4000)
        sent += 4000
    assert sent <= 60 * RATE + BURST + 8000
    assert sent >= 55 * RATE
