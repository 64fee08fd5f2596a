"""The rules of volumes, as far as groups of pods use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import claims, environment
from lws_sandbox.status import Causes

_MAX_MODE: Final = 0o777
_MODE: Final = "must be a number between 0 and 0777 (octal), both inclusive"


def validate(spec: JSON, path: str, causes: Causes) -> set[str]:
    """Check the volumes of a pod spec; returns the names that may be mounted."""
    names: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        where = f"{path}.volumes[{index}]"
        before = len(causes.found)
        _source(volume, where, causes)
        name = volume.get("name") or ""
        if not name:
            causes.required(f"{where}.name")
        for why in nameformats.dns_label(name) if name else ():
            causes.invalid(f"{where}.name", name, why)
        if name in names:
            causes.duplicate(f"{where}.name", name)
        if len(causes.found) == before:
            names.add(name)
    return names


def _source(volume: JSON, path: str, causes: Causes) -> None:
    kinds = [member for member, value in volume.items() if member != "name" and value is not None]
    for extra in kinds[1:]:
        causes.forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
    if not kinds:
        causes.required(path, "must specify a volume type")
        return
    rule = _RULES.get(kinds[0])
    if rule is not None:
        rule(volume[kinds[0]], f"{path}.{kinds[0]}", causes)


def _needed(value: JSON, member: str, path: str, causes: Causes) -> None:
    if not value.get(member):
        causes.required(f"{path}.{member}")


def _mode(mode: Any, path: str, causes: Causes) -> None:
    if mode is not None and not 0 <= mode <= _MAX_MODE:
        causes.invalid(path, mode, _MODE)


def _files(value: JSON, path: str, causes: Causes) -> None:
    _mode(value.get("defaultMode"), f"{path}.defaultMode", causes)
    for index, item in enumerate(value.get("items") or ()):
        where = f"{path}.items[{index}]"
        _needed(item, "key", where, causes)
        _local(item.get("path") or "", f"{where}.path", causes)
        _mode(item.get("mode"), f"{where}.mode", causes)


def _local(target: str, path: str, causes: Causes) -> None:
    """A path inside of a volume."""
    if not target:
        causes.required(path)
    if target.startswith("/"):
        causes.invalid(path, target, "must be a relative path")
    if ".." in target.split("/"):
        causes.invalid(path, target, "must not contain '..'")


def _downward(items: list[JSON], path: str, causes: Causes) -> None:
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        _local(item.get("path") or "", f"{where}.path", causes)
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None:
            environment.field_reference(field, f"{where}.fieldRef", environment.VOLUME_FIELDS, causes)
            if resource is not None:
                causes.invalid(where, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif resource is not None:
            environment.resource_reference(resource, f"{where}.resourceFieldRef", causes, volume=True)
        else:
            causes.required(where, "one of fieldRef and resourceFieldRef is required")
        _mode(item.get("mode"), f"{where}.mode", causes)


def _projected(source: JSON, path: str, causes: Causes) -> None:
    for member in ("secret", "configMap"):
        if source.get(member) is not None:
            _needed(source[member], "name", f"{path}.{member}", causes)
            _files(source[member], f"{path}.{member}", causes)
    if source.get("downwardAPI") is not None:
        _downward(source["downwardAPI"].get("items") or [], f"{path}.downwardAPI.items", causes)
    token = source.get("serviceAccountToken")
    if token is not None:
        expiration = token.get("expirationSeconds", 0)
        if expiration < 600:
            why = "may not specify a duration less than 10 minutes"
            causes.invalid(f"{path}.serviceAccountToken.expirationSeconds", expiration, why)
        if not token.get("path"):
            causes.required(f"{path}.serviceAccountToken.path")


_HOST_TYPES: Final = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
]


def _host_path(value: JSON, path: str, causes: Causes) -> None:
    target = value.get("path") or ""
    if not target:
        causes.required(f"{path}.path")
        return
    if ".." in target.split("/"):
        causes.invalid(f"{path}.path", target, "must not contain '..'")
    kind = value.get("type") or ""
    if kind not in _HOST_TYPES:
        causes.not_supported(f"{path}.type", kind, _HOST_TYPES)


def _ephemeral(value: JSON, path: str, causes: Causes) -> None:
    template = value.get("volumeClaimTemplate")
    if template is None:
        causes.required(f"{path}.volumeClaimTemplate")
        return
    claims.validate_spec(template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec", causes)


def _secret(value: JSON, path: str, causes: Causes) -> None:
    _needed(value, "secretName", path, causes)
    _files(value, path, causes)


def _config_map(value: JSON, path: str, causes: Causes) -> None:
    _needed(value, "name", path, causes)
    _files(value, path, causes)


def _downward_volume(value: JSON, path: str, causes: Causes) -> None:
    _mode(value.get("defaultMode"), f"{path}.defaultMode", causes)
    _downward(value.get("items") or [], f"{path}.items", causes)


def _projected_volume(value: JSON, path: str, causes: Causes) -> None:
    _mode(value.get("defaultMode"), f"{path}.defaultMode", causes)
    for index, source in enumerate(value.get("sources") or ()):
        _projected(source, f"{path}.sources[{index}]", causes)


def _requires(*members: str) -> Callable[[JSON, str, Causes], None]:
    def check(value: JSON, path: str, causes: Causes) -> None:
        for member in members:
            _needed(value, member, path, causes)

    return check


_RULES: Final[Mapping[str, Callable[[JSON, str, Causes], None]]] = {
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward_volume,
    "projected": _projected_volume,
    "hostPath": _host_path,
    "ephemeral": _ephemeral,
    "persistentVolumeClaim": _requires("claimName"),
    "nfs": _requires("server", "path"),
    "csi": _requires("driver"),
}
