"""Collects what is needed to find out what is wrong with an installation (operator 5.12).

Guarantees: no data of any Secret, no token and no key is among it; what may not be read is listed, and ends nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final

import yaml
from cryptography import x509

from lws.api.operand import names
from lws.api.operand.workloads import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, name_of, namespace_of
from lws.apimachinery.resources import DEPLOYMENTS, EVENTS, LEASES, PODS, Resource
from lws.client.api import ApiClient, query_of
from lws.client.transport import Request
from lws.errors import LwsError
from lws.manager.survey import Survey
from lws.planning.operand import facts_file, health, redaction
from lws.planning.operand.preview import lines
from lws.planning.operand.record import STATE

LOG_LINES: Final = 2000
_OPERATOR_PODS: Final = f"name={names.OPERATOR_DEPLOYMENT}"


async def gather(client: ApiClient, seen: Survey, operator_namespace: str) -> dict[str, bytes]:
    """Files by their paths.

    Args:
        client: asks for what the survey did not look at.
        seen: the installation.
        operator_namespace: where the operator runs.
    """
    return await _Gathering(client, seen, operator_namespace).files()


class _Gathering:
    def __init__(self, client: ApiClient, seen: Survey, operator_namespace: str) -> None:
        self._client = client
        self._seen = seen
        self._namespaces = sorted({seen.observation.facts.namespace, operator_namespace})
        self._files: dict[str, bytes] = {}
        self._errors: list[str] = []

    async def files(self) -> dict[str, bytes]:
        seen, observation = self._seen, self._seen.observation
        self._yaml("operator.yaml", seen.operator)
        self._yaml("facts.yaml", facts_file.to_json(observation.facts))
        self._text("render.yaml", rendered(each.manifest for each in observation.wanted.objects))
        self._text("diff.txt", "".join(f"{line}\n" for line in lines(seen.preview)))
        self._text("summary.txt", _summary(seen))
        for (kind, name), live in sorted(observation.world.live.items()):
            self._yaml(f"objects/{kind.lower()}-{name}.yaml", live)
        self._yaml("secrets.yaml", [_secret(each) for _, each in sorted(observation.world.secrets.items())])
        if observation.record is not None:
            self._text("rollouts.json", str((observation.record.get("data") or {}).get(STATE) or ""))
        self._yaml("replicasets.yaml", [*observation.world.replica_sets])
        self._yaml("leases.yaml", [*observation.world.leases])
        await self._asked()
        if self._errors:
            self._text("errors.txt", "".join(f"{each}\n" for each in self._errors))
        return self._files

    async def _asked(self) -> None:
        operand = ",".join(f"{key}={value}" for key, value in sorted(names.POD_LABELS.items()))
        pods: list[JSON] = []
        for namespace in self._namespaces:
            for selector in (operand, _OPERATOR_PODS):
                pods += await self._list(PODS, namespace, selector)
        self._yaml("pods.yaml", pods)
        for pod in pods:
            await self._logs(pod)
        for namespace in (*self._namespaces, "default"):  # events on the object itself land in the last
            found = await self._list(EVENTS, namespace)
            kept = [each for each in found if namespace != "default" or _about_operator(each)]
            self._yaml(f"events/{namespace}.yaml", kept)
        self._yaml("sets.yaml", await self._list(LEADERWORKERSETS, ""))
        self._yaml("operator-deployment.yaml", await self._list(DEPLOYMENTS, self._namespaces[-1], _OPERATOR_PODS))
        self._yaml("operator-leases.yaml", await self._list(LEASES, self._namespaces[-1]))

    async def _logs(self, pod: JSON) -> None:
        namespace, name = namespace_of(pod), name_of(pod)
        for container in pod["spec"].get("containers") or ():
            restarted = any(
                each.get("restartCount") and each.get("name") == container["name"]
                for each in (pod.get("status") or {}).get("containerStatuses") or ()
            )
            for previous in (False, True) if restarted else (False,):
                query = query_of(container=container["name"], tailLines=LOG_LINES, previous=previous or None)
                request = Request("GET", PODS.path(namespace, name, "log"), query, {"accept": "*/*"})
                answer = await self._tried(f"log of {namespace}/{name}", partial(self._client.send, request))
                if answer is not None:
                    suffix = ".previous" if previous else ""
                    self._files[f"logs/{namespace}/{name}.{container['name']}{suffix}.log"] = answer.body

    async def _list(self, resource: Resource, namespace: str, selector: str = "") -> list[JSON]:
        what = f"{resource} of {namespace or 'the cluster'}"
        found = await self._tried(what, lambda: self._client.list(resource, namespace, label_selector=selector))
        return [*found["items"]] if found is not None else []

    async def _tried(self, what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await ask()
        except LwsError as error:
            self._errors.append(f"{what}: {error}")
            return None

    def _yaml(self, path: str, content: Any) -> None:
        self._text(path, yaml.safe_dump(redaction.shown(content), sort_keys=False, width=120))

    def _text(self, path: str, text: str) -> None:
        self._files[path] = text.encode()


def rendered(manifests: Iterable[JSON]) -> str:
    """Manifests as one YAML file."""
    return "---\n".join(yaml.safe_dump(each, sort_keys=False, width=120) for each in manifests)


def _summary(seen: Survey) -> str:
    """What the object says of itself, and what is wrong with pods now."""
    status, world = seen.operator.get("status") or {}, seen.observation.world
    parts = {
        "conditions": [
            f"{each['type']} {each['status']} {each.get('reason')}: {each.get('message') or ''}"
            for each in status.get("conditions") or ()
        ],
        "plan": status.get("plan"),
        "history": status.get("history"),
        "operand": status.get("operand"),
    }
    deployment = world.live.get((DEPLOYMENTS.kind, names.DEPLOYMENT))
    cause = health.failing(deployment, world.replica_sets, world.pods, world.operator.spec)
    parts["causes"] = [cause.message] if cause is not None else []
    return yaml.safe_dump(parts, sort_keys=False, width=120)


def _about_operator(event: JSON) -> bool:
    return bool((event.get("regarding") or {}).get("kind") == names.KIND)


def _secret(manifest: JSON) -> JSON:
    data = manifest.get("data") or {}
    read = {name: _certificates(value) for name, value in sorted(data.items()) if name.endswith(".crt")}
    return redaction.secret(manifest, read)


def _certificates(value: str | None) -> list[str]:
    try:
        found = x509.load_pem_x509_certificates(base64.b64decode(value or ""))
    except ValueError:
        return ["it cannot be read"]
    return [
        f"{each.subject.rfc4514_string()}, {each.not_valid_before_utc:%Y-%m-%d} to {each.not_valid_after_utc:%Y-%m-%d}"
        for each in found
    ]
