"""The admission endpoints (spec 3, 4; disaggregatedset 3): a request's bytes to an answer's bytes.

Guarantees of `AdmissionHandlers.handle_review`: it never raises and never answers 5xx; a review whose uid can be read
is answered 200 under that uid; only an allowed object is patched, and the patch touches nothing that the rules do not
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from random import Random, SystemRandom
from typing import Any, Final, Protocol

import structlog

from lws.api.disaggregatedset import validation as disaggregatedset
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import gangwarnings, policies
from lws.api.leaderworkerset.defaults import default_leaderworkerset
from lws.api.leaderworkerset.hashleaders import DRAWN
from lws.api.leaderworkerset.pods import Avoided, MalformedPodError, mutate_pod, nowhere
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.revisions import ALPHABET
from lws.api.leaderworkerset.schedulingrules import KUBERNETES, NOTHING, Support
from lws.api.leaderworkerset.validation import validate_create, validate_update
from lws.api.leaderworkerset.validation import warnings as warnings_about
from lws.api.rules import aggregate
from lws.apimachinery.resources import PODS
from lws.errors import AdmissionError
from lws.webhook.patch import difference
from lws.webhook.review import (
    LARGEST_BODY,
    Answer,
    GroupVersionKind,
    Question,
    ReviewError,
    check_content_type,
    object_of,
    read,
    refused,
    write,
    write_failure,
)

MUTATE_LEADERWORKERSET: Final = "/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset"
VALIDATE_LEADERWORKERSET: Final = "/validate-leaderworkerset-x-k8s-io-v1-leaderworkerset"
MUTATE_POD: Final = "/mutate--v1-pod"
VALIDATE_POD: Final = "/validate--v1-pod"
VALIDATE_DISAGGREGATEDSET: Final = "/validate-disaggregatedset-x-k8s-io-v1-disaggregatedset"

LEADERWORKERSET_KIND: Final = GroupVersionKind(LEADERWORKERSETS.group, LEADERWORKERSETS.version, LEADERWORKERSETS.kind)
DISAGGREGATEDSET_KIND: Final = GroupVersionKind(
    DISAGGREGATEDSETS.group, DISAGGREGATEDSETS.version, DISAGGREGATEDSETS.kind
)
POD_KIND: Final = GroupVersionKind(PODS.group, PODS.version, PODS.kind)

Handler = Callable[[Question], Answer]
_INDEX: Final = re.compile(r"\[[^]]*\]")
_log = structlog.get_logger("lws.webhook")


class Observer(Protocol):
    """Told of rejections, for metrics."""

    def denied(self, webhook: str, rule: str) -> None:
        """An object was refused by this rule."""
        ...

    def panicked(self, webhook: str) -> None:
        """A handler raised an unexpected error."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is asked at one path, and who answers."""

    kind: GroupVersionKind
    operations: frozenset[str]
    handler: Handler


