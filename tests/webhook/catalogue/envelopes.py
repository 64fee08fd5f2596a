"""Bodies, envelopes, content types and sizes that are wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from lws.webhook.handlers import MUTATE_LEADERWORKERSET, MUTATE_POD, VALIDATE_LEADERWORKERSET, VALIDATE_POD
from lws.webhook.review import LARGEST_BODY
from tests.webhook.catalogue.case import ABSENT, Case, edited
from tests.webhook.reviews import LWS_KIND, UID, encode, lws, pod, review


def no_json() -> Iterator[Case]:
    """Bodies that are no JSON in UTF-8: nothing can be answered under a uid."""
    good = encode(review(pod()))
    bodies = {
        "empty": b"",
        "blank": b" \r\n\t",
        "open object": b"{",
        "open list": b"[",
        "half a literal": b"nul",
        "a word": b"hello",
        "html": b"<html><body>502</body></html>",
        "yaml": b"apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\n",
        "a form": b"uid=1&operation=CREATE",
        "byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-32": good.decode().encode("utf-32"),
        "trailing comma": good[:-1] + b",}",
        "single quotes": good.replace(b'"', b"'"),
        "a comment": b"/* x */" + good,
        "two documents": good + good,
        "trailing garbage": good + b"x",
        "unterminated": good[:-1],
        "cut in the middle": good[: len(good) // 2],
        "NUL in front": b"\0" + good,
        "NaN": good.replace(b'"dryRun": false', b'"dryRun": NaN'),
        "Infinity": good.replace(b'"dryRun": false', b'"dryRun": -Infinity'),
        "hexadecimal": good.replace(b'"dryRun": false', b'"dryRun": 0x10'),
        "leading zero": good.replace(b'"dryRun": false', b'"dryRun": 007'),
        "plus sign": good.replace(b'"dryRun": false', b'"dryRun": +1'),
        "control character in a string": good.replace(b"m-0", b"m\x01-0"),
        "bad escape": good.replace(b"m-0", b"m\\x-0"),
        "half a surrogate in the uid": good.replace(UID.encode(), b"\\ud800"),
        "not UTF-8 in the uid": good.replace(UID.encode(), b"\xff\xfe"),
        "protobuf": b"k8s\x00\x0a\x10" + good,
        "gzip": gzip.compress(good),
        "a list a million deep": b"[" * 1_000_000,
        "objects a hundred thousand deep": b'{"request":' * 100_000,
        "an object two thousand deep in a pod": good.replace(
            b'"dryRun": false', b'"dryRun": ' + b"[" * 2_000 + b"]" * 2_000
        ),
    }
    for about, body in bodies.items():
        yield Case(f"no JSON: {about}", MUTATE_POD, body, 400, None, "not an AdmissionReview: ")


def no_uid() -> Iterator[Case]:
    """JSON from which no uid can be read."""
    good = review(pod())
    values: dict[str, Any] = {
        "null": None,
        "true": True,
        "a number": 7,
        "a text": "review",
        "a list": [],
        "an empty object": {},
        "a review in a list": [good],
        "no request": edited(good, "request", ABSENT),
        "request null": edited(good, "request", None),
        "request a number": edited(good, "request", 3),
        "request a list": edited(good, "request", [good["request"]]),
        "request a text": edited(good, "request", json.dumps(good["request"])),
        "no uid": edited(good, "request.uid", ABSENT),
        "uid null": edited(good, "request.uid", None),
        "uid a number": edited(good, "request.uid", 705),
        "uid true": edited(good, "request.uid", True),
        "uid an object": edited(good, "request.uid", {"uid": UID}),
        "uid a list": edited(good, "request.uid", [UID]),
        "uid empty": edited(good, "request.uid", ""),
        "uid one level up": {**edited(good, "request.uid", ABSENT), "uid": UID},
        "Uid in capitals": edited(edited(good, "request.uid", ABSENT), "request.UID", UID),
    }
    for about, value in values.items():
        yield Case(f"no uid: {about}", MUTATE_POD, encode(value), 400, None, "not an AdmissionReview: ")


def envelopes() -> Iterator[Case]:
    """Reviews of a wrong version or shape: refused under their uid."""
    good = review(pod())
    only, shape = "only admission.k8s.io/v1 AdmissionReview is understood, not ", "not an AdmissionReview: "
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    rows: list[tuple[str, Any, str]] = [
        ("apiVersion", ABSENT, shape),
        ("apiVersion", None, shape),
        ("apiVersion", 1, shape),
        ("apiVersion", "", only),
        ("apiVersion", "admission.k8s.io/v1beta1", only + "admission.k8s.io/v1beta1 AdmissionReview"),
        ("apiVersion", "admission.k8s.io/v2", only),
        ("apiVersion", "admission.k8s.io/V1", only),
        ("apiVersion", "v1", only),
        ("apiVersion", "authentication.k8s.io/v1", only),
        ("apiVersion", "x" * 10_000, only + "x" * 100 + " AdmissionReview"),
        ("kind", ABSENT, shape),
        ("kind", None, shape),
        ("kind", ["AdmissionReview"], shape),
        ("kind", "AdmissionRequest", only + "admission.k8s.io/v1 AdmissionRequest"),
        ("kind", "admissionreview", only),
        ("kind", "TokenReview", only),
        ("request.operation", ABSENT, shape),
        ("request.operation", None, shape),
        ("request.operation", 1, shape),
        ("request.operation", "", "unknown operation "),
        ("request.operation", "create", "unknown operation create"),
        ("request.operation", "PATCH", "unknown operation PATCH"),
        ("request.operation", "*", "unknown operation *"),
        ("request.kind", ABSENT, shape),
        ("request.kind", None, shape),
        ("request.kind", "Pod", shape),
        ("request.kind", [], shape),
        ("request.kind", {**kind, "kind": 3}, shape),
        ("request.kind", {**kind, "version": None}, shape),
        ("request.kind", {}, "expected kind /v1, Kind=Pod, not /, Kind="),
        ("request.kind", {**kind, "kind": "Service"}, "expected kind /v1, Kind=Pod, not /v1, Kind=Service"),
        ("request.kind", {**kind, "kind": "pod"}, "expected kind /v1, Kind=Pod, not /v1, Kind=pod"),
        ("request.kind", {**kind, "version": "v2"}, "expected kind /v1, Kind=Pod, not /v2, Kind=Pod"),
        ("request.kind", {**kind, "group": "core"}, "expected kind /v1, Kind=Pod, not core/v1, Kind=Pod"),
        (
            "request.kind",
            LWS_KIND,
            "expected kind /v1, Kind=Pod, not leaderworkerset.x-k8s.io/v1, Kind=LeaderWorkerSet",
        ),
        ("request.name", 7, shape),
        ("request.namespace", ["default"], shape),
        ("request.subResource", {}, shape),
    ]
    for place, value, words in rows:
        shown = "absent" if value is ABSENT else json.dumps(value)[:60]
        yield Case(f"envelope: {place} {shown}", MUTATE_POD, encode(edited(good, place, value)), 200, 400, words)
    alpha = {**LWS_KIND, "version": "v1alpha1"}
    body = encode(edited(review(lws()), "request.kind", alpha))
    yield Case("envelope: another LWS version", MUTATE_LEADERWORKERSET, body, 200, 400, "expected kind ")
    yield Case("envelope: pod at the LWS hook", VALIDATE_LEADERWORKERSET, encode(good), 200, 400, "expected kind ")
    yield Case("envelope: LWS at the pod hook", VALIDATE_POD, encode(review(lws())), 200, 400, "expected kind ")


def transport() -> Iterator[Case]:
    """Content types, sizes and paths."""
    good = encode(review(pod()))
    wrong = "content type must be application/json, not "
    for content_type in (
        "",
        "text/plain",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json5",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=x",
        "/",
        ";",
        "x" * 10_000,
    ):
        words = f"{wrong}{content_type[:100] or 'absent'}"
        yield Case(f"content type {content_type[:40]!r}", MUTATE_POD, good, 200, 415, words, content_type)
        yield Case(f"content type {content_type[:40]!r}, no JSON", MUTATE_POD, b"{", 415, None, wrong, content_type)
    big = good + b" " * (LARGEST_BODY + 1 - len(good))
    yield Case("a body one byte too large", MUTATE_POD, big, 413, None, f"the body exceeds {LARGEST_BODY} bytes")
    for path in ("/", "", "/mutate", "/mutate--v1-pod/", "/MUTATE--V1-POD", "/convert", "/../mutate--v1-pod"):
        yield Case(f"path {path!r}", path, good, 404, None, "no such webhook")
