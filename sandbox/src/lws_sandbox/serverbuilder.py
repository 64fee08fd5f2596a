"""An API server put together from its rooms."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from lws.apimachinery.resources import MUTATINGWEBHOOKCONFIGURATIONS, NAMESPACES, VALIDATINGWEBHOOKCONFIGURATIONS
from lws.clock import Clock
from lws_sandbox.admission import Caller, Unreachable, WebhookAdmission
from lws_sandbox.auth.installing import install
from lws_sandbox.auth.tokens import ISSUER
from lws_sandbox.builtinresources import builtins
from lws_sandbox.catalog import build
from lws_sandbox.codec import SchemaCodec
from lws_sandbox.crd import install_definitions
from lws_sandbox.diagnostics import identity_pages
from lws_sandbox.kinds import Features, strategies
from lws_sandbox.server import ApiServer
from lws_sandbox.storage import WINDOW, Storage
from lws_sandbox.user import UserInfo


def build_server(
    *,
    clock: Clock,
    random: Random,
    caller: Caller | None = None,
    features: Features | None = None,
    secured: bool = True,
    static_tokens: Mapping[str, UserInfo] | None = None,
    window: int = WINDOW,
) -> ApiServer:
    """An API server with everything that Kubernetes builds in and the extensions declared to it; empty so far.

    Args:
        clock: tells the time.
        random: for names, uids and the ends of watches.
        caller: reaches admission webhooks; by default none can be reached.
        features: what the server offers.
        secured: hold callers to their roles; otherwise everybody may do everything.
        static_tokens: bearer tokens that stand for users, besides those of service accounts.
        window: how many changes of each collection are remembered for watches.
    """
    storage = Storage(window)
    features = features or Features()
    catalog = build(builtins(), strategies(features))
    install_definitions(storage, catalog, clock)
    admission = WebhookAdmission(
        mutating=lambda: storage.objects(str(MUTATINGWEBHOOKCONFIGURATIONS)),
        validating=lambda: storage.objects(str(VALIDATINGWEBHOOKCONFIGURATIONS)),
        namespace=lambda name: storage.get(str(NAMESPACES), "", name),
        strategies=catalog.strategies,
        caller=caller or Unreachable(),
        random=random,
    )
    server = ApiServer(
        clock=clock,
        random=random,
        catalog=catalog,
        codec=SchemaCodec(catalog),
        admission=admission,
        storage=storage,
    )
    server.rejections = admission.rejections
    server.discovery.tell_version(features.version)
    if secured:
        access = install(server, clock, random, static_tokens=static_tokens)
        server.discovery.add_pages(identity_pages(access.tokens, ISSUER))
    return server
