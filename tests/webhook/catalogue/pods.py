"""Objects that are missing or malformed, and pods that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lws.api.leaderworkerset import labels as keys
from lws.apimachinery.manifests import JSON
from lws.webhook.handlers import MUTATE_POD, VALIDATE_LEADERWORKERSET, VALIDATE_POD
from tests.webhook.catalogue.case import ABSENT, Case, edited
from tests.webhook.reviews import encode, lws, pod, review


def objects() -> Iterator[Case]:
    """Objects that are missing or are something else than the request says."""
    good = review(pod())
    rows: list[tuple[str, Any, str]] = [
        ("request.object", ABSENT, "request.object is missing or no object"),
        ("request.object", None, "request.object is missing or no object"),
        ("request.object", 7, "request.object is missing or no object"),
        ("request.object", "pod", "request.object is missing or no object"),
        ("request.object", [pod()], "request.object is missing or no object"),
        ("request.object", {}, "request.object is not of the kind of the request, /v1, Kind=Pod"),
        ("request.object", lws(), "request.object is not of the kind of the request, /v1, Kind=Pod"),
        ("request.object.kind", ABSENT, "request.object is not of the kind"),
        ("request.object.kind", "PodList", "request.object is not of the kind"),
        ("request.object.apiVersion", ABSENT, "request.object is not of the kind"),
        ("request.object.apiVersion", "v2", "request.object is not of the kind"),
        ("request.object.apiVersion", ["v1"], "request.object is not of the kind"),
    ]
    for place, value, words in rows:
        shown = "absent" if value is ABSENT else json.dumps(value)[:30]
        yield Case(f"object: {place} {shown}", MUTATE_POD, encode(edited(good, place, value)), 200, 400, words)
        if "object." not in place:
            body = encode(edited(good, place, value))
            yield Case(f"object at the validating hook: {shown}", VALIDATE_POD, body, 200, 400, words)
    raw = encode(good)
    number = raw.replace(b'"image": "i"', b'"image": 1e999')
    yield Case("object: a number beyond all range", MUTATE_POD, number, 200, 400, "request.object: ")
    coded = raw.replace(b'"image": "i"', b'"image": "\xff"')
    yield Case("object: not UTF-8", MUTATE_POD, coded, 200, 400, "request.object: not UTF-8")
    half = raw.replace(b'"image": "i"', b'"image": "\\udc00"')
    yield Case("object: half a surrogate", MUTATE_POD, half, 400, None, "not an AdmissionReview: ")
    update = review(lws(), lws(), operation="UPDATE")
    missing = "request.oldObject is missing or no object"
    for about, value, words in (
        ("absent", ABSENT, missing),
        ("null", None, missing),
        ("a list", [], missing),
        ("a pod", pod(), "request.oldObject is not of the kind"),
    ):
        body = encode(edited(update, "request.oldObject", value))
        yield Case(f"oldObject: {about}", VALIDATE_LEADERWORKERSET, body, 200, 400, words)


def malformed_pods() -> Iterator[Case]:
    """Pods whose members have other types than the API gives them."""
    rows: list[tuple[str, Any]] = [
        ("metadata", 7),
        ("metadata", []),
        ("metadata.name", 7),
        ("metadata.namespace", {}),
        ("metadata.labels", []),
        ("metadata.labels", "a=b"),
        (f"metadata|labels|{keys.WORKER_INDEX}", 0),
        (f"metadata|annotations|{keys.SIZE}", 2),
        (f"metadata|annotations|{keys.SIZE}", ["2"]),
        ("metadata.annotations", True),
        ("spec", "pod"),
        ("spec.subdomain", 7),
        ("spec.containers", {}),
        ("spec.containers", [None]),
        ("spec.containers", ["main"]),
        ("spec.containers.0.env", {}),
        ("spec.containers.0.env", [None]),
        ("spec.containers.0.env", [{"name": 7}]),
        ("spec.containers.0.env", [{"name": "A", "value": 7}]),
        ("spec.containers.0.resources", []),
        ("spec.containers.0.resources", {"limits": ["google.com/tpu"]}),
        ("spec.containers.0.resources", {"limits": {"google.com/tpu": {}}}),
        ("spec.initContainers", "none"),
        ("spec.affinity", "none"),
        ("spec.affinity", {"podAffinity": []}),
        ("spec.affinity", {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [7]}}),
    ]
    for place, value in rows:
        body = encode(review(edited(pod(), place, value)))
        yield Case(f"malformed pod: {place} {json.dumps(value)[:40]}", MUTATE_POD, body, 200, 400, "no pod: Expected ")
    for quantity in ("many", "1_0", "４", "0x4", "1e5000", "--1", "", "9" * 5000 + "x"):
        place = "spec.containers.0.resources"
        body = encode(review(edited(pod(), place, {"limits": {"google.com/tpu": quantity}})))
        yield Case(f"malformed pod: {quantity[:20]!r} TPUs", MUTATE_POD, body, 200, 400, "quantity of google.com/tpu: ")


def refused_pods() -> Iterator[Case]:
    """Pods whose place in a group cannot be told (spec 4)."""
    syntax = "strconv.Atoi: parsing {}: invalid syntax"
    size = f"metadata|annotations|{keys.SIZE}"
    missing = "size annotation is unexpectedly missing for pod m-0"
    yield _pod("no size", size, ABSENT, missing)
    yield _pod("annotations null", "metadata.annotations", None, missing)
    for text, shown in (
        ("", '""'),
        ("four", '"four"'),
        ("1_0", '"1_0"'),
        ("１", '"１"'),
        ("10\n", '"10\\n"'),
        (" 2", '" 2"'),
        ("0x10", '"0x10"'),
        ("1e3", '"1e3"'),
        ("2.0", '"2.0"'),
        ('"; drop', '"\\"; drop"'),
        ("\u202e2", '"\\u202e2"'),
        ("\0", '"\\x00"'),
    ):
        yield _pod(f"size {shown}", size, text, syntax.format(shown))
    yield _pod("size null", size, None, syntax.format('""'))
    digits = "9" * 20
    yield _pod("size beyond 64 bits", size, digits, f'strconv.Atoi: parsing "{digits}": value out of range')
    for name in ("m", "m-", "m-x", "m-2147483648", "m-" + "9" * 5000, "m-１", "m-0\n", ""):
        yield _pod(f"name {name[:20]!r}", "metadata.name", name, f"parsing pod ordinal for pod {name}")
    worker = pod("m-0-1", worker_index=None)
    worker["metadata"]["labels"][keys.GROUP_INDEX] = "0"
    subgroup = f"metadata|annotations|{keys.SUBGROUP_SIZE}"
    for text, words in (
        ("0", "subgroup size must be at least 1 for pod m-0-1"),
        ("-1", "subgroup size must be at least 1 for pod m-0-1"),
        ("x", syntax.format('"x"')),
        ("", syntax.format('""')),
        ("1_0", syntax.format('"1_0"')),
    ):
        yield _refused(f"worker with subgroup size {text!r}", edited(worker, subgroup, text), words)
    lost = edited(worker, f"metadata|labels|{keys.GROUP_INDEX}", ABSENT)
    words = "Failure constructing environment variables, no group index label found for pod default/m-0-1"
    yield _refused("worker without group", lost, words)
    tpus = edited(pod(), "spec.containers.0.resources", {"limits": {"google.com/tpu": "4"}})
    huge = edited(tpus, size, "9000000000000000000")
    yield _refused(
        "more TPU hosts than fit", huge, "the names of 9000000000000000000 TPU hosts do not fit into pod m-0"
    )
    excluded = edited(tpus, subgroup, "2")
    excluded["metadata"]["annotations"][keys.SUBGROUP_POLICY_TYPE] = "LeaderExcluded"
    yield _refused("excluded leader with TPUs", excluded, syntax.format('""'))
    nobody = edited(tpus, "metadata.name", "-3")
    del nobody["metadata"]["labels"][keys.WORKER_INDEX]
    yield _refused("TPU worker without a leader", nobody, "parsing parent name from pod -3")


def _pod(about: str, place: str, value: Any, words: str) -> Case:
    return _refused(about, edited(pod(), place, value), words)


def _refused(about: str, manifest: JSON, words: str) -> Case:
    return Case(f"refused pod: {about}", MUTATE_POD, encode(review(manifest)), 200, 403, words)
