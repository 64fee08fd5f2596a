"""The kinds that are questions: access reviews, token reviews, self reviews, token requests. Nothing is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

import orjson

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.clock import Clock
from lws_sandbox.auth.access import RbacAccess
from lws_sandbox.auth.authorizer import aggregate
from lws_sandbox.auth.binding import find_bound
from lws_sandbox.auth.tokens import AUDIENCES, TokenError
from lws_sandbox.rest.call import Call, RequestInfo, write_options
from lws_sandbox.status import Causes, GroupResource, bad_request, invalid, not_found
from lws_sandbox.storage import Storage
from lws_sandbox.strategy import GenericStrategy, Strategy
from lws_sandbox.user import UserInfo

Handler: TypeAlias = Callable[[Call], Awaitable[JSON]]
AUTHORIZATION: Final = "authorization.k8s.io"
AUTHENTICATION: Final = "authentication.k8s.io"
LEAST_SECONDS: Final = 600
MOST_SECONDS: Final = 1 << 32
DEFAULT_SECONDS: Final = 3600
TOKEN_REQUEST: Final = GenericStrategy(Resource(AUTHENTICATION, "v1", "tokenrequests", "TokenRequest"))


class Bodies(Protocol):
    """How bodies are read, and who wrote their fields is noted."""

    def decode(self, call: Call, strategy: Strategy, field_validation: str) -> tuple[JSON, list[str]]:
        """The object in the body, and warnings."""
        ...

    def track(
        self, old: JSON | None, new: JSON, strategy: Strategy, *, manager: str, subresource: str, now: datetime
    ) -> JSON:
        """``new`` with managedFields."""
        ...


class Reviews:
    """Answers reviews.

    Args:
        access: who knows users and rights.
        codec: reads bodies.
        storage: where service accounts and what tokens are bound to are looked up.
        clock: for the times in answers.
    """

    def __init__(self, access: RbacAccess, codec: Bodies, storage: Storage, clock: Clock) -> None:
        self._access = access
        self._codec = codec
        self._storage = storage
        self._clock = clock

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """By group and resource; a subresource follows its resource after a slash."""
        return {
            (AUTHORIZATION, "subjectaccessreviews"): self._subject_access,
            (AUTHORIZATION, "localsubjectaccessreviews"): self._local_access,
            (AUTHORIZATION, "selfsubjectaccessreviews"): self._self_access,
            (AUTHORIZATION, "selfsubjectrulesreviews"): self._self_rules,
            (AUTHENTICATION, "selfsubjectreviews"): self._self,
            (AUTHENTICATION, "tokenreviews"): self._token,
            ("", "serviceaccounts/token"): self._token_request,
        }

    # Who may what.

    async def _subject_access(self, call: Call) -> JSON:
        obj = self._read(call)
        spec = _pruned(obj.get("spec") or {})
        causes = _check_attributes(spec)
        _check_subject(spec, causes)
        if _meta(obj):
            causes.invalid("metadata", _meta(obj), "must be empty")
        _refuse(causes)
        user = UserInfo(
            spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups", ())), _extra(spec.get("extra"))
        )
        return self._verdict(call, obj, spec, user)

    async def _local_access(self, call: Call) -> JSON:
        obj = self._read(call)
        spec = _pruned(obj.get("spec") or {})
        namespace = (obj.get("metadata") or {}).get("namespace") or call.info.namespace
        causes = _check_attributes(spec)
        _check_subject(spec, causes)
        if {key for key in _meta(obj) if key != "namespace"}:
            causes.invalid("metadata", _meta(obj), "must be empty except for namespace")
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if "resourceAttributes" in spec and asked != namespace:
            causes.invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace")
        if "nonResourceAttributes" in spec:
            shown = _go_path(spec["nonResourceAttributes"])
            causes.invalid("spec.nonResourceAttributes", shown, "disallowed on this kind of request")
        _refuse(causes)
        if namespace != call.info.namespace:
            raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {call.info.namespace}")
        user = UserInfo(
            spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups", ())), _extra(spec.get("extra"))
        )
        obj["metadata"] = {**(obj.get("metadata") or {}), "namespace": namespace}
        return self._verdict(call, obj, spec, user)

    async def _self_access(self, call: Call) -> JSON:
        obj = self._read(call)
        spec = _pruned(obj.get("spec") or {})
        causes = _check_attributes(spec)
        if _meta(obj):
            causes.invalid("metadata", _meta(obj), "must be empty")
        _refuse(causes)
        return self._verdict(call, obj, spec, call.user)

    def _verdict(self, call: Call, obj: JSON, spec: JSON, user: UserInfo) -> JSON:
        allowed, reason = self._access.authorizer.decide(user, _asked(spec))
        status = {"allowed": allowed, **({"reason": reason} if reason else {})}
        return _answer(call, self._tracked(call, obj, spec), spec=spec, status=status)

    async def _self_rules(self, call: Call) -> JSON:
        obj = self._read(call)
        namespace = (obj.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise bad_request("no namespace on request")
        rules, problems = self._access.rulebook.rules(call.user, namespace)
        status: JSON = {
            "resourceRules": [rule.to_json() for rule in rules if rule.resources],
            "nonResourceRules": [rule.to_json() for rule in rules if rule.urls],
            "incomplete": False,
        }
        if problems:
            status["evaluationError"] = aggregate(problems)
        return _answer(call, {}, spec={}, status=status)

    # Who is who.

    async def _self(self, call: Call) -> JSON:
        self._read(call)
        now = _timestamp(self._clock.now())
        return _answer(call, {"creationTimestamp": now}, status={"userInfo": _user_json(call.user)})

    async def _token(self, call: Call) -> JSON:
        obj = self._read(call)
        spec = _pruned(obj.get("spec") or {})
        if (obj.get("metadata") or {}).get("namespace"):
            raise bad_request("namespace is not allowed on this type: ")
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        wanted = tuple(spec.get("audiences") or AUDIENCES)
        try:
            user, audiences = self._access.token_user(spec["token"], wanted)
        except TokenError as error:
            status: JSON = {"user": {}, "error": str(error)}
        else:
            status = {"authenticated": True, "user": _user_json(user), "audiences": audiences}
        return _answer(call, self._tracked(call, obj, spec), spec=spec, status=status)

    async def _token_request(self, call: Call) -> JSON:
        namespace, name = call.info.namespace, call.info.name
        obj, warnings = self._codec.decode(call, TOKEN_REQUEST, call.query.text("fieldValidation"))
        call.warnings += warnings
        _check_place(_meta(obj), namespace, name)
        account = self._storage.get("serviceaccounts", namespace, name)
        if account is None:
            raise not_found(GroupResource("", "serviceaccounts"), name)
        spec = _pruned(obj.get("spec") or {})
        spec.setdefault("expirationSeconds", 0 if _asks_for_nothing(call.body) else DEFAULT_SECONDS)
        _check_seconds(spec["expirationSeconds"])
        bound = find_bound(self._storage, spec.get("boundObjectRef"), namespace, name)
        meta = self._tracked(call, obj, spec, TOKEN_REQUEST)
        now, seconds = self._clock.now(), spec["expirationSeconds"]
        audiences = spec.get("audiences") or list(AUDIENCES)
        named = {"name": name, "namespace": namespace, "uid": account["metadata"]["uid"]}
        return {
            "kind": "TokenRequest",
            "apiVersion": f"{AUTHENTICATION}/v1",
            "metadata": {**meta, **named, "creationTimestamp": _timestamp(now)},
            "spec": {"boundObjectRef": None, **spec, "audiences": audiences},
            "status": {
                "token": self._access.tokens.issue(account, audiences, seconds, bound),
                "expirationTimestamp": _timestamp(now + timedelta(seconds=seconds)),
            },
        }

    def _tracked(self, call: Call, obj: JSON, spec: JSON, strategy: Strategy | None = None) -> JSON:
        """The metadata of an answer: as sent, and with a note of who sent which fields."""
        strategy = strategy or call.strategy
        resource = strategy.resource
        sent = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": _meta(obj), "spec": spec}
        manager = call.manager(write_options(call.query, "CreateOptions"))
        tracked = self._codec.track(
            None, sent, strategy, manager=manager, subresource=call.subresource, now=self._clock.now()
        )
        found: JSON = tracked["metadata"]
        return found

    def _read(self, call: Call) -> JSON:
        obj, warnings = self._codec.decode(call, call.strategy, call.query.text("fieldValidation"))
        call.warnings += warnings
        return obj


def _answer(call: Call, meta: JSON, **members: JSON) -> JSON:
    resource = call.strategy.resource
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta, **members}


def _meta(obj: JSON) -> JSON:
    """The metadata that was sent, without what is empty."""
    meta = _pruned(obj.get("metadata") or {})
    meta.pop("managedFields", None)
    return meta


def _pruned(value: JSON) -> JSON:
    """Without empty members, as Go's ``omitempty`` writes them; empty objects stay."""
    pruned = {key: _pruned(item) if isinstance(item, dict) else item for key, item in value.items()}
    return {key: item for key, item in pruned.items() if item not in ("", None, [], 0)}


