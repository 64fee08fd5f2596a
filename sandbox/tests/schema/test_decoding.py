"""Request bodies become objects, or are refused in the words of a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import Schema, builtin_schema, decode
from lws_sandbox.schema.decoding import check_version, decode_applied
from lws_sandbox.status import StatusError

CONFIG_MAP = builtin_schema("v1", "ConfigMap")
POD = builtin_schema("v1", "Pod")
STATEFUL_SET = builtin_schema("apps/v1", "StatefulSet")
THING = Schema.of_custom(
    "example.org/v1",
    "Thing",
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "n": {"type": "integer"},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "pod": {
                        "type": "object",
                        "x-kubernetes-embedded-resource": True,
                        "x-kubernetes-preserve-unknown-fields": True,
                    },
                },
            }
        },
    },
)


def pod(**spec: Any) -> JSON:
    """A pod with one container, or with other members of the spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c"}], **spec},
    }


def thing(**members: Any) -> JSON:
    """A custom object."""
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}, **members}


def read(body: Any, schema: Schema, field_validation: str = "") -> tuple[JSON, list[str]]:
    """Decode a body, given as a value or as text."""
    raw = body if isinstance(body, str) else json.dumps(body)
    return decode(raw.encode(), "application/json", schema, field_validation)


def refusal(body: Any, schema: Schema, field_validation: str = "", media: str = "application/json") -> StatusError:
    """What a body is refused with."""
    raw = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(StatusError) as caught:
        decode(raw.encode(), media, schema, field_validation)
    return caught.value


