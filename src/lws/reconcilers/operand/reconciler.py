"""One pass over the installation: observe, plan, apply, and say how it went (operator 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.actions import Action, Apply, JsonPatch, Plan
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import ConflictError, ForbiddenError, InvalidError, LwsError
from lws.planning.operand import events, health, paths, record, removal, rollout, switching
from lws.planning.operand.adoption import TAKING_OVER
from lws.planning.operand.causes import CONFIG_INVALID, LASTING, PERMISSION_DENIED, Cause, cut
from lws.planning.operand.conditions import Sync, blind
from lws.planning.operand.desired import Desired, owner
from lws.planning.operand.plan import Decision, plan, serves
from lws.planning.operand.preview import Preview
from lws.planning.operand.removal import Course
from lws.planning.operand.status import status, workloads_due
from lws.planning.operand.world import Key, Probe, World
from lws.reconcilers.operand.apis import OptionalApis
from lws.reconcilers.operand.caches import KEY, Caches
from lws.reconcilers.operand.listener import Listener
from lws.reconcilers.operand.memory import PATIENCE, Memory
from lws.reconcilers.operand.observe import Observation, Observer
from lws.reconcilers.operand.olm import OperatorCondition
from lws.reconcilers.operand.preview import Restarts, preview
from lws.reconcilers.operand.probe import probe
from lws.runtime.controller import Done, RequeueAfter, Verdict
from lws.runtime.errorfields import error_fields
from lws.runtime.events import ObjectRef
from lws.runtime.executor import Executor

PROBE_SECONDS: Final = 60.0
RESYNC_SECONDS: Final = 300.0
WAITING_SECONDS: Final = 15.0  # between looks while something is waited for, or wrong
SETTLING_SECONDS: Final = 2.0  # between looks at an API that is about to be served
_log = structlog.stdlib.get_logger("lws.operand")

Validate = Callable[[JSON], str]
"""What is wrong with an operand's configuration file; empty if nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the status says of rollouts, and in how many seconds that may change by time alone."""

    plan: JSON | None = None
    history: Sequence[JSON] = ()
    look_again: float = 3600.0
    restarts: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """How a pass went.

    Attributes:
        causes: of being degraded.
        error: what made it fail, if anything did.
        waits: what the installation waits for.
        told: what the status says of rollouts.
    """

    causes: list[Cause]
    error: LwsError | None = None
    waits: tuple[str, str] = ("", "")
    told: Told = Told()


