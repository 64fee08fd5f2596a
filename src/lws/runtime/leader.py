"""Leader election with a Lease, in the record that client-go keeps: candidates of both kinds exclude each other.

Guarantees:
    * `LeaderElector.leading` is true only within ``renew_deadline`` seconds of the moment at which the last successful
      renewal was *begun*, by this process's own monotonic clock. A stall, a slow answer or a clock of another rate can
      only make it false earlier. It says so when asked, without any timer having to run.
    * `lws.runtime.fence` lets no write out while that is false.
    * A lease held by another is taken only after it has not changed for its own duration, by our clock since we saw it.
    * What was lost is not taken back: after `LeadershipLostError` the elector is at its end.
    * `LeaderElector.release` gives the lease up, so that the next candidate need not wait for it to run out.

Caveats:
    Two candidates exclude each other in real time as long as the rates of their clocks differ by less than
    ``lease_duration / renew_deadline``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final

import structlog

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import LEASES
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import ConflictError, LwsError, NotFoundError
from lws.runtime.errorfields import error_fields
from lws.runtime.fence import LeadershipLostError
from lws.runtime.timestamps import micro_time

JITTER: Final = 1.2  # client-go's: candidates wait between one and 2.2 retry periods
LOOK_SECONDS: Final = 0.4  # a candidate looks at a lease that others hold after one to 2.2 times this
RELEASE_SECONDS: Final = 2.0
_log = structlog.stdlib.get_logger("lws.leader")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; a candidate waits ``lease_duration``, a leader gives up after ``renew_deadline`` without a renewal."""

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def problem(self) -> str | None:
        """Why these cannot work together, or None."""
        if self.lease_duration < 1:
            return "leaseDuration must be at least 1s"
        if self.lease_duration <= self.renew_deadline:
            return "leaseDuration must be greater than renewDeadline"
        if self.retry_period <= 0:
            return "retryPeriod must be greater than 0"
        if self.renew_deadline <= JITTER * self.retry_period:
            return "renewDeadline must be greater than retryPeriod times 1.2"
        return None


