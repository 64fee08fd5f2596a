"""Validation of CustomResourceDefinitions: names, versions, conversion, and what their schemas need around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from lws.apimachinery.manifests import JSON
from lws_sandbox import naming
from lws_sandbox.crd import openapischema, structural, surfaces
from lws_sandbox.crd.internal import InternalSpec, internal, shown_versions
from lws_sandbox.status import Cause, Causes, show

APPROVAL: Final = "api-approved.kubernetes.io"
_APPROVALS: Final = "https://github.com/kubernetes/enhancements/pull/1111"
_ROOT_FIELDS: Final = (
    "description type format title maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern "
    "maxItems minItems uniqueItems multipleOf required items properties externalDocs example "
    "x-kubernetes-preserve-unknown-fields x-kubernetes-validations"
).split()
_REVIEWS: Final = ("v1", "v1beta1")


def validate_new(crd: JSON) -> list[Cause]:
    """What is wrong with a new definition, besides its metadata in general."""
    return [
        *_name(crd),
        *validate_spec(crd.get("spec") or {}),
        *_status(crd),
        *_approval(crd, None),
        *_preserve(crd, None),
    ]


def validate_change(crd: JSON, old: JSON) -> list[Cause]:
    """What is wrong with a change of a definition."""
    spec, before = crd.get("spec") or {}, old.get("spec") or {}
    causes = Causes()
    if established(old):
        _immutable(spec.get("scope"), before.get("scope"), "spec.scope", causes)
        _immutable(_names(spec).get("kind"), _names(before).get("kind"), "spec.names.kind", causes)
    _immutable(spec.get("group"), before.get("group"), "spec.group", causes)
    _immutable(_names(spec).get("plural"), _names(before).get("plural"), "spec.names.plural", causes)
    return [*validate_spec(spec), *causes.found, *_status(crd), *_approval(crd, old), *_preserve(crd, old)]


def validate_status(crd: JSON) -> list[Cause]:
    """What is wrong with a change of the status."""
    return list(validate_names((crd.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames"))


def established(crd: JSON) -> bool:
    """Whether the condition Established holds."""
    return condition(crd, "Established").get("status") == "True"


def condition(crd: JSON, kind: str) -> JSON:
    """A condition by its type, or an empty one."""
    conditions = (crd.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind), {})


def _names(spec: JSON) -> JSON:
    names: JSON = spec.get("names") or {}
    return names


def _immutable(value: Any, old: Any, path: str, causes: Causes) -> None:
    if value != old:
        causes.invalid(path, value, "field is immutable")


def _name(crd: JSON) -> Iterator[Cause]:
    spec, name = crd.get("spec") or {}, (crd.get("metadata") or {}).get("name") or ""
    wanted = f"{_names(spec).get('plural', '')}.{spec.get('group', '')}"
    if name and name != wanted:
        causes = Causes()
        causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
        yield from causes.found


def validate_spec(raw: JSON) -> list[Cause]:
    """What is wrong with a spec."""
    spec, causes = internal(raw), Causes()
    _group(raw.get("group") or "", causes)
    _one_of(raw.get("scope") or "", ("Cluster", "Namespaced"), "spec.scope", causes)
    if "validation" not in spec.shared:
        for index, version in enumerate(spec.versions):
            if not (version.get("schema") or {}).get("openAPIV3Schema"):
                causes.required(f"spec.versions[{index}].schema.openAPIV3Schema")
    found = causes.found + [cause for index in range(len(spec.versions)) for cause in _version(spec, index)]
    causes = Causes()
    _version_set(spec, causes)
    for name in ("plural", "singular", "kind", "listKind"):
        if not spec.names.get(name):
            causes.required(f"spec.names.{name}")
    found += [*causes.found, *validate_names(spec.names, "spec.names")]
    any_status = any(_has_status(spec, version) for version in spec.versions)
    found += _schema(spec.shared.get("validation"), "spec.validation", status=any_status)
    found += surfaces.subresources(spec.shared.get("subresources"), "spec.subresources")
    found += surfaces.columns(spec.shared.get("additionalPrinterColumns") or [], "spec.additionalPrinterColumns")
    schema = (spec.shared.get("validation") or {}).get("openAPIV3Schema")
    found += surfaces.selectable_fields(spec.shared.get("selectableFields") or [], schema, "spec.selectableFields")
    return found + list(_conversion(raw.get("conversion")))


def _group(group: str, causes: Causes) -> None:
    errors = naming.dns_subdomain(group)
    if not group:
        causes.required("spec.group")
    elif errors:
        causes.invalid("spec.group", group, ",".join(errors))
    elif "." not in group:
        causes.invalid("spec.group", group, "should be a domain with at least one dot")


def _one_of(value: str, allowed: Iterable[str], path: str, causes: Causes) -> None:
    if not value:
        causes.required(path)
    elif value not in tuple(allowed):
        causes.not_supported(path, value, tuple(allowed))


def _version(spec: InternalSpec, index: int) -> list[Cause]:
    version, path = spec.versions[index], f"spec.versions[{index}]"
    causes, name = Causes(), version.get("name") or ""
    errors = naming.dns_1035_label(name)
    if errors:
        causes.invalid(f"{path}.name", name, ",".join(errors))
    _deprecation(version, path, causes)
    found = causes.found + _schema(version.get("schema"), f"{path}.schema", status=_has_status(spec, version))
    found += surfaces.subresources(version.get("subresources"), f"{path}.subresources")
    found += surfaces.columns(version.get("additionalPrinterColumns") or [], f"{path}.additionalPrinterColumns")
    schema = (spec.of_version(version, "schema") or {}).get("openAPIV3Schema")
    return found + surfaces.selectable_fields(version.get("selectableFields") or [], schema, f"{path}.selectableFields")


def _deprecation(version: JSON, path: str, causes: Causes) -> None:
    text = version.get("deprecationWarning")
    place = f"{path}.deprecationWarning"
    if text is None:
        return
    if not version.get("deprecated"):
        causes.invalid(place, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > 256:
        causes.invalid(place, text, "must be <= 256 characters long")
    if not text:
        causes.invalid(place, text, "must not be an empty string")
    bad = next((place_ for place_, mark in enumerate(text) if not mark.isprintable()), None)
    if bad is not None:
        why = f"must only contain printable UTF-8 characters; non-printable character found at index {bad}"
        causes.invalid(place, text, why)


def _version_set(spec: InternalSpec, causes: Causes) -> None:
    names = [version.get("name") for version in spec.versions]
    complaints = []
    if len(set(names)) != len(names):
        complaints.append("must contain unique version names")
    if sum(1 for version in spec.versions if version.get("storage")) != 1:
        complaints.append("must have exactly one version marked as storage version")
    for why in complaints:
        causes.add("FieldValueInvalid", "spec.versions", f"Invalid value: {shown_versions(spec)}: {why}")


def _has_status(spec: InternalSpec, version: JSON) -> bool:
    return (spec.of_version(version, "subresources") or {}).get("status") is not None


def _schema(validation: JSON | None, path: str, *, status: bool) -> list[Cause]:
    schema = (validation or {}).get("openAPIV3Schema")
    if not schema:
        return []
    causes, place = Causes(), f"{path}.openAPIV3Schema"
    if status:
        _root_fields(schema, place, causes)
    if schema.get("nullable"):
        causes.forbidden(f"{place}.nullable", "nullable cannot be true at the root")
    found = structural.validate_structural(schema, place)
    found = found or list(structural.validate_defaults(schema, place))
    return causes.found + found + openapischema.validate_schema(schema, place, rules=not found)


def _root_fields(schema: JSON, place: str, causes: Causes) -> None:
    """What may stand beside a status that is validated on its own."""
    kind = schema.get("type")
    if kind != "object":
        why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        if kind:
            causes.invalid(f"{place}.type", kind, why)
    elif any(name not in _ROOT_FIELDS for name, value in schema.items() if value):
        allowed = " ".join(_go_name(name) for name in _ROOT_FIELDS)
        why = f"only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled"
        causes.invalid(place, schema, why)


def _go_name(name: str) -> str:
    special = {
        "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields",
        "x-kubernetes-validations": "XValidations",
    }
    return special.get(name) or name[0].upper() + name[1:]


def validate_names(names: JSON, path: str) -> Iterator[Cause]:
    """What is wrong with names; missing ones are another matter."""
    causes = Causes()
    for member in ("plural", "singular"):
        _label(names.get(member) or "", f"{path}.{member}", causes)
    for member in ("kind", "listKind"):
        name = names.get(member) or ""
        errors = naming.dns_1035_label(name.lower()) if name else []
        if errors:
            why = f"may have mixed case, but should otherwise match: {','.join(errors)}"
            causes.invalid(f"{path}.{member}", name, why)
    for index, name in enumerate(names.get("shortNames") or []):
        _label(name, f"{path}.shortNames[{index}]", causes, required=True)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        causes.invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")
    for index, name in enumerate(names.get("categories") or []):
        _label(name, f"{path}.categories[{index}]", causes, required=True)
    yield from causes.found


def _label(name: str, path: str, causes: Causes, *, required: bool = False) -> None:
    errors = naming.dns_1035_label(name) if name or required else []
    if errors:
        causes.invalid(path, name, ",".join(errors))


def _conversion(conversion: JSON | None) -> Iterator[Cause]:
    if conversion is None:
        return
    causes, path = Causes(), "spec.conversion"
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    _one_of(strategy, ("None", "Webhook"), f"{path}.strategy", causes)
    if strategy == "Webhook":
        _client(client, f"{path}.webhookClientConfig", causes)
        _reviews(reviews, f"{path}.conversionReviewVersions", causes)
    elif strategy == "None":
        why = "should not be set when strategy is not set to Webhook"
        if client is not None:
            causes.forbidden(f"{path}.webhookClientConfig", why)
        if reviews:
            causes.forbidden(f"{path}.conversionReviewVersions", why)
    yield from causes.found


def _client(client: JSON | None, path: str, causes: Causes) -> None:
    if client is None:
        causes.required(path, "required when strategy is set to Webhook")
    elif (client.get("url") is None) == (client.get("service") is None):
        causes.required(path, "exactly one of url or service is required")
    elif client.get("url") is not None and urlsplit(client["url"]).scheme != "https":
        why = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        causes.invalid(f"{path}.url", client["url"], why)
    elif client.get("service") is not None:
        for member in ("name", "namespace"):
            if not client["service"].get(member):
                causes.required(f"{path}.service.{member}", f"service {member} is required")


def _reviews(versions: list[str], path: str, causes: Causes) -> None:
    if not versions:
        causes.required(path)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            causes.invalid(f"{path}[{index}]", version, "duplicate version")
            continue
        for why in naming.dns_1035_label(version):
            causes.invalid(f"{path}[{index}]", version, why)
    if not set(versions) & set(_REVIEWS):
        causes.invalid(path, versions, f"must include at least one of {', '.join(_REVIEWS)}")


def _status(crd: JSON) -> Iterator[Cause]:
    yield from validate_status(crd)
    causes, path = Causes(), "status.storedVersions"
    stored = (crd.get("status") or {}).get("storedVersions") or []
    versions = (crd.get("spec") or {}).get("versions") or []
    if not stored:
        causes.add("FieldValueInvalid", path, "Invalid value: null: must have at least one stored version")
    else:
        for version in versions:
            if version.get("storage") and version.get("name") not in stored:
                causes.invalid(path, stored, f"must have the storage version {version.get('name')}")
        names = {version.get("name") for version in versions}
        for index, name in enumerate(stored):
            if name not in names:
                why = (
                    f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                    "spec.versions until a storage migration ensures no data remains persisted in "
                    f"{name} and removes {name} from status.storedVersions"
                )
                causes.invalid(f"{path}[{index}]", name, why)
    yield from causes.found


def approval(crd: JSON) -> tuple[str, str, str] | None:
    """Status, reason and message of the condition that tells of approval; None for groups that need none."""
    if not _protected(crd):
        return None
    good, why = _approval_state(crd)
    text = _approval_text(crd)
    if not text:
        return "False", "MissingAnnotation", why
    if not good:
        return "False", "InvalidAnnotation", why
    if text.startswith("unapproved"):
        return "False", "UnapprovedAnnotation", f"not approved: {show(text)}"
    return "True", "ApprovedAnnotation", f"approved in {text}"


def _protected(crd: JSON) -> bool:
    group = (crd.get("spec") or {}).get("group") or ""
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def _approval(crd: JSON, old: JSON | None) -> Iterator[Cause]:
    if not _protected(crd):
        return
    state, reason = _approval_state(crd)
    if state or (old is not None and _approval_state(old)[0] == state and _approval_text(old) == _approval_text(crd)):
        return
    causes, path, text = Causes(), f"metadata.annotations[{APPROVAL}]", _approval_text(crd)
    if text:
        causes.invalid(path, text, reason)
    else:
        causes.required(path, reason)
    yield from causes.found


def _approval_text(crd: JSON) -> str:
    return str(((crd.get("metadata") or {}).get("annotations") or {}).get(APPROVAL) or "")


def _approval_state(crd: JSON) -> tuple[bool, str]:
    """Whether a protected group's annotation is good, and what is wrong with it."""
    text = _approval_text(crd)
    need = f'protected groups must have approval annotation "{APPROVAL}"'
    if not text:
        return False, f"{need}, see {_APPROVALS}"
    parts = urlsplit(text)
    good = text.startswith("unapproved") or bool(parts.scheme and parts.netloc)
    return good, f'{need} with either a URL or a reason starting with "unapproved", see {_APPROVALS}'


def _preserve(crd: JSON, old: JSON | None) -> Iterator[Cause]:
    if old is not None and (old.get("spec") or {}).get("preserveUnknownFields"):
        return
    if (crd.get("spec") or {}).get("preserveUnknownFields"):
        causes = Causes()
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        causes.invalid("spec.preserveUnknownFields", value=True, why=why)
        yield from causes.found
