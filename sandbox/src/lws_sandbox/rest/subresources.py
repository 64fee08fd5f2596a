"""Subresources besides status: scale, binding, eviction, resize, finalize; and those of running containers."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.copying import copied
from lws_sandbox.kinds.topology import NODES, place
from lws_sandbox.rest import creating, deleting, metadata, reading, selectors, updating
from lws_sandbox.rest.call import Call, delete_options, write_options
from lws_sandbox.rest.core import Core, review
from lws_sandbox.rest.proxying import serve_proxy
from lws_sandbox.rest.scale import serve_scale
from lws_sandbox.status import Cause, GroupResource, StatusError, conflict, method_not_supported, too_many_requests
from lws_sandbox.strategy import GenericStrategy, Strategy

Answer = tuple[JSON, int]
CREATED: Final[JSON] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
BINDING: Final = GenericStrategy(Resource("", "v1", "bindings", "Binding"))
EVICTION: Final = GenericStrategy(Resource("policy", "v1", "evictions", "Eviction"))
BUDGETS: Final = "poddisruptionbudgets.policy"
_SEE_STATUS: Final = "see the pod's status and events, and its environment by: lws-sandbox pod env"
_RUNS_NOTHING: Final = {
    "log": f"containers of the sandbox run nothing, so there is no log: {_SEE_STATUS}",
    "exec": f"containers of the sandbox run nothing, so no command can be executed: {_SEE_STATUS}",
    "attach": f"containers of the sandbox run nothing, so there is nothing to attach to: {_SEE_STATUS}",
    "portforward": "containers of the sandbox run nothing, so no port is open: use a cluster that runs them",
    "proxy": "nothing in the sandbox listens on nodes, so there is nothing to proxy to",
}


async def serve(core: Core, call: Call) -> Answer:
    """Answer a request for a subresource: body and status code.

    Raises:
        StatusError: it failed, or the sandbox has no such thing.
    """
    handlers: dict[str, Callable[[Core, Call], Awaitable[Answer]]] = {
        "scale": serve_scale,
        "binding": _bind,
        "eviction": _evict,
        "resize": _part,
        "ephemeralcontainers": _part,
        "finalize": _finalize,
    }
    if call.info.resource != "nodes":
        handlers["proxy"] = serve_proxy
    handler = handlers.get(call.subresource)
    if handler is None and call.subresource in _RUNS_NOTHING:
        core.find(call)
        raise StatusError(501, "NotImplemented", _RUNS_NOTHING[call.subresource])
    if handler is None:
        what = GroupResource(call.info.group, f"{call.info.resource}/{call.subresource}")
        raise method_not_supported(what, call.info.verb)
    return await handler(core, call)


async def bind_by_body(core: Core, call: Call, pods: Strategy) -> JSON:
    """A binding posted to ``bindings``, where its name alone tells the pod.

    Raises:
        StatusError: the pod was not bound.
    """
    body, _ = core.codec.decode(call, BINDING, write_options(call.query, "CreateOptions").field_validation)
    name = body["metadata"].get("name") or ""
    info = dataclasses.replace(call.info, resource="pods", subresource="binding", name=name)
    answer, _ = await _bind(core, dataclasses.replace(call, info=info, strategy=pods))
    return answer


async def _bind(core: Core, call: Call) -> Answer:
    """A pod gets its node, once, and the condition that says so."""
    options = write_options(call.query, "CreateOptions")
    body, warnings = core.codec.decode(call, BINDING, options.field_validation)
    call.warnings += warnings
    creating.check_namespace(call, body)
    creating.check_name(call, body)
    target = body.get("target") or {}
    _check_target(target)
    body = core.codec.track(
        None, body, BINDING, manager=call.manager(options), subresource="binding", now=core.clock.now()
    )
    live = core.find(call)
    stored = core.storage.get(call.strategy.storage_key, call.info.namespace, call.info.name)
    assert stored is not None
    _check_unbound(call, body, live)
    asked = review(call, "CREATE", options, body, None, options_kind="CreateOptions")
    asked = dataclasses.replace(asked, kind=("", "v1", "Binding"))
    await core.mutate(call, asked)
    await core.validate(call, asked)
    if not options.dry_run:
        bound = _bound(body, live, metadata.timestamp(core.clock.now()))
        place(bound, core.storage.get(NODES, "", target["name"]))
        written = core.storage.update(
            call.strategy.storage_key, call.info.namespace, call.info.name, call.strategy.write(bound), stored
        )
        call.strategy.stored(written, stored)
    return dict(CREATED), 201


def _check_target(target: JSON) -> None:
    found = []
    if target.get("kind") not in (None, "", "Node"):
        found.append(f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"')
    if not target.get("name"):
        found.append("target.name: Required value")
    if found:
        raise StatusError(500, "", found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _check_unbound(call: Call, body: JSON, live: JSON) -> None:
    what, name = GroupResource("", "pods/binding"), call.info.name
    uid = body["metadata"].get("uid")
    if uid and uid != live["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {live['metadata']['uid']}"
        raise conflict(what, name, why)
    if live["metadata"].get("deletionTimestamp"):
        raise conflict(what, name, f"pod {name} is being deleted, cannot be assigned to a host")
    node = (live.get("spec") or {}).get("nodeName")
    if node:
        raise conflict(what, name, f'pod {name} is already assigned to node "{node}"')
    if (live.get("spec") or {}).get("schedulingGates"):
        raise conflict(what, name, f"pod {name} has non-empty .spec.schedulingGates")


def _bound(body: JSON, live: JSON, now: str) -> JSON:
    status = copied(live.get("status") or {})
    known = [found for found in status.get("conditions") or [] if found.get("type") != "PodScheduled"]
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    status["conditions"] = [*known, condition]
    annotations = {**(live["metadata"].get("annotations") or {}), **(body["metadata"].get("annotations") or {})}
    labels = {**(live["metadata"].get("labels") or {}), **(body["metadata"].get("labels") or {})}
    given = {"annotations": annotations, "labels": labels}
    meta = {**live["metadata"], **{key: value for key, value in given.items() if value}}
    return {**live, "metadata": meta, "spec": {**live["spec"], "nodeName": body["target"]["name"]}, "status": status}


async def _evict(core: Core, call: Call) -> Answer:
    """A deletion that disruption budgets may forbid."""
    options = write_options(call.query, "CreateOptions")
    body, warnings = core.codec.decode(call, EVICTION, options.field_validation)
    call.warnings += warnings
    creating.check_namespace(call, body)
    creating.check_name(call, body)
    live = core.find(call)
    asked = review(call, "CREATE", options, body, None, options_kind="CreateOptions")
    asked = dataclasses.replace(asked, kind=("policy", "v1", "Eviction"))
    await core.mutate(call, asked)
    await core.validate(call, asked)
    source = dict(body.get("deleteOptions") or {})
    if options.dry_run:
        source["dryRun"] = ["All"]
    if not _counts_nothing(live):
        _spend_budget(core, call, live, dry_run=options.dry_run)
    if not options.dry_run:
        _tell(core, call, live)
    info = dataclasses.replace(call.info, subresource="", verb="delete")
    await deleting.delete(core, dataclasses.replace(call, info=info), delete_options(source), reviewed=False)
    return dict(CREATED), 201


def _tell(core: Core, call: Call, live: JSON) -> None:
    """Have the pod say why it is about to go."""
    status = copied(live.get("status") or {})
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastProbeTime": None,
        "lastTransitionTime": metadata.timestamp(core.clock.now()),
    }
    known = [found for found in status.get("conditions") or [] if found.get("type") != condition["type"]]
    told = {**live, "status": {**status, "conditions": [*known, condition]}}
    where = (call.strategy.storage_key, call.info.namespace, call.info.name)
    stored = core.storage.get(*where)
    assert stored is not None
    core.storage.update(*where, call.strategy.write(told), stored)


def _counts_nothing(pod: JSON) -> bool:
    """Whether a budget loses nothing with this pod: it has ended, never began, or is being deleted."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def _spend_budget(core: Core, call: Call, pod: JSON, *, dry_run: bool) -> None:
    namespace, labels = call.info.namespace, pod["metadata"].get("labels") or {}
    budgets = []
    for budget in core.storage.objects(BUDGETS, namespace):
        selector = selectors.from_object(budget["spec"].get("selector"))
        if selector is not None and selector.matches(labels):
            budgets.append(budget)
    if len(budgets) > 1:
        why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StatusError(500, "", why)
    for budget in budgets:
        _check_budget(budget, pod)
        if not dry_run:
            _disrupt(core, budget, call.info.name)


