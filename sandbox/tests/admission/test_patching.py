"""JSON patches in the words of the server's library."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.apimachinery.manifests import JSON
from lws.webhook.patch import difference
from lws_sandbox.admission.patching import PatchError, apply, decode

DOCUMENT: JSON = {"data": {"k": "v"}, "list": [1, 2, 3], "a/b": {"c~d": 1}}


def op(kind: str, path: Any = None, **members: Any) -> JSON:
    """One operation."""
    return {"op": kind, **({} if path is None else {"path": path}), **members}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (op("add", "/data/x", value=1), {"data": {"k": "v", "x": 1}}),
        (op("add", "/list/0", value=0), {"list": [0, 1, 2, 3]}),
        (op("add", "/list/-", value=4), {"list": [1, 2, 3, 4]}),
        (op("add", "/list/-1", value=9), {"list": [1, 2, 3, 9]}),
        (op("remove", "/list/-1"), {"list": [1, 2]}),
        (op("replace", "/data/none", value=1), {"data": {"k": "v", "none": 1}}),
        (op("replace", "/list/1", value=9), {"list": [1, 9, 3]}),
        (op("add", "/a~1b/c~0d", value=2), {"a/b": {"c~d": 2}}),
        (op("move", "/x", **{"from": "/data"}), {"x": {"k": "v"}}),
        (op("copy", "/x", **{"from": "/data/k"}), {"x": "v"}),
        (op("test", "/data/k", value="v"), {}),
        (op("test", "/data/none", value=None), {}),
        (op("add", "/x"), {"x": None}),
    ],
)
def test_operations(operation: JSON, expected: JSON) -> None:
    """Operations do what the library makes of them; the document given stays."""
    before = copy.deepcopy(DOCUMENT)
    wanted = {**DOCUMENT, **expected}
    if operation["op"] == "move":
        del wanted["data"]
    assert apply(DOCUMENT, [operation]) == wanted
    assert before == DOCUMENT


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (op("add"), "add operation failed to decode path: missing value"),
        (op("add", "/none/x", value=1), 'add operation does not apply: doc is missing path: "/none/x": missing value'),
        (op("add", "", value={}), 'add operation does not apply: doc is missing path: "": missing value'),
        (
            op("add", "/list/7", value=1),
            "error in add for path: '/list/7': Unable to access invalid index: 7: invalid index referenced",
        ),
        (
            op("add", "/list/x", value=1),
            (
                "error in add for path: '/list/x': value was not a proper array index: 'x': "
                'strconv.Atoi: parsing "x": invalid syntax'
            ),
        ),
        (
            op("remove", "/data/none"),
            "error in remove for path: '/data/none': Unable to remove nonexistent key: none: missing value",
        ),
        (op("remove", "/none/x"), 'remove operation does not apply: doc is missing path: "/none/x": missing value'),
        (
            op("remove", "/list/3"),
            "error in remove for path: '/list/3': Unable to access invalid index: 3: invalid index referenced",
        ),
        (
            op("replace", "/none/x", value=1),
            "replace operation does not apply: doc is missing path: /none/x: missing value",
        ),
        (
            op("replace", "/list/9", value=1),
            "replace operation does not apply: doc is missing key: /list/9: missing value",
        ),
        (op("move", "/x"), "move operation failed to decode from: missing value"),
        (
            op("move", "/x", **{"from": "/none/a"}),
            "move operation does not apply: doc is missing from path: /none/a: missing value",
        ),
        (
            op("move", "/x", **{"from": "/none"}),
            "error in move for path: 'none': Unable to remove nonexistent key: none: missing value",
        ),
        (
            op("move", "/none/x", **{"from": "/data"}),
            "move operation does not apply: doc is missing destination path: /none/x: missing value",
        ),
        (
            op("copy", "/x", **{"from": "/list/9"}),
            "error in copy for from: '/list/9': Unable to access invalid index: 9: invalid index referenced",
        ),
        (op("test", "/data/k", value="w"), "testing value /data/k failed: test failed"),
        (op("test", "/none/x", value=1), "test operation does not apply: is missing path: /none/x: missing value"),
        (op("frob", "/x"), "Unexpected kind: frob"),
        ({}, "Unexpected kind: unknown"),
    ],
)
def test_errors(operation: JSON, said: str) -> None:
    """What cannot be done is told word by word."""
    with pytest.raises(PatchError) as caught:
        apply(DOCUMENT, [operation])
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{{", "invalid character '{' looking for beginning of object key string"),
        (b"{}", "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (b"[1]", "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
    ],
)
def test_no_patch(raw: bytes, said: str) -> None:
    """What is no list of operations cannot be read."""
    with pytest.raises(PatchError) as caught:
        decode(raw)
    assert str(caught.value) == said


def test_null_is_an_empty_patch() -> None:
    """Null decodes to no operations, as in Go."""
    assert decode(b"null") == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("a/~", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a/~", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(before=VALUES, after=VALUES)
def test_agrees_with_another_implementation(before: Any, after: Any) -> None:
    """On patches that the webhook makes, the result is that of another library."""
    patch = difference({"root": before}, {"root": after})
    assert apply({"root": before}, patch) == jsonpatch.apply_patch({"root": copy.deepcopy(before)}, patch)