def _check_attributes(spec: JSON) -> Causes:
    causes = Causes()
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        causes.invalid("spec.nonResourceAttributes", _go_path(path), why)
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.invalid("spec.resourceAttributes", None, why)
    return causes


def _check_subject(spec: JSON, causes: Causes) -> None:
    if not spec.get("user") and not spec.get("groups"):
        causes.invalid("spec.user", "", "at least one of user or group must be specified")


def _check_place(meta: JSON, namespace: str, name: str) -> None:
    """Name and namespace may be left out, but not be others than those of the account."""
    causes = Causes()
    for member, wanted in (("name", name), ("namespace", namespace)):
        if meta.get(member, wanted) != wanted:
            causes.invalid(f"metadata.{member}", meta[member], f"must match the service account {member} if specified")
            raise invalid("TokenRequest", name, causes.found, group=AUTHENTICATION)


def _asks_for_nothing(body: bytes) -> bool:
    """Whether a life of zero seconds is asked for, which is something else than leaving it out."""
    try:
        return bool(orjson.loads(body)["spec"]["expirationSeconds"] == 0)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False


def _check_seconds(seconds: int) -> None:
    causes = Causes()
    if seconds < LEAST_SECONDS:
        causes.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > MOST_SECONDS:
        causes.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if causes.found:
        raise invalid("TokenRequest", "", causes.found, group=AUTHENTICATION)


def _refuse(causes: Causes) -> None:
    if causes.found:
        raise invalid("", "", causes.found, group=AUTHORIZATION)


def _go_path(attributes: JSON) -> JSON:
    """Non-resource attributes as the Go type without JSON names prints."""
    return {"Path": attributes.get("path", ""), "Verb": attributes.get("verb", "")}


def _asked(spec: JSON) -> RequestInfo:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return RequestInfo(path.get("verb", ""), path.get("path", ""))
    asked = spec["resourceAttributes"]
    return RequestInfo(
        asked.get("verb", ""),
        "",
        group=asked.get("group", ""),
        version=asked.get("version", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )


def _extra(extra: JSON | None) -> dict[str, tuple[str, ...]]:
    return {key.lower(): tuple(values) for key, values in (extra or {}).items()}


def _user_json(user: UserInfo) -> JSON:
    extra = {key: list(values) for key, values in user.extra.items()}
    found = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
    return {key: value for key, value in found.items() if value}


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