class OperandReconciler:
    """Brings about what the one LeaderWorkerSetOperator asks for.

    Args:
        client: reads, probes, and writes the status.
        caches: where the object is read.
        observer: looks.
        apis: tells whether discovery is about to change.
        executor: applies.
        validate: judges the operand's configuration file.
        clock: measures.
        listener: hears how it went.
        olm: tells OLM whether an upgrade may be offered.
        restarts: which groups a rollout would restart; not known if absent.
    """

    def __init__(
        self,
        client: ApiClient,
        caches: Caches,
        observer: Observer,
        apis: OptionalApis,
        executor: Executor[str],
        validate: Validate,
        clock: Clock,
        listener: Listener,
        olm: OperatorCondition,
        restarts: Restarts | None = None,
    ) -> None:
        self._client = client
        self._caches = caches
        self._observer = observer
        self._apis = apis
        self._executor = executor
        self._validate = validate
        self._clock = clock
        self._listener = listener
        self._restarts = restarts
        self._olm = olm
        self._memory = Memory()

    async def reconcile(self, key: str) -> Verdict:
        """One pass; without the object nothing is done, and that is no error."""
        operator = self._caches.operators.store.get("", key)
        if operator is None or operator.metadata.deleting:
            self._memory = Memory()
            return Done()
        self._listener.seen(operator)
        began = self._clock.monotonic()
        try:
            observation = await self._observer.observe(operator, self._memory.probe)
        except LwsError as error:
            self._listener.failed("observe")
            await self._tell_blind(operator, error)
            raise
        self._listener.standby(observation.standby)
        if observation.standby:
            await self._stand_aside(operator, observation.standby)
            return RequeueAfter(PROBE_SECONDS)
        self._memory.standby = ""
        observation = await self._probed(observation)
        match removal.course(operator.spec, observation.world.workloads):
            case Course.MAINTAIN:
                result = await self._apply(observation)
            case Course.LEAVE:
                result = await self._left_alone(observation)
            case Course.REMOVE:
                result = await self._remove(observation)
                observation = replace(observation, wanted=removal.remaining(observation.wanted, observation.world))
        if result.error is not None and not isinstance(result.error, ConflictError):
            self._listener.failed("apply")
        if isinstance(result.error, ConflictError):
            raise result.error  # nothing is told of a pass that is about to be taken again
        told, wait = await self._tell(observation, result)
        await self._olm.mirror(told)
        self._listener.passed(observation, told, self._clock.monotonic() - began)
        if result.error is not None:
            raise result.error
        return RequeueAfter(wait)

    async def _stand_aside(self, operator: LeaderWorkerSetOperator, other: str) -> None:
        """Say who goes before us, which is all that is written (operator 5.1)."""
        if other != self._memory.standby:
            _log.warning("another operator works on the same object; nothing is written", holder=other)
        self._memory.standby = other
        await self._executor.run(KEY, Plan((events.standing_aside(other),)), _reference(operator))

    # The webhook.

    async def _probed(self, observation: Observation) -> Observation:
        """Ask the webhook, if it is time; nothing can be asked while no pod is there."""
        memory, world = self._memory, observation.world
        if health.available_replicas(world.live.get((DEPLOYMENTS.kind, names.DEPLOYMENT))) < 1:
            memory.probe, memory.probed_at = None, float("-inf")
            return replace(observation, world=replace(world, probe=None))
        if self._clock.monotonic() - memory.probed_at >= PROBE_SECONDS - 1:
            try:
                fault = await probe(self._client, observation.facts.namespace)
            except LwsError as error:
                fault = str(error)
            memory.probe, memory.probed_at = Probe(self._clock.now(), fault), self._clock.monotonic()
        return replace(observation, world=replace(world, probe=memory.probe))

    # Applying.

    async def _apply(self, observation: Observation) -> Result:
        world = observation.world
        trusted_for = self._memory.trusted(now=self._clock.monotonic(), trusted=switching.trusted(world))
        world = replace(world, trusted_for=trusted_for)
        observation = replace(observation, world=world)
        refused = self._refused(observation)
        try:
            choice = await self._choose(observation, invalid=(DEPLOYMENTS.kind, names.DEPLOYMENT) in refused)
        except LwsError as error:  # the sets of the cluster could not be looked at
            return self._failed(error, [*refused.values()], Decision(), observation.wanted)
        decision = Decision(waits=choice.waits)
        if choice.target is not None:
            decision = plan(observation.facts, choice.target, world, settled=choice.settled, refused=frozenset(refused))
            decision.waits = choice.waits if choice.waits[0] else decision.waits
        causes = [*decision.causes, *choice.causes, *dict.fromkeys(refused.values())]
        if failing := _failing(world):
            causes.append(failing)
        actions = (*choice.told, *decision.actions, *_keeping(observation, choice.record))
        planned = choice.plan or _adopting(decision.other)
        told = Told(planned, choice.record.history, choice.look_again, choice.restarts)
        try:
            await self._executor.run(KEY, Plan(actions), _reference(world.operator))
        except ConflictError as error:
            return Result(causes, error, decision.waits, told)
        except LwsError as error:
            return replace(self._failed(error, causes, decision, choice.target or observation.wanted), told=told)
        self._memory.failures = 0
        self._count(observation, choice, decision)
        return Result(causes, None, decision.waits, told)

    def _count(self, observation: Observation, choice: rollout.Choice, decision: Decision) -> None:
        """Tell what a pass has put right, and of a rollout that ended with it."""
        before = record.decoded(observation.record)
        if choice.record.history and choice.record.history[-1:] != before.history[-1:]:
            self._listener.rolled(str(choice.record.history[-1].get("result")))
        digest = record.Rendering.of(observation.facts, observation.wanted).digest
        if before.good is not None and before.attempt is None and before.good.digest == digest:
            writes = [each for each in decision.actions if isinstance(each, Apply | JsonPatch)]
            self._listener.healed(str(each.resource) for each in writes)

    async def _choose(self, observation: Observation, *, invalid: bool) -> rollout.Choice:
        """Which installation to apply; what is invalid is not rolled out, and so not given up either."""
        facts, wanted, world = observation.facts, observation.wanted, observation.world
        kept = record.decoded(observation.record)
        if invalid:
            return rollout.Choice(wanted, kept)
        good = serves(world, wanted) and world.probe is not None and not world.probe.fault
        digest = record.Rendering.of(facts, wanted).digest
        soaking = self._memory.soaked(digest, now=self._clock.monotonic(), serves=good)
        planned = rollout.to_be_planned(facts, wanted, world, kept)
        seen = await self._previewed(observation, planned) if planned else Preview()
        return rollout.choose(facts, wanted, world, kept, soaking, seen)

    async def _previewed(self, observation: Observation, digest: str) -> Preview:
        """What a rollout changes; looked at once, and again every five minutes while it waits."""
        known, at, seen = self._memory.previewed
        now = self._clock.monotonic()
        if known != digest or now - at >= RESYNC_SECONDS:
            seen = await preview(self._client, observation, self._restarts)
            self._memory.previewed = (digest, now, seen)
        return seen

    def _refused(self, observation: Observation) -> dict[Key, Cause]:
        """Objects that stay as they are, because what is wanted of them is invalid."""
        wanted = observation.wanted
        found = self._memory.refused((each.key, each.manifest) for each in wanted.objects)
        if problem := self._validate(wanted.config):
            where = paths.of_configuration(problem, observation.world.operator.spec.unsupported_config_overrides or {})
            cause = Cause(CONFIG_INVALID, f"the configuration would be invalid: {problem}; correct {where}")
            deployment = (DEPLOYMENTS.kind, names.DEPLOYMENT)
            found |= dict.fromkeys(
                (deployment, ("ConfigMap", names.CONFIG_MAP), ("ConfigMap", wanted.config_map)), cause
            )
        return found

    def _failed(self, error: LwsError, causes: list[Cause], decision: Decision, wanted: Desired) -> Result:
        self._memory.failures += 1
        if isinstance(error, InvalidError) and error.details.get("kind") == DEPLOYMENTS.kind:
            told = paths.refusal(error.details.get("causes") or (), error.message)
            cause = Cause(CONFIG_INVALID, f"the Deployment would be invalid: {told}; correct the named field")
            manifest = wanted.get(DEPLOYMENTS.kind, names.DEPLOYMENT)
            assert manifest is not None
            self._memory.refuse((DEPLOYMENTS.kind, names.DEPLOYMENT), manifest, cause)
            return Result([*causes, cause], error, decision.waits)
        return Result([*causes, *_denied(error)], error, decision.waits)

    async def _left_alone(self, observation: Observation) -> Result:
        """A pass that writes nothing but the status, and warns if that puts sets at risk."""
        world = observation.world
        warnings = Plan(tuple(events.at_risk(each) for each in world.owned_definitions))
        await self._executor.run(KEY, warnings, _reference(world.operator))
        failing = _failing(world)
        history = record.decoded(observation.record).history
        return Result([failing] if failing is not None else [], told=Told(None, history))

    async def _remove(self, observation: Observation) -> Result:
        """A pass that takes the operand away, a step nearer."""
        decision = removal.removal(observation.world, observation.record)
        told = Told(None, record.decoded(observation.record).history)
        try:
            await self._executor.run(KEY, Plan(tuple(decision.actions)), _reference(observation.world.operator))
        except ConflictError as error:
            return Result([], error, decision.waits, told)
        except LwsError as error:
            self._memory.failures += 1
            return Result(_denied(error), error, decision.waits, told)
        self._memory.failures = 0
        return Result([], None, decision.waits, told)

    # The status.

    async def _tell(self, observation: Observation, result: Result) -> tuple[JSON, float]:
        """Write the status if it changed; returns it, and seconds until the next pass."""
        now = self._clock.monotonic()
        causes, left = self._memory.standing(result.causes, now)
        sync = Sync(tuple(causes), self._sync_error(result, causes), result.waits, result.told.restarts)
        world = observation.world
        rollouts = result.told
        told = status(observation.facts, observation.wanted, world, sync, plan=rollouts.plan, history=rollouts.history)
        await self._write(world.operator, told)
        # Of what is waited for some is not watched: Secrets, and everything of another installation.
        waiting = WAITING_SECONDS if result.waits[0] or result.causes else RESYNC_SECONDS
        elsewhere = SETTLING_SECONDS if result.waits[0] == TAKING_OVER else waiting
        return told, max(1.0, min(self._next(world), left + 0.1, rollouts.look_again + 0.1, elsewhere))

    async def _tell_blind(self, operator: LeaderWorkerSetOperator, error: LwsError) -> None:
        """Say why nothing could be looked at, if that has stood long enough."""
        if isinstance(error, ConflictError):
            return
        self._memory.failures += 1
        causes, _ = self._memory.standing(_denied(error), self._clock.monotonic())
        sync = Sync(tuple(causes), self._sync_error(Result([], error), causes))
        before = operator.raw_status.get("conditions") or ()
        await self._write(operator, {**operator.raw_status, "conditions": blind(sync, before, self._clock.now())})

    async def _write(self, operator: LeaderWorkerSetOperator, told: JSON) -> None:
        if same(told, operator.raw_status):
            return
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": names.SINGLETON},
            "status": told,
        }
        await self._client.apply(OPERATORS, body, subresource="status", field_manager=names.STATUS_MANAGER)

    def _sync_error(self, result: Result, causes: Iterable[Cause]) -> str:
        """What is told of a pass that failed: at once if the cause is one that is told at once, else with patience."""
        at_once = [each.message for each in causes if each.reason not in LASTING]
        if at_once:
            return cut("; ".join(at_once))
        if result.error is not None and self._memory.failures >= PATIENCE:
            return cut(str(result.error))
        return ""

    def _next(self, world: World) -> float:
        waits = [RESYNC_SECONDS]
        if self._apis.unsettled or 0 <= self._clock.monotonic() - self._memory.trusted_since < switching.SETTLE_SECONDS:
            waits.append(SETTLING_SECONDS)
        if self._memory.probe is not None:
            waits.append(self._memory.probed_at + PROBE_SECONDS - self._clock.monotonic())
        observed = str((world.operator.raw_status.get("workloads") or {}).get("observedAt") or "")
        if world.workloads is not None and (due := workloads_due(observed, world.now)) > 0:
            waits.append(due)
        return max(1.0, min(waits))