class LeaderElector:
    """One candidate for one lease; see the module for its guarantees.

    Args:
        client: reaches the lease; it must not be fenced.
        namespace: of the lease.
        name: of the lease.
        identity: what the lease says of its holder; different for every candidate.
        clock: judges deadlines by its monotonic time and stamps the record with its time of day.
        random: jitter of the candidate's waiting.
        timing: the three spans.
        changed: told whenever leadership is won (true) or ends (false).
        slow_path: told when a renewal had to read the lease first.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        random: Random,
        timing: Timing | None = None,
        changed: Callable[[bool], None] | None = None,
        slow_path: Callable[[], None] | None = None,
    ) -> None:
        self.identity = identity
        self.timing = timing or Timing()
        self._client = client
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._random = random
        self._changed = changed
        self._slow_path = slow_path
        self._until = float("-inf")  # monotonic: when leadership ends unless renewed
        self._held = False  # between winning and the end
        self._lease: JSON = {}  # as the server last showed it; empty before
        self._spec: JSON = {}  # the part whose change shows that its holder lives
        self._spec_seen_at = 0.0  # monotonic
        self._complaint = ""
        self._succeeded = ""  # when the holder before us renewed the lease last, as it wrote

    @property
    def leading(self) -> bool:
        """Whether this process may act now."""
        return self.remaining > 0

    @property
    def remaining(self) -> float:
        """Seconds for which this process may act without a further renewal; not positive if it may not."""
        return self._until - self._clock.monotonic() if self._held else 0.0

    @property
    def holder(self) -> str:
        """The holder of the lease as last seen; empty if there is none."""
        return str(self._spec.get("holderIdentity") or "")

    @property
    def vacancy(self) -> float:
        """Seconds from the last renewal of an earlier holder, or its release, until we began to lead; 0 without one."""
        if not self._succeeded:
            return 0.0
        acquired, before = (datetime.fromisoformat(each) for each in (self._spec["acquireTime"], self._succeeded))
        return max(0.0, (acquired - before).total_seconds())

    async def acquire(self) -> None:
        """Wait until this process leads. Failures are logged and retried."""
        _log.info("waiting for the lease", lease=self._label, identity=self.identity)
        while True:
            if await self._try():
                break
            await asyncio.sleep(self._pause())
        _log.info("leading", lease=self._label, identity=self.identity)

    def _pause(self) -> float:
        """Until the next try: a lease that is held is only read, and often, since its holder may give it up."""
        jitter = JITTER * self._random.random()
        span = self.timing.retry_period * (1 + jitter)
        return span if self._complaint else min(span, LOOK_SECONDS * (1 + jitter))

    async def hold(self) -> None:
        """Renew the lease until leadership is lost.

        Raises:
            LeadershipLostError: it is lost; by then `leading` is false.
        """
        while self.leading and not self._taken:
            await asyncio.sleep(max(0.0, min(self.timing.retry_period, self.remaining)))
            if self.leading:
                await self._try()
        cause = f"{self.holder} took it" if self._taken else "it could not be renewed in time"
        self._end()
        raise LeadershipLostError(f"leadership of lease {self._label} is lost: {cause}")

    async def release(self) -> None:
        """Stop leading, and give the lease up if we still hold it. Idempotent; failure is logged only."""
        held = self._held
        self._end()
        if not held:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._give_up()
            _log.info("lease released", lease=self._label)
        except (LwsError, TimeoutError) as error:
            _log.warning("lease not released, it will run out", lease=self._label, cause=str(error))

    # One try.

    async def _try(self) -> bool:
        """Take or renew the lease once; whether we lead by that. Raises nothing of the API's."""
        begun = self._clock.monotonic()
        patience = self.timing.renew_deadline / 2
        try:
            async with asyncio.timeout(min(patience, self.remaining) if self.leading else patience):
                won = await self._take_or_renew()
        except LwsError as error:
            self._complain(**error_fields(error))
            return False
        except TimeoutError:
            self._complain("no answer in time")
            return False
        self._complaint = ""
        until = begun + self.timing.renew_deadline
        if not won or until <= self._clock.monotonic():
            return False
        self._until = until
        if not self._held:
            self._held = True
            self._tell(True)
        return True

    async def _take_or_renew(self) -> bool:
        if self.leading and self.holder == self.identity:
            try:
                self._saw(await self._client.update(LEASES, self._record()))
                return True
            except (ConflictError, NotFoundError):
                if self._slow_path is not None:
                    self._slow_path()
        try:
            self._saw(await self._client.get(LEASES, self._namespace, self._name))
        except NotFoundError:
            self._lease, self._spec = {}, {}
            self._saw(await self._client.create(LEASES, self._record()))
            return True
        if self._taken:
            return False
        before = self._spec
        self._saw(await self._client.update(LEASES, self._record()))
        if before.get("holderIdentity") != self.identity:
            self._succeeded = before.get("renewTime") or ""
        return True

    @property
    def _taken(self) -> bool:
        """Whether another holds the lease and must be believed to live."""
        if self.holder in ("", self.identity):
            return False
        if self._held:
            return True
        duration = float(self._spec.get("leaseDurationSeconds") or 0)
        return self._clock.monotonic() < self._spec_seen_at + duration

    def _saw(self, lease: JSON) -> None:
        self._lease = lease
        spec = lease.get("spec") or {}
        if spec != self._spec:
            self._spec, self._spec_seen_at = spec, self._clock.monotonic()

    def _record(self) -> JSON:
        """The lease as it is to be: ours, renewed now."""
        now = micro_time(self._clock.now())
        ours = self.holder == self.identity
        transitions = int(self._spec.get("leaseTransitions") or 0)
        return self._with(
            holderIdentity=self.identity,
            leaseDurationSeconds=math.ceil(self.timing.lease_duration),  # less would let others in before we are out
            acquireTime=(self._spec.get("acquireTime") if ours else None) or now,
            renewTime=now,
            leaseTransitions=transitions + (1 if self._lease and not ours else 0),
        )

    def _with(self, **members: object) -> JSON:
        base = self._lease or {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
        }
        return {**base, "spec": {**self._spec, **members}}

    # The end.

    async def _give_up(self) -> None:
        while self.holder == self.identity:
            now = micro_time(self._clock.now())
            empty = self._with(holderIdentity="", leaseDurationSeconds=1, acquireTime=now, renewTime=now)
            try:
                self._saw(await self._client.update(LEASES, empty))
            except ConflictError:
                self._saw(await self._client.get(LEASES, self._namespace, self._name))

    def _end(self) -> None:
        self._until = float("-inf")
        if self._held:
            self._held = False
            self._tell(False)

    def _tell(self, leading: bool) -> None:
        if self._changed is not None:
            self._changed(leading)

    @property
    def _label(self) -> str:
        return f"{self._namespace}/{self._name}"

    def _complain(self, cause: str, **more: str) -> None:
        """Log why the lease cannot be taken or renewed, once for each new cause."""
        if cause != self._complaint:
            self._complaint = cause
            _log.warning("the lease cannot be taken or renewed", lease=self._label, cause=cause, **more)