UNKNOWN = [
    (CONFIG_MAP, {"kind": "ConfigMap", "Data": {"k": "v"}}, ["Data"]),
    (CONFIG_MAP, {"metadata": {"Labels": {}, "annotation": {}}}, ["metadata.Labels", "metadata.annotation"]),
    (
        POD,
        pod(containers=[{"name": "c", "x": 1, "ports": [{"containerPort": 80, "prot": "TCP"}]}], nodeSelecter={}),
        ["spec.containers[0].x", "spec.containers[0].ports[0].prot", "spec.nodeSelecter"],
    ),
    (THING, thing(spec={"m": 1}, more=1), ["more", "spec.m"]),
    (THING, thing(metadata={"name": "a", "annotation": {}}), ["metadata.annotation"]),
    (THING, thing(spec={"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"x": 1}}}), ["spec.pod.metadata.x"]),
]


@pytest.mark.parametrize(("schema", "body", "paths"), UNKNOWN)
def test_unknown_fields_warn_and_go(schema: Schema, body: JSON, paths: list[str]) -> None:
    """Unless told otherwise the server warns of each unknown field and drops it."""
    obj, warnings = read(body, schema)
    assert warnings == [f'unknown field "{path}"' for path in paths]
    assert read(obj, schema) == (obj, [])


@pytest.mark.parametrize(("schema", "body", "paths"), UNKNOWN)
def test_unknown_fields_fail_when_strict(schema: Schema, body: JSON, paths: list[str]) -> None:
    """Strict validation refuses with 400 and tells all fields at once."""
    error = refusal(body, schema, "Strict")
    listed = ", ".join(f'unknown field "{path}"' for path in paths)
    version = schema.api_version.rpartition("/")[2]
    text = f'{schema.kind} in version "{version}" cannot be handled as a {schema.kind}: strict decoding error: {listed}'
    assert (error.code, error.message) == (400, text)


@pytest.mark.parametrize(("schema", "body", "paths"), UNKNOWN)
def test_unknown_fields_go_silently_when_ignored(schema: Schema, body: JSON, paths: list[str]) -> None:
    """Ignore drops without a warning what Warn drops with one."""
    assert paths
    assert read(body, schema, "Ignore") == (read(body, schema)[0], [])


def test_a_field_that_comes_twice() -> None:
    """The last one counts, and the server warns of the repetition."""
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"labels":{"a":"1","a":"2"}},"data":{"k":"1","k":"2"}}'
    obj, warnings = read(text, CONFIG_MAP)
    assert obj["data"] == {"k": "2"}
    assert warnings == ['duplicate field "metadata.labels.a"', 'duplicate field "data.k"']


def test_what_a_schema_keeps_is_kept() -> None:
    """Below x-kubernetes-preserve-unknown-fields everything stays as it came."""
    body = thing(spec={"free": {"a": [1, {"b": None}]}})
    assert read(body, THING) == (body, [])


TYPE_ERRORS = [
    (
        STATEFUL_SET,
        {"spec": {"replicas": "two"}},
        "json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32",
    ),
    (
        STATEFUL_SET,
        {"spec": {"replicas": 1.5}},
        "json: cannot unmarshal number 1.5 into Go struct field StatefulSetSpec.spec.replicas of type int32",
    ),
    (
        POD,
        pod(containers=[{"ports": [{"containerPort": "http"}]}]),
        (
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort "
            "of type int32"
        ),
    ),
    (POD, {"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
    (
        POD,
        {"metadata": {"name": 5}},
        "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
    ),
    (
        POD,
        pod(containers=[{"resources": {"limits": {"cpu": "lots"}}}]),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
]


@pytest.mark.parametrize(("schema", "body", "why"), TYPE_ERRORS)
def test_wrong_types_fail_in_the_words_of_go(schema: Schema, body: JSON, why: str) -> None:
    """A value that does not fit its Go type is 400, and the text names field and type."""
    error = refusal(body, schema)
    version = schema.api_version.rpartition("/")[2]
    assert error.message == f'{schema.kind} in version "{version}" cannot be handled as a {schema.kind}: {why}'
    assert error.code == 400


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ({"targetPort": 8080}, {"port": 80, "targetPort": 8080}),
        ({"targetPort": "http"}, {"port": 80, "targetPort": "http"}),
    ],
)
def test_int_or_string(sent: JSON, read_as: JSON) -> None:
    """A number stays a number, a text a text."""
    body = {"spec": {"ports": [{"port": 80, **sent}]}}
    obj, _ = read(body, builtin_schema("v1", "Service"))
    assert obj["spec"]["ports"] == [read_as]


def test_quantities_and_times_take_their_own_form() -> None:
    """What comes out of Go's types is canonical: 0.5 is 500m, 1024Mi is 1Gi, and times are in UTC."""
    limits = {"cpu": "0.5", "memory": "1024Mi"}
    body = pod(containers=[{"name": "c", "resources": {"limits": limits}}])
    body["metadata"]["deletionTimestamp"] = "2026-01-01T02:00:00+02:00"
    obj, _ = read(body, POD)
    assert obj["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    assert obj["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"


def test_yaml_is_read_as_json_is() -> None:
    """A YAML body gives the same object as its JSON twin."""
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: 'on'\n"
    twin = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "on"}}
    assert decode(text, "application/yaml", CONFIG_MAP) == read(twin, CONFIG_MAP)


@pytest.mark.parametrize(
    ("body", "schema", "media", "code", "text"),
    [
        ("{}", CONFIG_MAP, "text/plain", 415, "the body of the request was in an unknown format"),
        ("{", CONFIG_MAP, "application/json", 400, "json parse error: unexpected end of JSON input"),
        ("[]", CONFIG_MAP, "application/json", 400, "json: cannot unmarshal array into Go value of type struct"),
        ('{"apiVersion":"example.org/v1"}', THING, "application/json", 400, "Object 'Kind' is missing in"),
        ('{"kind":"Secret","apiVersion":"v1"}', CONFIG_MAP, "application/json", 400, "ConfigMap"),
    ],
)
def test_bodies_that_are_no_objects(body: str, schema: Schema, media: str, code: int, text: str) -> None:
    """What is no object of the kind is refused before anything else is looked at."""
    error = refusal(body, schema, media=media)
    assert error.code == code
    assert text in error.message


def test_the_version_in_the_body_must_be_that_of_the_path() -> None:
    """A body of another version is 400."""
    with pytest.raises(StatusError) as caught:
        check_version({"apiVersion": "example.org/v2", "kind": "Thing"}, THING)
    expected = "the API version in the data (example.org/v2) does not match the expected API version (example.org/v1)"
    assert (caught.value.code, caught.value.message) == (400, expected)


def test_bodies_of_an_apply() -> None:
    """They are read as written; members that come twice warn, or fail when strict."""
    twice = b"metadata:\n  name: a\n  name: b\n"
    obj, warnings = decode_applied(twice)
    assert obj == {"metadata": {"name": "b"}}
    assert len(warnings) == 1
    with pytest.raises(StatusError) as caught:
        decode_applied(twice, "Strict")
    assert caught.value.message.startswith("error strict decoding patch: error converting YAML to JSON: ")
    with pytest.raises(StatusError) as caught:
        decode_applied(b"- a\n")
    assert caught.value.message.startswith("error decoding YAML: ")


def test_numbers_that_go_cannot_hold() -> None:
    """Where no type is known a number beyond 64 bits is a float."""
    obj, _ = read(thing(spec={"free": {"a": 10**20, "b": 2**53}}), THING)
    assert repr(obj["spec"]["free"]) == "{'a': 1e+20, 'b': 9007199254740992}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\ud800x", "\ufffdx"),
        (r"\uDC00\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\\ud800", r"\ud800"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(text: str, value: str) -> None:
    """As in Go, a character that cannot be becomes U+FFFD; pairs and escaped backslashes stay."""
    body = '{"metadata":{"name":"a"},"data":{"k":"' + text + '"}}'
    assert decode(body.encode(), "application/json", CONFIG_MAP)[0]["data"] == {"k": value}


def test_raw_data_holds_numbers_as_go_does() -> None:
    """Numbers of any size are no reason to fail."""
    body = b'{"metadata":{"name":"a"},"revision":1,"data":{"a":123456789012345678901234567890,"b":1.5}}'
    revision, _ = decode(body, "application/json", builtin_schema("apps/v1", "ControllerRevision"))
    assert revision["data"] == {"a": 123456789012345678901234567890.0, "b": 1.5}
