"""Rules for names, label keys and label values, in the words of k8s.io/apimachinery `util/validation`.

Every function returns what is wrong, which is nothing for a good value. Lengths count bytes, whatever the text says.
"""

from __future__ import annotations

import re
from typing import Final

_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE: Final = f"({_QUALIFIED})?"
_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN: Final = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_DNS_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_PERCENT: Final = "[0-9]+%"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_WILDCARD: Final = rf"\*\.{_DNS_SUBDOMAIN}"
_ENDS: Final = "must start and end with an alphanumeric character"


def regex_rule(rule: str, form: str, *examples: str) -> str:
    """A rule with examples and its regular expression, as every such text reads."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{form}')"


_QUALIFIED_RULE: Final = regex_rule(
    f"must consist of alphanumeric characters, '-', '_' or '.', and {_ENDS}",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
_VALUE_RULE: Final = regex_rule(
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and {_ENDS}",
    _LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_SUBDOMAIN_RULE: Final = regex_rule(
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and {_ENDS}",
    _DNS_SUBDOMAIN,
    "example.com",
)
_LABEL_RULE: Final = regex_rule(
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and {_ENDS}",
    _DNS_LABEL,
    "my-name",
    "123-abc",
)
_DNS_1035_RULE: Final = regex_rule(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    _DNS_1035,
    "my-name",
    "abc-123",
)
_WILDCARD_RULE: Final = regex_rule(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
_PERCENT_RULE: Final = regex_rule(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)
_CONFIG_KEY_RULE: Final = regex_rule(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_QUALIFIED_KEY_RULE: Final = (
    f"a valid label key {_QUALIFIED_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)


def _check(value: str, limit: int, form: str, rule: str, unit: str = "characters") -> list[str]:
    found = []
    if len(value.encode()) > limit:
        found.append(f"must be no more than {limit} {unit}")
    if not re.fullmatch(form, value):
        found.append(rule)
    return found


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: the rule for most names."""
    return _check(value, 253, _DNS_SUBDOMAIN, _SUBDOMAIN_RULE)


def wildcard_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain that begins with ``*.``."""
    return _check(value, 253, _WILDCARD, _WILDCARD_RULE)


def dns_label(value: str) -> list[str]:
    """RFC 1123 label: names of namespaces."""
    dotted = re.fullmatch(_DNS_SUBDOMAIN, value) is not None
    return _check(value, 63, _DNS_LABEL, "must not contain dots" if dotted else _LABEL_RULE)


def dns_1035_label(value: str) -> list[str]:
    """RFC 1035 label: like a DNS label, but it must begin with a letter."""
    return _check(value, 63, _DNS_1035, _DNS_1035_RULE)


def mask_trailing_dash(prefix: str) -> str:
    """A name prefix with something in place of its last dash, because a suffix will follow."""
    return f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def path_segment(value: str) -> list[str]:
    """A name that only has to be one segment of a path: roles, custom objects of some kinds."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in value]


def label_value(value: str) -> list[str]:
    """The value of a label."""
    return _check(value, 63, _LABEL_VALUE, _VALUE_RULE, "bytes")


def percent(value: str) -> list[str]:
    """ASCII digits and one percent sign, and nothing else."""
    return [] if re.fullmatch(_PERCENT, value) else [_PERCENT_RULE]


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    found = _check(value, 253, _CONFIG_KEY, _CONFIG_KEY_RULE)
    if value in (".", ".."):
        found.append(f"must not be '{value}'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return found


def port_name(value: str) -> list[str]:
    """An IANA service name: lower case, at most 15 characters, with at least one letter."""
    found = ["must be no more than 15 characters"] if len(value.encode()) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return found


def port_number(value: int) -> list[str]:
    """A port that exists."""
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def env_name(value: str) -> list[str]:
    """The name of an environment variable: printable ASCII without an equals sign."""
    found = [] if value else ["environment variable name must be non-empty"]
    if any(char == "=" or not " " <= char <= "~" for char in value):
        found.append("a valid environment variable name must consist only of printable ASCII characters other than '='")
    return found


def qualified_name(value: str) -> list[str]:
    """A label key, an annotation key, a finalizer: ``name`` or ``prefix/name``."""
    found: list[str] = []
    prefix, slash, name = value.partition("/")
    if "/" in name:
        return [_QUALIFIED_KEY_RULE]
    if not slash:
        prefix, name = "", value
    elif not prefix:
        found.append("prefix part must be non-empty")
    else:
        found += [f"prefix part {text}" for text in dns_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        found.append("name part must be no more than 63 bytes")
    if not re.fullmatch(_QUALIFIED, name):
        found.append(f"name part {_QUALIFIED_RULE}")
    return found
