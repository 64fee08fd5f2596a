"""What all handlers share: store, clock, randomness, and what knows patches, fields and admission."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Protocol

from lws.apimachinery.manifests import JSON
from lws.clock import Clock
from lws_sandbox.rest.call import Call, WriteOptions
from lws_sandbox.status import not_found, of
from lws_sandbox.storage import Storage
from lws_sandbox.strategy import Strategy, WriteContext
from lws_sandbox.user import UserInfo


@dataclass(frozen=True, slots=True)
class Review:
    """What admission is asked about; ``obj`` is None for a deletion, ``old`` for a creation."""

    operation: str
    strategy: Strategy
    kind: tuple[str, str, str]
    subresource: str
    namespace: str
    name: str
    obj: JSON | None
    old: JSON | None
    options: JSON
    user: UserInfo
    dry_run: bool


class Admission(Protocol):
    """Who is asked before anything is written."""

    async def mutate(self, review: Review) -> tuple[JSON | None, list[str]]:
        """The object as it may be written, and warnings.

        Raises:
            StatusError: it may not.
        """
        ...

    async def validate(self, review: Review) -> list[str]:
        """Warnings.

        Raises:
            StatusError: it may not be written.
        """
        ...


class ObjectCodec(Protocol):
    """Bodies, patches and ownership of fields."""

    def decode(self, call: Call, strategy: Strategy, field_validation: str) -> tuple[JSON, list[str]]:
        """The object in the body, and warnings.

        Raises:
            StatusError: 400, 415 or 422.
        """
        ...

    def patch(self, call: Call, live: JSON, strategy: Strategy, field_validation: str) -> tuple[JSON, list[str]]:
        """``live`` with the patch in the body applied, and warnings.

        Raises:
            StatusError: it cannot be read or does not apply.
        """
        ...

    def decode_applied(self, call: Call, field_validation: str) -> tuple[JSON, list[str]]:
        """The configuration in the body of an apply: YAML, as written; and warnings.

        Raises:
            StatusError: 400, it cannot be read.
        """
        ...

    def decode_options(self, call: Call) -> JSON:
        """DeleteOptions in the body.

        Raises:
            StatusError: 400, they are none.
        """
        ...

    def apply(
        self,
        live: JSON | None,
        applied: JSON,
        strategy: Strategy,
        *,
        manager: str,
        force: bool,
        subresource: str,
        now: datetime,
    ) -> JSON:
        """Server-side apply, managedFields and all.

        Raises:
            StatusError: 409, others own fields.
        """
        ...

    def track(
        self, old: JSON | None, new: JSON, strategy: Strategy, *, manager: str, subresource: str, now: datetime
    ) -> JSON:
        """``new`` with managedFields that tell who changed what."""
        ...


@dataclass(slots=True)
class Core:
    """The shared parts of the server, for its handlers."""

    storage: Storage
    clock: Clock
    random: Random
    codec: ObjectCodec
    admission: Admission
    strategies: Callable[[], Iterable[Strategy]]
    allow: Callable[[Call, str], Awaitable[None]]  # raises unless the caller may use another verb as well

    def context(self, user: UserInfo, *, dry_run: bool = False, subresource: str = "") -> WriteContext:
        """What the rules of kinds may know."""
        return WriteContext(
            now=self.clock.now(),
            random=self.random,
            user=user,
            dry_run=dry_run,
            subresource=subresource,
            peek=self.storage.get,
            stored=lambda key, namespace: list(self.storage.objects(key, namespace)),
        )

    def find(self, call: Call) -> JSON:
        """The stored object that the call names, in the version asked for.

        Raises:
            StatusError: 404.
        """
        strategy, info = call.strategy, call.info
        stored = self.storage.get(strategy.storage_key, info.namespace, info.name)
        if stored is None:
            raise not_found(of(strategy.resource), info.name)
        return strategy.read(stored)

    async def mutate(self, call: Call, review: Review) -> JSON:
        """Ask the mutating side; returns the object to go on with."""
        obj, warnings = await self.admission.mutate(review)
        call.warnings += warnings
        assert obj is not None
        return obj

    async def validate(self, call: Call, review: Review) -> None:
        """Ask the validating side."""
        call.warnings += await self.admission.validate(review)


def review(
    call: Call,
    operation: str,
    options: WriteOptions | JSON,
    obj: JSON | None,
    old: JSON | None,
    *,
    options_kind: str = "",
    dry_run: bool = False,
    name: str | None = None,
) -> Review:
    """The review of a call."""
    resource = call.strategy.resource
    raw = options.to_json(options_kind) if isinstance(options, WriteOptions) else options
    return Review(
        operation=operation,
        strategy=call.strategy,
        kind=(resource.group, resource.version, resource.kind),
        subresource=call.subresource,
        namespace=call.info.namespace,
        name=call.info.name if name is None else name,
        obj=obj,
        old=old,
        options=raw,
        user=call.user,
        dry_run=dry_run or (isinstance(options, WriteOptions) and options.dry_run),
    )
