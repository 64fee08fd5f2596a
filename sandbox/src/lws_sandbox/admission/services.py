"""From a Service to an address, as the server finds the webhook behind it (k8s.io/apiserver `util/proxy`)."""

from __future__ import annotations

from collections.abc import Callable

from lws.apimachinery.manifests import JSON
from lws_sandbox.admission.https import ServiceError

Backend = Callable[[str, str, int], tuple[str, int] | None]


class ServiceResolver:
    """Resolves Services by what is stored of them.

    A cluster IP leads nowhere in a sandbox, so ``backend(namespace, name, target port)`` says where the Service's
    traffic really ends; None: the cluster IP is dialled, which is refused.
    """

    def __init__(self, stored: Callable[[str, str], JSON | None], backend: Backend = lambda *_: None) -> None:
        """``stored`` gives a Service by namespace and name, or None."""
        self._stored = stored
        self._backend = backend

    def __call__(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """Host and port behind a port of a Service.

        Raises:
            ServiceError: there is no way there.
        """
        service = self._stored(namespace, name)
        if service is None:
            raise ServiceError(f'service "{name}" not found')
        spec = service.get("spec") or {}
        kind = spec.get("type") or "ClusterIP"
        if kind == "ExternalName":
            return spec.get("externalName") or "", port
        if kind not in ("ClusterIP", "NodePort", "LoadBalancer"):
            raise ServiceError(f'unsupported service type "{kind}"')
        if kind == "ClusterIP" and spec.get("clusterIP") == "None":
            raise ServiceError('cannot route to service with ClusterIP "None"')
        found = next((known for known in spec.get("ports") or [] if known.get("port") == port), None)
        if found is None:
            raise ServiceError(f'no service port {port} found for service "{name}"')
        target = found.get("targetPort")
        behind = self._backend(namespace, name, target if isinstance(target, int) else port)
        return behind or (spec.get("clusterIP") or "", port)