def same(told: JSON, live: JSON) -> bool:
    """Whether the status says already what is to be told; conditions of others do not count."""
    ours = {each["type"] for each in told["conditions"]}
    known = {
        **live,
        "conditions": sorted(
            (each for each in live.get("conditions") or () if each["type"] in ours), key=lambda each: str(each["type"])
        ),
    }
    return told == known


def _adopting(entry: JSON | None) -> JSON | None:
    """The plan of a pass that ends another installation."""
    return {"entries": [entry]} if entry is not None else None


def _keeping(observation: Observation, kept: record.Record) -> list[Action]:
    """Write the record, if it is not as it was read."""
    wanted = record.encoded(kept, observation.facts, owner(observation.facts.owner_uid))
    if wanted is None or (observation.record or {}).get("data") == wanted.manifest["data"]:
        return []
    return [Apply(wanted.resource, wanted.manifest, "")]


def _denied(error: LwsError) -> list[Cause]:
    """The right that is missing, if that is what an error says."""
    fields = error_fields(error)
    if not isinstance(error, ForbiddenError) or "verb" not in fields:
        return []
    remedy = f"grant the verb {fields['verb']} on {fields['resource']} as config/operator/rbac does"
    return [Cause(PERMISSION_DENIED, f"{error.message}; {remedy}")]


def _failing(world: World) -> Cause | None:
    deployment = world.live.get((DEPLOYMENTS.kind, names.DEPLOYMENT))
    return health.failing(deployment, world.replica_sets, world.pods, world.operator.spec)


def _reference(operator: LeaderWorkerSetOperator) -> ObjectRef:
    return ObjectRef.to(OPERATORS, operator.metadata)
