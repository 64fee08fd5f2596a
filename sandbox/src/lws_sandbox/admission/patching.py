"""JSON patches of webhooks, applied with the liberties and the error texts of the server's own library.

The library (evanphx/json-patch, version 4) replaces members that are not there, counts negative indices from the end,
and takes any path step that resolves. Its texts reach the client in a 500, so they are kept word by word.
"""

from __future__ import annotations

from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.patching.json_patch import same
from lws_sandbox.schema import gojson

_MISSING = "missing value"
_BAD_INDEX = "invalid index referenced"
_TEST_FAILED = "test failed"


class PatchError(Exception):
    """An operation cannot be done; the message is the library's."""


def decode(raw: bytes) -> list[JSON]:
    """The operations of a patch.

    Raises:
        PatchError: it is none.
    """
    try:
        operations = gojson.loads(raw)
    except gojson.JsonError as error:
        raise PatchError(str(error)) from error
    if operations is None:
        return []
    if not isinstance(operations, list):
        what = gojson.type_name(operations)
        raise PatchError(f"json: cannot unmarshal {what} into Go value of type jsonpatch.Patch")
    for operation in operations:
        if not isinstance(operation, dict):
            what = gojson.type_name(operation)
            raise PatchError(f"json: cannot unmarshal {what} into Go value of type jsonpatch.Operation")
    return operations


def apply(document: JSON, operations: list[JSON]) -> JSON:
    """The document after all operations; the one given stays as it was.

    Raises:
        PatchError: one cannot be done.
    """
    patched = {"": copied(document)}  # the whole document is a member, so that it can be replaced
    for operation in operations:
        _apply(patched, operation)
    result = patched[""]
    if not isinstance(result, dict):
        raise PatchError("couldn't get version/kind; json parse error: the patched document is no object")
    return result


def _apply(root: JSON, operation: JSON) -> None:
    kind = operation.get("op")
    match kind:
        case "add":
            path = _text(operation, "path", f"add operation failed to decode path: {_MISSING}")
            missing = f'add operation does not apply: doc is missing path: "{path}": {_MISSING}'
            container, key = _place(root, path, missing)
            _in_place(f"error in add for path: '{path}'", _add, container, key, copied(operation.get("value")))
        case "remove":
            path = _text(operation, "path", f"remove operation failed to decode path: {_MISSING}")
            missing = f'remove operation does not apply: doc is missing path: "{path}": {_MISSING}'
            container, key = _place(root, path, missing)
            _in_place(f"error in remove for path: '{path}'", _remove, container, key)
        case "replace":
            _replace(root, operation)
        case "move" | "copy":
            _transfer(root, operation, kind)
        case "test":
            _test(root, operation)
        case _:
            raise PatchError(f"Unexpected kind: {kind if isinstance(kind, str) else 'unknown'}")


def _replace(root: JSON, operation: JSON) -> None:
    path = _text(operation, "path", f"replace operation failed to decode path: {_MISSING}")
    value = copied(operation.get("value"))
    if path == "":
        if not isinstance(value, dict | list):
            raise PatchError("replace operation value must be object or array: %!w(<nil>)")
        root[""] = value
        return
    container, key = _place(root, path, f"replace operation does not apply: doc is missing path: {path}: {_MISSING}")
    try:
        _get(container, key)
    except PatchError as error:
        raise PatchError(f"replace operation does not apply: doc is missing key: {path}: {_MISSING}") from error
    if isinstance(container, list):
        container[_index(key, len(container))] = value
    else:
        container[key] = value


def _transfer(root: JSON, operation: JSON, kind: str) -> None:
    origin = _text(operation, "from", f"{kind} operation failed to decode from: {_MISSING}")
    missing = f"{kind} operation does not apply: doc is missing from path: {origin}: {_MISSING}"
    container, key = _place(root, origin, missing)
    failed = f"error in move for path: '{key}'" if kind == "move" else f"error in copy for from: '{origin}'"
    value = _in_place(failed, _get, container, key)
    if kind == "move":
        _in_place(failed, _remove, container, key)
    path = _text(operation, "path", f"{kind} operation failed to decode path: {_MISSING}")
    missing = f"{kind} operation does not apply: doc is missing destination path: {path}: {_MISSING}"
    container, key = _place(root, path, missing)
    failed = f"error in move for path: '{path}'" if kind == "move" else "error while adding value during copy"
    _in_place(failed, _add, container, key, copied(value))


def _test(root: JSON, operation: JSON) -> None:
    path = _text(operation, "path", f"test operation failed to decode path: {_MISSING}")
    if path == "":
        found = root[""]
    else:
        container, key = _place(root, path, f"test operation does not apply: is missing path: {path}: {_MISSING}")
        found = _in_place(f"error in test for path: '{path}'", _get, container, key)
    if not same(found, operation.get("value")):
        raise PatchError(f"testing value {path} failed: {_TEST_FAILED}")


def _text(operation: JSON, member: str, missing: str) -> str:
    text = operation.get(member)
    if not isinstance(text, str):
        raise PatchError(missing)
    return text


def _place(root: JSON, path: str, missing: str) -> tuple[Any, str]:
    """The container of a path's last step, and that step."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]
    if len(steps) < 2:
        raise PatchError(missing)
    container = root[""]
    for step in steps[1:-1]:
        try:
            container = _get(container, step)
        except PatchError:
            container = None
        if not isinstance(container, dict | list):
            raise PatchError(missing)
    return container, steps[-1]


def _in_place(failed: str, action: Any, *arguments: Any) -> Any:
    try:
        return action(*arguments)
    except PatchError as error:
        raise PatchError(f"{failed}: {error}") from error


def _get(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return container[_index(key, len(container))]
    return container.get(key)


def _add(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        shown = f"value was not a proper array index: '{key}': "
        container.insert(_index(key, len(container) + 1, shown), value)


def _remove(container: Any, key: str) -> None:
    if isinstance(container, list):
        del container[_index(key, len(container))]
    elif key in container:
        del container[key]
    else:
        raise PatchError(f"Unable to remove nonexistent key: {key}: {_MISSING}")


def _index(key: str, limit: int, prefix: str = "") -> int:
    digits = key[1:] if key[:1] in ("+", "-") else key
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise PatchError(f'{prefix}strconv.Atoi: parsing "{key}": invalid syntax')
    index = int(key)
    if not -limit <= index < limit:
        raise PatchError(f"Unable to access invalid index: {index}: {_BAD_INDEX}")
    return index if index >= 0 else index + limit
