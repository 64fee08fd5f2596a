"""Every bad review gets the answer that is due: a 4xx or a refusal, never a mutation, a traceback or a 5xx."""

from __future__ import annotations

import json
import random
import time

import pytest

from lws.webhook import AdmissionHandlers
from lws.webhook.handlers import MUTATE_LEADERWORKERSET, MUTATE_POD, VALIDATE_LEADERWORKERSET, VALIDATE_POD
from lws.webhook.review import LARGEST_BODY
from tests.webhook.catalogue import CATALOGUE
from tests.webhook.catalogue.case import Case
from tests.webhook.reviews import UID, encode, lws, pod, review


def test_a_refusal_is_not_larger_than_its_reader_bears() -> None:
    """A set with 20,000 broken labels is refused in one message of bounded length."""
    given = lws()
    given["metadata"]["labels"] = {f"a b{index}": "c d" for index in range(20_000)}
    status, answer = AdmissionHandlers().handle_review(VALIDATE_LEADERWORKERSET, encode(review(given)))
    message = json.loads(answer)["response"]["status"]["message"]
    assert (status, len(message), message[-4:]) == (200, 65_536, " ...")


def test_size_of_the_catalogue() -> None:
    """There are at least 120 entries, none of them twice."""
    assert len(CATALOGUE) >= 120
    assert len({case.about for case in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("case", CATALOGUE, ids=[case.about for case in CATALOGUE])
def test_bad_review(case: Case) -> None:
    """The answer is as the catalogue says."""
    status, answer = AdmissionHandlers(gang=("volcano",)).handle_review(case.path, case.body, case.content_type)
    assert status == case.http
    assert b"Traceback" not in answer
    told = json.loads(answer)
    if case.code is None:
        assert (told["kind"], told["code"]) == ("Status", case.http)
        assert case.words in told["message"]
        return
    response = told["response"]
    assert set(response) <= {"uid", "allowed", "status", "warnings"}
    assert (response["uid"], response["allowed"], response["status"]["code"]) == (UID, False, case.code)
    assert case.words in response["status"]["message"]
    assert response["status"]["code"] < 500


@pytest.mark.parametrize("path", [MUTATE_LEADERWORKERSET, VALIDATE_LEADERWORKERSET, MUTATE_POD, VALIDATE_POD])
def test_bodies_at_other_paths(path: str) -> None:
    """Whatever the body and the path, there is no 5xx and no traceback, and pods of no set are never patched."""
    handlers = AdmissionHandlers(gang=("volcano",))
    for case in CATALOGUE:
        status, answer = handlers.handle_review(path, case.body, case.content_type)
        assert status in (200, 400, 413, 415)
        told = json.loads(answer)
        if status == 200 and not told["response"]["allowed"]:
            assert told["response"]["status"]["code"] < 500
            assert "patch" not in told["response"]
            assert "could not be judged" not in told["response"]["status"]["message"], case.about


@pytest.mark.parametrize(
    "spec", [7, "x", [], {"leaderWorkerTemplate": 7}, {"rolloutStrategy": "x"}, {"networkConfig": []}]
)
def test_defaulting_leaves_wrong_types_alone(spec: object) -> None:
    """What the schema will refuse is allowed here; nothing of a wrong type is patched."""
    given = {**lws(), "spec": spec}
    status, answer = AdmissionHandlers().handle_review(MUTATE_LEADERWORKERSET, encode(review(given)))
    assert (status, json.loads(answer)["response"]["allowed"]) == (200, True)


@pytest.mark.parametrize("path", [MUTATE_POD, VALIDATE_POD])
def test_a_large_review_is_answered_quickly(path: str) -> None:
    """A review just below the limit is answered, in far less than an API server waits."""
    given = pod()
    given["metadata"]["annotations"]["large"] = "x" * (LARGEST_BODY // 2)
    given["spec"]["containers"] = [
        {"name": f"c{index}", "image": "i", "env": [{"name": f"E{entry}", "value": "v"} for entry in range(20)]}
        for index in range(2_000)
    ]
    body = encode(review(given))
    assert LARGEST_BODY * 0.6 < len(body) <= LARGEST_BODY
    began = time.perf_counter()
    status, answer = AdmissionHandlers().handle_review(path, body)
    assert time.perf_counter() - began < 5
    assert json.loads(answer)["response"]["allowed"] is True
    assert status == 200


def test_damaged_reviews() -> None:
    """4,000 good reviews with random damage (bytes changed, cut, doubled) never give a 5xx or another uid."""
    chance = random.Random(7)
    handlers = AdmissionHandlers(gang=("volcano",))
    good = [
        (path, encode(review(obj, old, operation=operation)))
        for path, obj, old, operation in (
            (MUTATE_POD, pod(), None, "CREATE"),
            (MUTATE_LEADERWORKERSET, lws(), None, "CREATE"),
            (VALIDATE_LEADERWORKERSET, lws(), lws(), "UPDATE"),
        )
    ]
    for _ in range(4_000):
        path, body = chance.choice(good)
        damaged = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(damaged))
            match chance.randrange(4):
                case 0:
                    damaged[place] = chance.randrange(256)
                case 1:
                    del damaged[place : place + chance.randint(1, 20)]
                case 2:
                    damaged[place:place] = damaged[place : place + chance.randint(1, 20)]
                case _:
                    damaged[place:place] = chance.choice([b"null", b"{}", b"[]", b'"', b"1e400", b"-0", b",", b"}"])
        status, answer = handlers.handle_review(path, bytes(damaged))
        assert status in (200, 400)
        told = json.loads(answer)
        if status == 200:
            assert told["response"].get("status", {"code": 200})["code"] < 500
            assert told["response"]["uid"]
            assert "could not be judged" not in told["response"].get("status", {}).get("message", "")
