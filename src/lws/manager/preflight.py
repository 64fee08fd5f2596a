"""Checks the cluster before anything starts, so that a developer at a terminal sees at once what is wrong."""

from __future__ import annotations

import structlog

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NAMESPACES
from lws.client.api import ApiClient
from lws.errors import (
    ApiError,
    ConfigurationError,
    ForbiddenError,
    LwsError,
    NotFoundError,
    TransportError,
    UnauthorizedError,
)
from lws.manager.settings import Settings

_log = structlog.stdlib.get_logger("lws.manager")


async def preflight(client: ApiClient, server: str, source: str, settings: Settings) -> None:
    """Check that the server answers, lets us in, and has the lease's namespace.

    A server that does not serve LeaderWorkerSets yet is waited for. With webhooks of our own the namespace is created.

    Raises:
        ConfigurationError: it does not; one sentence with the remedy.
    """
    try:
        if settings.configuration.leader_election.leader_elect:
            await _namespace(client, settings.lease_namespace, create=bool(settings.local_webhook_host))
        await client.list(LEADERWORKERSETS, limit=1)
    except TransportError as error:
        raise ConfigurationError(
            f"the API server {server} cannot be reached: {error}; check that it runs, and the kubeconfig ({source})"
        ) from error
    except UnauthorizedError as error:
        raise ConfigurationError(
            f"the API server {server} does not accept the credentials of {source}; renew them or choose another context"
        ) from error
    except ForbiddenError as error:
        raise ConfigurationError(
            f"listing leaderworkersets is not allowed: {error}; grant the role of the controller (config/rbac)"
        ) from error
    except NotFoundError:
        _log.warning(
            "the API server does not serve LeaderWorkerSets yet, waiting:"
            " kubectl apply --server-side -k config/crd installs them"
        )
    except ApiError as error:
        raise ConfigurationError(
            f"the API server {server} answers with {error.status}: {error.message}; "
            f"check what serves there ({source}), or try again when it is well"
        ) from error


async def _namespace(client: ApiClient, namespace: str, *, create: bool) -> None:
    try:
        await client.get(NAMESPACES, "", namespace)
    except NotFoundError as error:
        if create:
            await client.create(NAMESPACES, {"metadata": {"name": namespace}})
            _log.info("namespace created for the lease", namespace=namespace)
            return
        raise ConfigurationError(
            f"namespace {namespace} for the lease does not exist; create it, or give --leader-elect=false"
        ) from error
    except (TransportError, UnauthorizedError):
        raise
    except LwsError:
        return  # a user who may not read namespaces may still write the lease
