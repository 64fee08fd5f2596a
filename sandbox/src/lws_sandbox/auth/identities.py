"""Names of callers: service accounts, nodes, and what a client certificate says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from lws_sandbox import naming
from lws_sandbox.user import UserInfo

AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
ANONYMOUS_NAME: Final = "system:anonymous"
MASTERS: Final = "system:masters"
NODES: Final = "system:nodes"
CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
NODE_NAME: Final = "authentication.kubernetes.io/node-name"
NODE_PREFIX: Final = "system:node:"
SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"
SERVICE_ACCOUNTS: Final = "system:serviceaccounts"


def service_account_user(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace."""
    return (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}")


def split_service_account(user: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name, or None for any other."""
    if not user.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, _, name = user.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
    if ":" in name or naming.dns_label(namespace) or naming.dns_subdomain(name):
        return None
    return namespace, name


def node_of(user: str) -> str | None:
    """The node's name in a node's user name, or None for any other."""
    name = user.removeprefix(NODE_PREFIX)
    return name if name != user and not naming.dns_subdomain(name) else None


def with_group(groups: Iterable[str], group: str) -> tuple[str, ...]:
    """The groups, with one more unless it is there."""
    known = tuple(groups)
    return known if group in known else (*known, group)


@lru_cache(maxsize=256)
def certificate_user(der: bytes) -> UserInfo | None:
    """Whom a client certificate names: CN is the user, each O a group. None without a CN.

    The certificate's chain and dates must have been checked before.
    """
    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names or not names[0].value:
        return None
    groups = [str(found.value) for found in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    extra = {CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)}
    return UserInfo(str(names[0].value), groups=with_group(groups, AUTHENTICATED), extra=extra)
