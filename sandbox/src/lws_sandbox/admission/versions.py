"""The object under review in the version that a webhook sees, and what a patch makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from lws.apimachinery.manifests import JSON
from lws_sandbox.admission import patching
from lws_sandbox.admission.calling import CallError
from lws_sandbox.admission.configuration import Webhook
from lws_sandbox.admission.exchange import As, Verdict
from lws_sandbox.rest.core import Review
from lws_sandbox.schema.gostruct import GoReader
from lws_sandbox.status import internal_error
from lws_sandbox.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Invocation:
    """A webhook that is to be asked, and in whose version it wants to see the object."""

    webhook: Webhook
    strategy: Strategy  # in whose version the webhook wants to see the object
    seen: As


def patched_by(invocation: Invocation, review: Review, verdict: Verdict) -> JSON | None:
    """The object after a verdict's patch, in the version of the write; None without a patch.

    Raises:
        CallError: the patch cannot be read.
        StatusError: it does not apply.
    """
    if not verdict.patch:
        return None
    try:
        operations = patching.decode(verdict.patch)
    except patching.PatchError as error:
        raise CallError(f"received undecodable patch in webhook response: {error}") from error
    if not operations:
        return None
    seen = as_seen(review.obj, invocation, review)
    if seen is None:
        name = invocation.webhook.name
        why = "attempted to modify the object, which is not supported for this operation"
        raise internal_error(f'admission webhook "{name}" {why}')
    if verdict.patch_type != "JSONPatch":
        raise CallError(f'unsupported patch type "{verdict.patch_type}"')
    try:
        patched = patching.apply(seen, operations)
    except patching.PatchError as error:
        raise internal_error(str(error)) from error
    if is_main(review):
        patched = _typed(patched, invocation.strategy)
    if invocation.strategy is review.strategy:
        return patched
    return review.strategy.read(invocation.strategy.write(patched))


def _typed(obj: JSON, strategy: Strategy) -> JSON:
    """The patched object as it comes out of the kind's type: unknown members are gone.

    Raises:
        StatusError: a member has a wrong type.
    """
    schema = strategy.schema
    if schema is None:
        return obj
    if schema.custom:
        schema.prune(obj)
        return obj
    reader = GoReader()
    read = reader.read(schema.root, obj)
    if reader.error:
        raise internal_error(reader.error)
    return read if isinstance(read, dict) else obj


def defaulted(obj: JSON, review: Review) -> JSON:
    """The object with the defaults of its kind, filled in in place."""
    if is_main(review):
        review.strategy.default(obj)
    return obj


def is_main(review: Review) -> bool:
    """Whether the object under review is one of the resource's own kind, and no Scale, Binding or Eviction."""
    return review.subresource in ("", "status")


def as_seen(obj: JSON | None, invocation: Invocation, review: Review) -> JSON | None:
    """The object in the version that the webhook wants to see."""
    if obj is None or invocation.strategy is review.strategy or not is_main(review):
        return obj
    return invocation.strategy.read(review.strategy.write(obj))
