"""A server with RBAC and without rules for single kinds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from random import Random

import orjson

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES
from lws.client.api import ApiClient
from lws.client.transport import Request, Response
from lws_sandbox import naming
from lws_sandbox.admission import Unreachable, WebhookAdmission
from lws_sandbox.auth.access import RbacAccess
from lws_sandbox.auth.installing import install
from lws_sandbox.auth.rulebook import GROUP
from lws_sandbox.builtinresources import builtins
from lws_sandbox.catalog import Catalog, build
from lws_sandbox.codec import SchemaCodec
from lws_sandbox.server import ApiServer
from lws_sandbox.storage import Storage
from lws_sandbox.strategy import GenericStrategy
from lws_sandbox.transport import InProcessTransport
from lws_sandbox.user import ADMIN, ANONYMOUS, UserInfo
from lws_sandbox.virtual_time import VirtualClock

AUTHENTICATED = "system:authenticated"


class _Named(GenericStrategy):
    """Roles and bindings have names that are path segments."""

    def name_errors(self, name: str) -> list[str]:
        return naming.path_segment(name)


def user(name: str, *groups: str, **extra: tuple[str, ...]) -> UserInfo:
    """An authenticated caller."""
    return UserInfo(name, groups=(*groups, AUTHENTICATED), extra=extra)


class World:
    """A server, and ways to ask it."""

    def __init__(self, *, tokens: Mapping[str, UserInfo] | None = None) -> None:
        clock, random, storage = VirtualClock(), Random(1), Storage()
        catalog = _catalog()
        admission = WebhookAdmission(
            mutating=lambda: (),
            validating=lambda: (),
            namespace=lambda name: storage.get("namespaces", "", name),
            strategies=catalog.strategies,
            caller=Unreachable(),
            random=random,
        )
        self.server = ApiServer(
            clock=clock,
            random=random,
            catalog=catalog,
            codec=SchemaCodec(catalog),
            admission=admission,
            storage=storage,
        )
        self.access: RbacAccess = install(self.server, clock, random, static_tokens=tokens)
        self.admin = self.client(ADMIN)

    async def start(self) -> World:
        """Make two namespaces."""
        for name in ("default", "team"):
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await self.admin.create(NAMESPACES, manifest)
        return self

    def client(self, who: UserInfo) -> ApiClient:
        """A client of one caller."""
        return ApiClient(InProcessTransport(self.server, who), user_agent="test", field_manager=None)

    async def ask(
        self, method: str, path: str, who: UserInfo = ANONYMOUS, body: JSON | None = None, **headers: str
    ) -> Response:
        """One request; underscores in header names stand for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = b""
        if body is not None:
            sent["content-type"] = "application/json"
            raw = orjson.dumps(body)
        path, _, query = path.partition("?")
        pairs = tuple((part.partition("=")[0], part.partition("=")[2]) for part in query.split("&") if part)
        return await InProcessTransport(self.server, who).send(Request(method, path, pairs, sent, raw))

    async def role(self, name: str, *rules: JSON, namespace: str = "team") -> None:
        """Create a Role; without a namespace a ClusterRole."""
        kind, path = ("Role", f"namespaces/{namespace}/roles") if namespace else ("ClusterRole", "clusterroles")
        await self.create(path, {"kind": kind, "metadata": {"name": name}, "rules": list(rules)})

    async def bind(self, role: str, *subjects: JSON, namespace: str = "team", kind: str = "Role") -> None:
        """Bind a role in a namespace, or everywhere."""
        where = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
        made = "RoleBinding" if namespace else "ClusterRoleBinding"
        reference = {"apiGroup": GROUP, "kind": kind, "name": role}
        await self.create(
            where, {"kind": made, "metadata": {"name": role}, "roleRef": reference, "subjects": list(subjects)}
        )

    async def create(self, path: str, manifest: JSON, who: UserInfo = ADMIN) -> Response:
        """Create an object of the RBAC group."""
        body = {"apiVersion": f"{GROUP}/v1", **manifest}
        answer = await self.ask("POST", f"/apis/{GROUP}/v1/{path}", who, body)
        assert who is not ADMIN or answer.status == 201, answer.body
        return answer


def rule(verbs: str, resources: str, group: str = "", **more: list[str]) -> JSON:
    """A rule; verbs and resources separated by spaces."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


def subject(name: str, kind: str = "User", **more: str) -> JSON:
    """A subject of a binding."""
    return {"kind": kind, "name": name, "apiGroup": "" if kind == "ServiceAccount" else GROUP, **more}


def message(answer: Response) -> str:
    """The message of a failure."""
    return str(orjson.loads(answer.body)["message"])


def _catalog() -> Catalog:
    catalog = build(builtins(), {})
    for key, served in list(catalog.builtin.items()):
        if key[0] == GROUP:
            plain = served.strategy
            assert isinstance(plain, GenericStrategy)
            fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
            catalog.builtin[key] = dataclasses.replace(served, strategy=_Named(**fields))
    return catalog