class AdmissionHandlers:
    """Answers reviews at the paths of our webhooks."""

    def __init__(
        self,
        *,
        gang: Collection[str] = (),
        observer: Observer | None = None,
        random: Random | None = None,
        scheduling: Callable[[], Support] = lambda: NOTHING,
        avoided: Avoided = nowhere,
    ) -> None:
        """Leaders of ``gang`` schedulers are marked for their PodGroup (spec 4.5); ``observer`` hears of rejections.

        ``random`` draws the keys of groups (next 3.4); by default the system's own chance. ``scheduling`` tells what
        there is for typed scheduling at the moment (next 7), ``avoided`` which hosts a pod had better avoid
        (resilience 6.5).
        """
        self._avoided = avoided
        self._scheduling = scheduling
        self._gang = gang
        self._random = random or SystemRandom()
        self._observer = observer
        write_operations = frozenset({"CREATE", "UPDATE"})
        self._endpoints = {
            MUTATE_LEADERWORKERSET: Endpoint(LEADERWORKERSET_KIND, write_operations, _default_leaderworkerset),
            VALIDATE_LEADERWORKERSET: Endpoint(LEADERWORKERSET_KIND, write_operations, self._validate_leaderworkerset),
            MUTATE_POD: Endpoint(POD_KIND, frozenset({"CREATE"}), self._mutate_pod),
            VALIDATE_POD: Endpoint(POD_KIND, write_operations, _allow),
            VALIDATE_DISAGGREGATEDSET: Endpoint(DISAGGREGATEDSET_KIND, write_operations, _validate_disaggregatedset),
        }

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """What is answered, by path."""
        return self._endpoints

    @property
    def paths(self) -> frozenset[str]:
        """The paths that are answered."""
        return frozenset(self._endpoints)

    def handle_review(self, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        """HTTP status and body that answer a POST of ``body`` to ``path`` (without query)."""
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            return _failure(HTTPStatus.NOT_FOUND, "no such webhook")
        if len(body) > LARGEST_BODY:
            return _failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body exceeds {LARGEST_BODY} bytes")
        try:
            uid, answer = self._answer(endpoint, path, body, content_type)
        except ReviewError as error:
            if not error.uid:
                return _failure(error.status, str(error))
            uid, answer = error.uid, refused(str(error), error.status)
        if not answer.allowed and self._observer is not None:
            self._observer.denied(path, answer.rule)
        return int(HTTPStatus.OK), write(uid, answer)

    def _answer(self, endpoint: Endpoint, path: str, body: bytes, content_type: str) -> tuple[str, Answer]:
        wrong_type = check_content_type(content_type)
        try:
            question = read(body)
        except ReviewError as error:
            if wrong_type is None:
                raise
            raise ReviewError(wrong_type, uid=error.uid, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE) from error
        if wrong_type is not None:
            raise ReviewError(wrong_type, uid=question.uid, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        return question.uid, self._guarded(endpoint, path, question)

    def _guarded(self, endpoint: Endpoint, path: str, question: Question) -> Answer:
        """The endpoint's answer; an internal error rejects this one object and is logged."""
        if question.sub_resource:
            return Answer()  # The rules name whole objects only; nothing is to be said about parts.
        if question.kind != endpoint.kind:
            raise ReviewError(f"expected kind {endpoint.kind}, not {question.kind}", uid=question.uid)
        if question.operation not in endpoint.operations:
            return Answer()
        try:
            return endpoint.handler(question)
        except ReviewError:
            raise
        except Exception as error:
            place = {"namespace": question.namespace, "name": question.name}
            _log.exception("review failed", webhook=path, uid=question.uid, **place)
            if self._observer is not None:
                self._observer.panicked(path)
            message = f"the object could not be judged: {type(error).__name__}"
            return refused(message, HTTPStatus.BAD_REQUEST, rule="unexpected")

    def _mutate_pod(self, question: Question) -> Answer:
        pod = object_of(question, question.object, "object")
        try:
            typed = self._scheduling().provider == KUBERNETES
            made = mutate_pod(pod, gang=self._gang, draw=self._draw, typed=typed, avoided=self._avoided)
            return Answer(patch=difference(pod, made))
        except MalformedPodError as error:
            return refused(str(error), HTTPStatus.BAD_REQUEST)
        except AdmissionError as error:
            return refused(str(error), rule="pod")

    def _draw(self) -> str:
        return "".join(self._random.choices(ALPHABET, k=DRAWN))

    def _validate_leaderworkerset(self, question: Question) -> Answer:
        found = object_of(question, question.object, "object")
        if question.operation == "CREATE":
            old = None
            errors = validate_create(found, self._scheduling())
        else:
            old = object_of(question, question.old_object, "oldObject")
            errors = validate_update(found, old, self._scheduling())
        told = [*warnings_about(found, old), *gangwarnings.warnings(found, old, self._gang)]
        return _judged([*errors, *policies.validate(found, old)], [*told, *policies.warnings(found, old)])


def _default_leaderworkerset(question: Question) -> Answer:
    patch: list[dict[str, Any]] = list(default_leaderworkerset(object_of(question, question.object, "object")))
    return Answer(patch=patch)


def _validate_disaggregatedset(question: Question) -> Answer:
    found = object_of(question, question.object, "object")
    old = None if question.operation == "CREATE" else object_of(question, question.old_object, "oldObject")
    return _judged(disaggregatedset.validate(found), disaggregatedset.warnings(found, old))


def _judged(errors: list[str], warnings: list[str]) -> Answer:
    """Warnings are given with a refusal too."""
    if errors:
        rule = _INDEX.sub("", errors[0].partition(":")[0])
        return Answer(False, HTTPStatus.FORBIDDEN, aggregate(errors), warnings=warnings, rule=rule)
    return Answer(warnings=warnings)


def _allow(question: Question) -> Answer:
    object_of(question, question.object, "object")
    return Answer()


def _failure(status: HTTPStatus, message: str) -> tuple[int, bytes]:
    return int(status), write_failure(status, message)
