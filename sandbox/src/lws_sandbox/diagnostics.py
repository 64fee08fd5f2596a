"""Pages about the server itself: /metrics, /metrics/slis, /statusz, /flagz, and the keys of its service accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.health import CHECKS
from lws_sandbox.reply import Reply, of_json, of_text

if TYPE_CHECKING:
    from lws_sandbox.auth.tokens import Tokens
    from lws_sandbox.server import ApiServer

RequestCounts = Counter[tuple[str, str, str, int]]  # verb, group, resource, status code
RejectionCounts = Counter[tuple[str, str, str, str, int]]  # webhook, type, operation, type of error, code
EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
_WARNING: Final = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees "
)
_NO_PARSING: Final = f"{_WARNING}and is for debugging purposes only."


def pages(server: ApiServer, begun: datetime, now: Callable[[], datetime]) -> Mapping[str, Callable[[], Reply]]:
    """The pages of a server that began at ``begun``, by path."""
    return {
        "/metrics": lambda: _exposed(_metrics(server)),
        "/metrics/slis": lambda: _exposed(_indicators()),
        "/statusz": lambda: of_text(_status(begun, now())),
        "/flagz": lambda: of_text(f"kube-apiserver flags\n{_NO_PARSING}\n\n"),
    }


def identity_pages(tokens: Tokens, issuer: str) -> Mapping[str, Callable[[], Reply]]:
    """How others can check tokens of service accounts (OpenID Connect discovery)."""
    configuration: JSON = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    return {
        "/.well-known/openid-configuration": lambda: of_json(configuration),
        "/openid/v1/jwks": lambda: of_json(tokens.public_keys(), media="application/jwk-set+json"),
    }


def _exposed(lines: list[str]) -> Reply:
    reply = of_text("\n".join([*lines, ""]))
    reply.headers["content-type"] = EXPOSITION
    return reply


def _labels(**values: object) -> str:
    return ",".join(f'{name}="{value}"' for name, value in values.items())


def _metrics(server: ApiServer) -> list[str]:
    lines = [
        "# HELP apiserver_request_total Requests answered, by verb, group, resource and status code.",
        "# TYPE apiserver_request_total counter",
    ]
    for (verb, group, resource, code), count in sorted(server.requests.items()):
        labels = _labels(verb=verb.upper(), group=group, resource=resource, code=code)
        lines.append(f"apiserver_request_total{{{labels}}} {count}")
    lines += [
        "# HELP apiserver_admission_webhook_rejection_count Requests that webhooks refused, or failed to answer.",
        "# TYPE apiserver_admission_webhook_rejection_count counter",
    ]
    for (name, kind, operation, error, code), count in sorted(server.rejections.items()):
        labels = _labels(error_type=error, name=name, operation=operation, rejection_code=code, type=kind)
        lines.append(f"apiserver_admission_webhook_rejection_count{{{labels}}} {count}")
    lines += [
        "# HELP apiserver_longrunning_requests Watches that are open.",
        "# TYPE apiserver_longrunning_requests gauge",
        f'apiserver_longrunning_requests{{verb="WATCH"}} {server.watches}',
        "# HELP apiserver_storage_objects Objects stored, by resource.",
        "# TYPE apiserver_storage_objects gauge",
    ]
    stored = sorted({strategy.storage_key for strategy in server.catalog.strategies()})
    lines += [f"apiserver_storage_objects{{{_labels(resource=key)}}} {server.storage.count(key)}" for key in stored]
    return lines


def _indicators() -> list[str]:
    lines = [
        "# HELP kubernetes_healthcheck Whether a check succeeds.",
        "# TYPE kubernetes_healthcheck gauge",
    ]
    for group, checks in CHECKS.items():
        lines += [f"kubernetes_healthcheck{{{_labels(name=name, type=group)}}} 1" for name in checks]
    return lines


def _status(begun: datetime, now: datetime) -> str:
    facts = f"Started: {begun:%a %b %d %H:%M:%S UTC %Y}\nUp: {now - begun}\nBinary version: 1.36.2"
    return f"kube-apiserver statusz\n{_NO_PARSING}\n\n{facts}\nEmulation version: 1.36\n"