def _check_budget(budget: JSON, pod: JSON) -> None:
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    refusal = "Cannot evict pod as it would violate the pod's disruption budget."
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        why = f"The disruption budget {name} is still being processed by the server."
        raise too_many_requests(refusal, 10, [Cause("DisruptionBudget", why, "")])
    if _unhealthy_may_go(budget, pod):
        return
    if (status.get("disruptionsAllowed") or 0) <= 0:
        need, have = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        why = f"The disruption budget {name} needs {need} healthy pods and has {have} currently"
        raise too_many_requests(refusal, 0, [Cause("DisruptionBudget", why, "")])


def _unhealthy_may_go(budget: JSON, pod: JSON) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(found.get("type") == "Ready" and found.get("status") == "True" for found in conditions)
    if ready:
        return False
    status = budget.get("status") or {}
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = status.get("currentHealthy") or 0, status.get("desiredHealthy") or 0
    return bool(healthy >= desired > 0)


def _disrupt(core: Core, budget: JSON, pod: str) -> None:
    meta, status = budget["metadata"], dict(budget.get("status") or {})
    if (status.get("disruptionsAllowed") or 0) <= 0:
        return
    status["disruptionsAllowed"] -= 1
    now = metadata.timestamp(core.clock.now())
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: now}
    core.storage.update(BUDGETS, meta["namespace"], meta["name"], {**budget, "status": status}, budget)


async def _part(core: Core, call: Call) -> Answer:
    """A part of a pod that changes on a path of its own: resources of containers, ephemeral containers."""
    if call.info.verb == "get":
        return reading.get(core, call), 200
    from lws_sandbox.rest import patching

    if call.info.verb == "patch":
        obj, _ = await patching.patch(core, call)
    else:
        obj, _ = await updating.update(core, call)
    return obj, 200


async def _finalize(core: Core, call: Call) -> Answer:
    """A namespace's own finalizers; when the last goes from one that is being deleted, so does the namespace."""
    options = write_options(call.query, "UpdateOptions")
    sent, warnings = core.codec.decode(call, call.strategy, options.field_validation)
    call.warnings += warnings
    creating.check_name(call, sent)
    finalizers = (sent.get("spec") or {}).get("finalizers") or []
    version = sent["metadata"].get("resourceVersion")

    async def produce(live: JSON) -> JSON:
        new = copied(live)
        new["spec"] = {**(live.get("spec") or {}), "finalizers": finalizers} if finalizers else {}
        new["metadata"]["resourceVersion"] = version or live["metadata"]["resourceVersion"]
        return new

    obj, _ = await updating.store_change(core, call, produce, options, "UpdateOptions", manager=call.manager(options))
    return obj, 200
