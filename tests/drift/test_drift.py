"""The sandbox cannot drift from the truth: our own requests are answered alike by it and by a real server."""

from __future__ import annotations

from lws.apimachinery.manifests import JSON
from tests.drift.plain import differences
from tests.drift.telling import RECORDING, expected, read

REMEDY = (
    "If what we ask has changed, and not what is answered, make the recording anew: "
    "python -m tests.drift record (CONTRIBUTING.md)"
)


def test_our_own_requests_are_answered_as_recorded(told: JSON, release: str) -> None:
    """Statuses, reasons, what a server sets of itself, managed fields and watched lives are those of the recording."""
    found = differences(expected(release), told)
    assert not found, "\n".join([*found, REMEDY])


def test_the_recording_says_enough() -> None:
    """Every kind of thing that we ask for is in the recording: all verbs, refusals, lives, bookmarks, certificates."""
    told = read()
    asked = {each["request"].split()[0] for each in told["user"]} | {each.split()[0] for each in told["operator"]}
    assert {"GET", "LIST", "POST", "PUT", "PATCH", "DELETE"} <= asked
    reasons = {each.get("reason") for each in told["user"]}
    assert {"Invalid", "Forbidden", "AlreadyExists", "Conflict", "BadRequest", "NotFound"} <= reasons
    lives = {life for watch in told["watches"].values() for found in watch["types"].values() for life in found}
    assert {"ADDED DELETED", "ADDED MODIFIED DELETED"} <= lives
    assert all("bookmark" in watch for watch in told["watches"].values())
    assert {"secrets", "mutatingwebhookconfigurations"} <= {
        each["request"].split()[2] for each in told["certificates"] if each["status"] < 300
    }


def test_the_recording_is_small_and_of_no_machine() -> None:
    """It holds no path, address or account of the machine that it was made on."""
    text = RECORDING.read_text()
    assert len(text) < 300_000
    assert not [word for word in ("/home/", "/root/", "127.0.0.1", "LS0tLS1CRUdJTi") if word in text]
