"""Admission by webhooks as Kubernetes 1.36 does it: mutating ones in turn, then validating ones side by side.

Flow of a write: every mutating webhook whose rules, selectors and conditions take it is asked in order and sees what
those before it changed; when one changed the object, earlier ones that wish so are asked once more; later, all
validating webhooks are asked at once, and the first refusal counts (k8s.io/apiserver `admission/plugin/webhook`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.admission import exchange, matching
from lws_sandbox.admission.calling import Caller, CallError, check_status
from lws_sandbox.admission.configuration import Configurations, Webhook
from lws_sandbox.admission.exchange import As, Verdict
from lws_sandbox.admission.versions import Invocation, as_seen, defaulted, is_main, patched_by
from lws_sandbox.diagnostics import RejectionCounts
from lws_sandbox.patching.json_patch import same
from lws_sandbox.rest.core import Review
from lws_sandbox.status import StatusError, bad_request, forbidden, internal_error, of
from lws_sandbox.strategy import Strategy

Stored = Callable[[], Iterable[JSON]]
MOST_CODE: Final = 600  # greater ones are counted as this


@dataclass(slots=True)
class _Reinvocation:
    """Who is to be asked again."""

    again: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)  # those of the asked who wish to be asked again
    wanted: bool = False

    def changed(self) -> None:
        """The object was changed: whoever was asked before is to see it."""
        self.again |= self.asked
        self.asked = set()
        self.wanted = True


class WebhookAdmission:
    """Asks the webhooks of the stored configurations.

    Args:
        mutating: stored MutatingWebhookConfigurations.
        validating: stored ValidatingWebhookConfigurations.
        namespace: a stored namespace by name, or None.
        strategies: everything that is served; versions and twins of a kind share a storage key.
        caller: reaches webhooks.
        random: the server's source of randomness, for the uids of reviews.

    Attributes:
        rejections: requests that webhooks refused, or that were refused since one could not be asked.
    """

    def __init__(
        self,
        *,
        mutating: Stored,
        validating: Stored,
        namespace: matching.Namespaces,
        strategies: Callable[[], Iterable[Strategy]],
        caller: Caller,
        random: Random,
    ) -> None:
        self._mutating = Configurations(mutating)
        self._validating = Configurations(validating)
        self._namespace = namespace
        self._strategies = strategies
        self._caller = caller
        self._random = random
        self.rejections: RejectionCounts = Counter()

    async def mutate(self, review: Review) -> tuple[JSON | None, list[str]]:
        """The object as the mutating webhooks leave it (the same one if none changed it), and warnings.

        Raises:
            StatusError: it is refused, or a webhook failed; ``warnings`` of the error are those given until then.
        """
        warnings: list[str] = []
        if matching.is_exempt(review):
            return review.obj, warnings
        webhooks = self._mutating.webhooks()
        state = _Reinvocation()
        try:
            admitted = await self._round(webhooks, review, state, warnings, again=False)
            if state.wanted:
                admitted = await self._round(webhooks, admitted, state, warnings, again=True)
        except StatusError as error:
            raise _with_warnings(error, warnings) from error.__cause__
        return admitted.obj, warnings

    async def validate(self, review: Review) -> list[str]:
        """Warnings of the validating webhooks.

        Raises:
            StatusError: it is refused, or a webhook failed.
        """
        warnings: list[str] = []
        if matching.is_exempt(review):
            return warnings
        invocations = [found for hook in self._validating.webhooks() if (found := self._invocation(hook, review))]
        refusals: list[StatusError] = []

        async def ask(invocation: Invocation) -> None:
            try:
                await self._ask(invocation, review, warnings, mutating=False)
            except StatusError as error:
                refusals.append(error)

        # All at once; like goroutines, the one started last begins first.
        await asyncio.gather(*(ask(invocation) for invocation in invocations[-1:] + invocations[:-1]))
        if refusals:
            raise _with_warnings(refusals[0], warnings)
        return warnings

    async def _round(
        self, webhooks: list[Webhook], review: Review, state: _Reinvocation, warnings: list[str], *, again: bool
    ) -> Review:
        for webhook in webhooks:
            invocation = self._invocation(webhook, review)
            if invocation is None or (again and webhook.uid not in state.again):
                continue
            patched = await self._ask(invocation, review, warnings, mutating=True)
            if patched is not None:
                if not same(patched, review.obj):
                    state.changed()
                review = replace(review, obj=defaulted(patched, review))
            if webhook.reinvocable:
                state.asked.add(webhook.uid)
        return review

    def _invocation(self, webhook: Webhook, review: Review) -> Invocation | None:
        """How this webhook is to be asked; None if it is not.

        Raises:
            StatusError: that cannot be told.
        """
        strategy = self._strategy(webhook, review)
        if strategy is None or not matching.selects(webhook, review, self._namespace):
            return None
        resource = strategy.resource
        own = strategy is review.strategy or not is_main(review)
        kind = review.kind if own else (resource.group, resource.version, resource.kind)
        invocation = Invocation(webhook, strategy, As(resource, kind))
        return invocation if self._meets_conditions(invocation, review) else None

    def _strategy(self, webhook: Webhook, review: Review) -> Strategy | None:
        own = review.strategy
        if matching.matching_rule(webhook.rules, review, own.resource):
            return own
        if not webhook.equivalent:
            return None
        twins = [other for other in self._strategies() if other.storage_key == own.storage_key and other is not own]
        for rule in webhook.rules:
            for twin in twins:
                if twin.resource != own.resource and matching.matching_rule([rule], review, twin.resource):
                    return twin
        return None

    def _meets_conditions(self, invocation: Invocation, review: Review) -> bool:
        webhook = invocation.webhook
        if not webhook.conditions:
            return True
        # Few webhooks have conditions, and the CEL library is slow to import.
        from lws_sandbox.admission import conditions

        variables = {
            "object": as_seen(review.obj, invocation, review),
            "oldObject": as_seen(review.old, invocation, review),
            "request": exchange.request(review, invocation.seen),
        }
        try:
            return conditions.evaluate(webhook.conditions, variables)
        except conditions.ConditionError as error:
            if webhook.ignores_failures:
                return False
            raise forbidden(of(review.strategy.resource), review.name, str(error)) from error

    async def _ask(self, invocation: Invocation, review: Review, warnings: list[str], *, mutating: bool) -> JSON | None:
        """The object as a webhook that allows changes it; None if it does not, or failed and that is to be ignored.

        Raises:
            StatusError: it refuses, or failed.
        """
        webhook = invocation.webhook

        def count(error_type: str, code: int) -> None:
            kind = "admit" if mutating else "validating"
            self.rejections[webhook.name, kind, review.operation, error_type, min(code, MOST_CODE)] += 1

        if review.dry_run and webhook.side_effects not in ("None", "NoneOnDryRun"):
            count("apiserver_internal_error", 0)
            raise bad_request(f'admission webhook "{webhook.name}" does not support dry run')
        try:
            verdict = await self._call(invocation, review, mutating=mutating)
            warnings += verdict.warnings
            if not verdict.allowed:
                denial = exchange.denial(webhook.name, verdict.status)
                count("no_error", denial.code)
                raise denial
            return patched_by(invocation, review, verdict)
        except CallError as error:
            if webhook.ignores_failures:
                return None
            count("calling_webhook_error", error.code)
            raise internal_error(f'failed calling webhook "{webhook.name}": {error}') from error

    async def _call(self, invocation: Invocation, review: Review, *, mutating: bool) -> Verdict:
        webhook = invocation.webhook
        version = next((known for known in webhook.versions if known in exchange.VERSIONS), None)
        if version is None:
            why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
            raise CallError(f"could not create admission objects: {why}", 400)
        uid = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        asked = exchange.question(
            uid,
            version,
            exchange.request(review, invocation.seen),
            as_seen(review.obj, invocation, review),
            as_seen(review.old, invocation, review),
        )
        answer = await self._caller.post(webhook.target, orjson.dumps(asked), webhook.timeout)
        check_status(answer)
        try:
            found = exchange.read(answer.body, version)
        except exchange.AnswerError as error:
            raise CallError(f"failed to call webhook: {error}") from error
        try:
            return exchange.verdict(found, uid, version, mutating=mutating)
        except exchange.AnswerError as error:
            raise CallError(f"received invalid webhook response: {error}") from error


def _with_warnings(error: StatusError, warnings: list[str]) -> StatusError:
    error.warnings = tuple(warnings)
    return error
