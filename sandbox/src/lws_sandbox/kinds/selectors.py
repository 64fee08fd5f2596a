"""Label selectors inside of objects: validation, matching, and how tables show them."""

from __future__ import annotations

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.rest.metadata import validate_labels
from lws_sandbox.status import Causes


def validate(selector: JSON | None, path: str, causes: Causes) -> bool:
    """Check a LabelSelector; returns whether it is sound."""
    before = len(causes.found)
    if selector is None:
        return True
    validate_labels(selector.get("matchLabels"), f"{path}.matchLabels", causes)
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        _expression(expression, f"{path}.matchExpressions[{index}]", causes)
    return len(causes.found) == before


def _expression(expression: JSON, path: str, causes: Causes) -> None:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            causes.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            causes.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        causes.invalid(f"{path}.operator", operator, "not a valid selector operator")
    for why in nameformats.qualified_name(expression.get("key", "")):
        causes.invalid(f"{path}.key", expression.get("key", ""), why)
    for index, value in enumerate(values):
        for why in nameformats.label_value(value):
            causes.invalid(f"{path}.values[{index}]", value, why)


def empty(selector: JSON | None) -> bool:
    """Whether a selector selects everything (or is not there)."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def matches(selector: JSON | None, labels: JSON | None) -> bool:
    """Whether labels fit a selector; none fits nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_fits(expression, labels) for expression in selector.get("matchExpressions") or [])


def _fits(expression: JSON, labels: JSON) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or []
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def text(selector: JSON | None) -> str:
    """A LabelSelector as tables and the scale subresource show it (`metav1.FormatLabelSelector`)."""
    if empty(selector):
        return "<none>"
    assert selector is not None
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    terms += [(each["key"], _term(each)) for each in selector.get("matchExpressions") or []]
    return ",".join(term for _, term in sorted(terms, key=lambda pair: pair[0]))


def _term(expression: JSON) -> str:
    key, values = expression["key"], ",".join(sorted(expression.get("values") or []))
    match expression.get("operator"):
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return str(key)
    return f"!{key}"


def labels_text(labels: JSON | None) -> str:
    """A plain map of labels as tables show it."""
    if not labels:
        return "<none>"
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
