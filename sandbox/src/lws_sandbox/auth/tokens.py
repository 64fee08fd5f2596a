"""Tokens of service accounts: JSON Web Tokens bound to an account and, if asked, to an object (RFC 7519, 7515).

Guarantees: a token holds until it expires, its account is gone or made anew, or the object it is bound to is; with the
same random source and clock the same tokens are made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from lws.apimachinery.manifests import JSON
from lws.clock import Clock
from lws_sandbox.auth.identities import (
    AUTHENTICATED,
    CREDENTIAL_ID,
    NODE_NAME,
    service_account_groups,
    service_account_user,
)
from lws_sandbox.auth.rules import quoted
from lws_sandbox.storage import Storage
from lws_sandbox.user import UserInfo

Extra: TypeAlias = dict[str, tuple[str, ...]]
ISSUER: Final = "https://kubernetes.default.svc"
AUDIENCES: Final = (ISSUER,)
INVALID: Final = "invalid bearer token"
_SIZE: Final = 32  # bytes of each half of a signature on the P-256 curve
_BOUND: Final = {"pod": "pods", "node": "nodes", "secret": "secrets"}


class TokenError(Exception):
    """A token does not hold; the text says why."""


class ForeignTokenError(TokenError):
    """A token is none of ours at all."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The object that a token is bound to: ``pod``, ``node`` or ``secret``, and for a pod the node it runs on."""

    kind: str
    name: str
    uid: str
    node_name: str = ""
    node_uid: str = ""

    def claims(self) -> JSON:
        """As the token carries it."""
        found: JSON = {self.kind: {"name": self.name, "uid": self.uid}}
        if self.node_name:
            found["node"] = {"name": self.node_name, **({"uid": self.node_uid} if self.node_uid else {})}
        return found


class Tokens:
    """Issues and checks tokens.

    Args:
        storage: where accounts and bound objects are looked up.
        clock: tells when a token begins and ends.
        random: source of the key and of token ids.
    """

    def __init__(self, storage: Storage, clock: Clock, random: Random) -> None:
        self._storage = storage
        self._clock = clock
        self._random = random
        self._made: ec.EllipticCurvePrivateKey | None = None

    def issue(self, account: JSON, audiences: list[str], seconds: int, bound: Bound | None = None) -> str:
        """A token for a stored service account."""
        meta, now = account["metadata"], int(self._clock.now().timestamp())
        identity: JSON = {
            "namespace": meta["namespace"],
            **(bound.claims() if bound else {}),
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        claims = {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            "kubernetes.io": identity,
            "nbf": now,
            "sub": service_account_user(meta["namespace"], meta["name"]),
        }
        key = self._key()
        body = f"{_encoded({'alg': 'ES256', 'kid': _key_id(key)})}.{_encoded(claims)}"
        signature = key.sign(body.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(signature)
        return f"{body}.{_base64(r.to_bytes(_SIZE, 'big') + s.to_bytes(_SIZE, 'big'))}"

    def public_keys(self) -> JSON:
        """The keys by which others check tokens (RFC 7517)."""
        key = self._key()
        point = key.public_key().public_numbers()
        x, y = (_base64(half.to_bytes(_SIZE, "big")) for half in (point.x, point.y))
        return {
            "keys": [{"use": "sig", "kty": "EC", "kid": _key_id(key), "crv": "P-256", "alg": "ES256", "x": x, "y": y}]
        }

    def check(self, token: str, audiences: tuple[str, ...] = AUDIENCES) -> tuple[UserInfo, list[str]]:
        """Whose token it is, and for which of the audiences.

        Raises:
            ForeignTokenError: it was not made here.
            TokenError: it does not hold any more, or not for these audiences.
        """
        claims = self._claims(token)
        held = [audience for audience in claims["aud"] if audience in audiences]
        if not held:
            raise TokenError(
                f"token audiences {quoted(claims['aud'])} is invalid for the target audiences {quoted(audiences)}"
            )
        now = int(self._clock.now().timestamp())
        if now >= claims["exp"]:
            raise TokenError("service account token has expired")
        if now < claims["nbf"]:
            raise TokenError("service account token is not valid yet")
        return self._user(claims), held

    def _user(self, claims: JSON) -> UserInfo:
        identity = claims["kubernetes.io"]
        namespace, account = identity["namespace"], identity["serviceaccount"]
        stored = self._storage.get("serviceaccounts", namespace, account["name"])
        if stored is None:
            raise TokenError(f'serviceaccounts "{account["name"]}" not found')
        if stored["metadata"]["uid"] != account["uid"]:
            found = stored["metadata"]["uid"]
            raise TokenError(f"service account UID ({found}) does not match claim ({account['uid']})")
        extra: Extra = {CREDENTIAL_ID: (f"JTI={claims['jti']}",)}
        for kind, resource in _BOUND.items():
            if kind in identity:
                extra |= self._bound(kind, resource, namespace, identity)
        groups = (*service_account_groups(namespace), AUTHENTICATED)
        return UserInfo(service_account_user(namespace, account["name"]), account["uid"], groups, extra)

    def _bound(self, kind: str, resource: str, namespace: str, identity: JSON) -> Extra:
        claim = identity[kind]
        only = kind != "node" or "pod" not in identity  # the node of a bound pod is told, not checked
        if only:
            stored = self._storage.get(resource, "" if kind == "node" else namespace, claim["name"])
            if stored is None or stored["metadata"]["uid"] != claim["uid"]:
                raise TokenError(f'{resource} "{claim["name"]}" not found')
        if kind == "secret":
            return {}
        extra: Extra = {f"{NODE_NAME.rpartition('/')[0]}/{kind}-name": (claim["name"],)}
        if claim.get("uid"):
            extra[f"{NODE_NAME.rpartition('/')[0]}/{kind}-uid"] = (claim["uid"],)
        return extra

    def _claims(self, token: str) -> JSON:
        """The claims of a token that bears our signature."""
        head, _, signature = token.rpartition(".")
        try:
            raw = _decoded(signature)
            halves = (int.from_bytes(raw[:_SIZE], "big"), int.from_bytes(raw[_SIZE:], "big"))
            self._key().public_key().verify(encode_dss_signature(*halves), head.encode(), ec.ECDSA(hashes.SHA256()))
            claims = orjson.loads(_decoded(head.partition(".")[2]))
        except (InvalidSignature, ValueError) as error:
            raise ForeignTokenError(INVALID) from error
        assert isinstance(claims, dict)
        return claims

    def _key(self) -> ec.EllipticCurvePrivateKey:
        """The signing key, made at the first need."""
        if self._made is None:
            self._made = ec.derive_private_key(self._random.getrandbits(255) | 1, ec.SECP256R1())
        return self._made


def _key_id(key: ec.EllipticCurvePrivateKey) -> str:
    numbers = key.public_key().public_numbers()
    return _base64(hashlib.sha256(f"{numbers.x}.{numbers.y}".encode()).digest())


def _encoded(document: JSON) -> str:
    return _base64(orjson.dumps(document))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
