"""Configurations of admission webhooks (`pkg/apis/admissionregistration/validation`)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import selectors
from lws_sandbox.kinds.base import Kind, shown, shown_age, shown_name
from lws_sandbox.schema.node import Compiler, Node
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

_OPERATIONS: Final = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]
_VERSIONS: Final = ("v1", "v1beta1")
_FORM: Final = "; desired format: https://host[/path]"


@dataclass
class WebhookConfigurationKind(Kind):
    """Mutating and validating configurations."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Every webhook is sound, and their names differ."""
        names: set[str] = set()
        for index, hook in enumerate(obj.get("webhooks") or ()):
            path = f"webhooks[{index}]"
            _check_hook(hook, path, causes)
            _check_versions(hook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions", causes)
            name = hook.get("name") or ""
            if name and name in names:
                causes.duplicate(f"{path}.name", name)
            names.add(name)

    def changed(self, new: JSON, old: JSON) -> bool:
        """Changes of the webhooks count."""
        return new.get("webhooks") != old.get("webhooks")

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:
        """As at creation."""


def _check_hook(hook: JSON, path: str, causes: Causes) -> None:
    _qualified(hook.get("name") or "", f"{path}.name", causes)
    for index, rule in enumerate(hook.get("rules") or ()):
        _check_rule(rule, f"{path}.rules[{index}]", causes)
    for member, supported in (("failurePolicy", ["Fail", "Ignore"]), ("matchPolicy", ["Equivalent", "Exact"])):
        if hook.get(member) is not None and hook[member] not in supported:
            causes.not_supported(f"{path}.{member}", hook[member], supported)
    effects = hook.get("sideEffects")
    if not effects:  # decoding writes a required member that is missing as an empty one
        causes.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    elif effects not in ("None", "NoneOnDryRun"):
        causes.not_supported(f"{path}.sideEffects", effects, ["None", "NoneOnDryRun"])
    timeout = hook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        causes.invalid(f"{path}.timeoutSeconds", timeout, "the timeout value must be between 1 and 30 seconds")
    for member in ("namespaceSelector", "objectSelector"):
        selectors.validate(hook.get(member), f"{path}.{member}", causes)
    again = hook.get("reinvocationPolicy")
    if again is not None and again not in ("IfNeeded", "Never"):
        causes.not_supported(f"{path}.reinvocationPolicy", again, ["IfNeeded", "Never"])
    _check_client(hook.get("clientConfig") or {}, f"{path}.clientConfig", causes)
    _check_conditions(hook.get("matchConditions") or [], f"{path}.matchConditions", causes)


def _qualified(name: str, path: str, causes: Causes) -> None:
    if not name:
        causes.required(path)
        return
    problems = nameformats.dns_subdomain(name)
    if problems:
        causes.invalid(path, name, ",".join(problems))
    elif len(name.split(".")) < 3:
        causes.invalid(path, name, "should be a domain with at least three segments separated by dots")


def _check_rule(rule: JSON, path: str, causes: Causes) -> None:
    operations = rule.get("operations") or []
    if not operations:
        causes.required(f"{path}.operations")
    if len(operations) > 1 and "*" in operations:
        causes.invalid(f"{path}.operations", operations, "if '*' is present, must not specify other operations")
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            causes.not_supported(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for member, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(member) or []
        if not values:
            causes.required(f"{path}.{member}")
        if len(values) > 1 and "*" in values:
            causes.invalid(f"{path}.{member}", values, f"if '*' is present, must not specify other {what}")
        for index, value in enumerate(values):
            if not value and member == "apiVersions":
                causes.required(f"{path}.{member}[{index}]")
    _check_resources(rule.get("resources") or [], f"{path}.resources", causes)
    scope = rule.get("scope")
    if scope is not None and scope not in ("*", "Cluster", "Namespaced"):
        causes.not_supported(f"{path}.scope", scope, ["*", "Cluster", "Namespaced"])


def _check_resources(resources: list[str], path: str, causes: Causes) -> None:
    if not resources:
        causes.required(path)
        return
    if len(resources) > 1 and "*/*" in resources:
        causes.invalid(path, resources, "if '*/*' is present, must not specify other resources")
    for index, resource in enumerate(resources):
        if not resource:
            causes.required(f"{path}[{index}]")
        base, slash, sub = resource.partition("/")
        if slash and sub != "*" and f"{base}/*" in resources:
            causes.invalid(f"{path}[{index}]", resource, f"if '{base}/*' is present, must not specify {resource}")
        if slash and base != "*" and f"*/{sub}" in resources:
            causes.invalid(f"{path}[{index}]", resource, f"if '*/{sub}' is present, must not specify {resource}")
        if not slash and base != "*" and "*" in resources:
            why = "if '*' is present, must not specify other resources without subresources"
            causes.invalid(path, resources, why)


def _check_client(config: JSON, path: str, causes: Causes) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        causes.required(path, "exactly one of url or service is required")
    elif url is not None:
        _check_url(url, f"{path}.url", causes)
    else:
        _check_service(service, f"{path}.service", causes)


def _check_url(url: str, path: str, causes: Causes) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https":
        causes.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not parts.netloc:
        causes.invalid(path, parts.netloc, f"host must be specified{_FORM}")
    if parts.username is not None:
        causes.invalid(path, parts.username, "user information is not permitted in the URL")
    if parts.fragment:
        causes.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        causes.invalid(path, parts.query, "query parameters are not permitted in the URL")


def _check_service(service: Any, path: str, causes: Causes) -> None:
    if not service.get("name"):
        causes.required(f"{path}.name", "service name is required")
    if not service.get("namespace"):
        causes.required(f"{path}.namespace", "service namespace is required")
    port = service.get("port")
    if port is not None and nameformats.port_number(port):
        causes.invalid(f"{path}.port", port, "port is not valid: must be between 1 and 65535, inclusive")
    target = service.get("path")
    if target and not target.startswith("/"):
        causes.invalid(f"{path}.path", target, "must start with a '/'")


def _check_versions(versions: list[str], path: str, causes: Causes) -> None:
    if not versions:
        causes.required(path, f"must specify one of {', '.join(_VERSIONS)}")
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            causes.invalid(f"{path}[{index}]", version, "duplicate version")
        for why in nameformats.dns_1035_label(version):
            causes.invalid(f"{path}[{index}]", version, why)
        seen.add(version)
    if not seen & set(_VERSIONS):
        causes.invalid(path, versions, f"must include at least one of {', '.join(_VERSIONS)}")


def _check_conditions(conditions: list[JSON], path: str, causes: Causes) -> None:
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        where = f"{path}[{index}]"
        expression = (condition.get("expression") or "").strip()
        if not expression:
            causes.required(f"{where}.expression")
        elif problem := _compile(expression):
            causes.invalid(f"{where}.expression", expression, problem)
        name = condition.get("name") or ""
        if not name:
            causes.required(f"{where}.name")
        for why in nameformats.qualified_name(name) if name else ():
            causes.invalid(f"{where}.name", name, why)
        if name in names:
            causes.duplicate(f"{where}.name", name)
        names.add(name)


@functools.lru_cache(maxsize=1024)
def _compile(expression: str) -> str:
    """What is wrong with a condition, or nothing."""
    from lws_sandbox.schema.celcheck import expression_problem  # brings the parser of CEL, which few need

    names = {"object": None, "oldObject": None, "request": _request(), "authorizer": None}
    return expression_problem(expression, names)


@functools.cache
def _request() -> Node:
    text = {"type": "string"}
    names = dict.fromkeys(("name", "namespace", "operation", "subResource", "requestSubResource"), text)
    kind = dict.fromkeys(("group", "version", "kind"), text)
    resource = dict.fromkeys(("group", "version", "resource"), text)
    texts = {"type": "array", "items": text}
    user = {
        "username": text,
        "uid": text,
        "groups": texts,
        "extra": {"type": "object", "additionalProperties": texts},
    }
    members = {
        **names,
        **{member: _object(kind) for member in ("kind", "requestKind")},
        **{member: _object(resource) for member in ("resource", "requestResource")},
        "userInfo": _object(user),
        "dryRun": {"type": "boolean"},
        "options": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    return Compiler().node(_object(members))


def _object(properties: JSON) -> JSON:
    return {"type": "object", "properties": properties}


_TABLE: Final = (
    shown_name(),
    shown(
        "Webhooks",
        lambda obj, _now: len(obj.get("webhooks") or ()),
        "Webhooks indicates the number of webhooks registered in this configuration",
    ),
    shown_age(),
)
_GROUP: Final = "admissionregistration.k8s.io"
_COMMON: Final = {"table": _TABLE, "generation": True, "unconditional_update": False}

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    (_GROUP, "mutatingwebhookconfigurations"): (WebhookConfigurationKind, _COMMON),
    (_GROUP, "validatingwebhookconfigurations"): (WebhookConfigurationKind, _COMMON),
}
