"""Which webhooks are asked about a write: rules, scope, and selectors on the namespace and the object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, Resource
from lws_sandbox.admission.configuration import Rule, Webhook
from lws_sandbox.rest.core import Review
from lws_sandbox.rest.selectors import Selector
from lws_sandbox.status import not_found, of

Namespaces = Callable[[str], JSON | None]
_EXEMPT: Final = frozenset(
    {
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    }
)


def is_exempt(review: Review) -> bool:
    """Whether no webhook is asked: what decides about admission must not be blocked by it."""
    group, _, kind = review.kind
    return group == "admissionregistration.k8s.io" and kind in _EXEMPT


def namespace_of(review: Review) -> str:
    """The namespace of a review; for a namespace itself, its own name."""
    if _is_namespace(review.strategy.resource):
        return review.name or review.namespace
    return review.namespace


def matching_rule(rules: Iterable[Rule], review: Review, resource: Resource) -> Rule | None:
    """The first rule that names this write, taken as one of ``resource``."""
    return next((rule for rule in rules if _matches(rule, review, resource)), None)


def selects(webhook: Webhook, review: Review, namespaces: Namespaces) -> bool:
    """Whether both selectors of a webhook take the write.

    Raises:
        StatusError: 404, the namespace is not there.
    """
    return _selects_object(webhook.object_selector, review) and _selects_namespace(webhook, review, namespaces)


def _matches(rule: Rule, review: Review, resource: Resource) -> bool:
    return (
        _in_scope(rule, review)
        and _any(rule.operations, review.operation)
        and _any(rule.groups, resource.group)
        and _any(rule.versions, resource.version)
        and any(_names(name, resource.plural, review.subresource) for name in rule.resources)
    )


def _any(wanted: tuple[str, ...], value: str) -> bool:
    return "*" in wanted or value in wanted


def _in_scope(rule: Rule, review: Review) -> bool:
    if rule.scope == "*":
        return True
    namespaced = bool(review.namespace) and not _is_namespace(review.strategy.resource)
    return namespaced is (rule.scope == "Namespaced")


def _names(wanted: str, plural: str, subresource: str) -> bool:
    resource, _, part = wanted.partition("/")
    return resource in ("*", plural) and part in ("*", subresource)


def _is_namespace(resource: Resource) -> bool:
    return (resource.group, resource.plural) == (NAMESPACES.group, NAMESPACES.plural)


def _selects_object(selector: Selector, review: Review) -> bool:
    if selector.empty:
        return True
    return any(obj is not None and selector.matches(_labels(obj)) for obj in (review.obj, review.old))


def _selects_namespace(webhook: Webhook, review: Review, namespaces: Namespaces) -> bool:
    selector = webhook.namespace_selector
    name = namespace_of(review)
    itself = _is_namespace(review.strategy.resource)
    if selector.empty or (not name and not itself):
        return True
    if itself and not review.subresource and review.operation in ("CREATE", "UPDATE"):
        return selector.matches(_labels(review.obj or {}))
    namespace = namespaces(name)
    if namespace is None:
        raise not_found(of(NAMESPACES), name)
    return selector.matches(_labels(namespace))


def _labels(obj: JSON) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}
