"""Alerts staged on real processes: seen firing in Prometheus with what they are about, and resolved by their remedy.

Their windows are short here; tests/monitoring has the shipped ones.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hack import monitoring

from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.manager import metrics_certificate
from lws.webhook.certs import Pair, make_ca, make_leaf
from tests.real.partners.certmanager import redirect
from tests.real.partners.installed import HOOKS, admitted
from tests.real.partners.monitored import Site
from tests.real.partners.processes import beside, free_port, until
from tests.real.planes import RealPlane
from tests.real.test_prometheus import Prometheus
from tests.tools import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
NAMES = ("lws-webhook-service.lws-system.svc", "lws-controller-manager-metrics-service.lws-system.svc")


def short() -> JSON:
    """Our rules, with windows of 30 s and a patience of 2 s."""
    text = re.sub(r"\[\d+[mh]\]", "[30s]", yaml.safe_dump(monitoring.rules()))
    text = re.sub(r"offset \d+m", "offset 30s", text)
    made: JSON = yaml.safe_load(re.sub(r"(for|keep_firing_for): [1-9]\d*[mh]", r"\1: 2s", text))
    return made


def firing(prometheus: Prometheus, alert: str) -> list[JSON]:
    """The labels of each alert of this name that fires."""
    found = prometheus.get("alerts")["alerts"]
    return [each["labels"] for each in found if each["labels"]["alertname"] == alert and each["state"] == "firing"]


async def webhook_port(client: ApiClient) -> int:
    """Where the API server asks."""
    found = (await client.list(HOOKS[0]))["items"]
    (ours,) = (each for each in found if "lws" in each["metadata"]["name"])
    return int(ours["webhooks"][0]["clientConfig"]["service"]["port"])


async def refused(plane: RealPlane, port: int) -> None:
    """Have the API server ask where nobody listens, and create sets until it has counted some refusals."""
    client = plane.env.client("test")
    await redirect(client, port)

    async def lost() -> bool:
        return not await admitted(client)

    await until(lost, "refusals")
    for _ in range(4):
        assert not await admitted(client)


async def answered(plane: RealPlane, port: int) -> None:
    """The remedy: have replicas answer again."""
    client = plane.env.client("test")
    await redirect(client, port)
    await until(lambda: admitted(client), "admission")


def test_admission_that_fails(tmp_path: Path) -> None:
    """No replica answers reviews: out of the API server's metrics the webhook is named; once one does, it resolves."""
    need("prometheus")
    site = Site(rules=short(), api_server=True)
    ports: list[int] = []
    with beside(site.life, tmp_path) as plane:
        prometheus = Prometheus(site.address)
        prometheus.until(lambda: len(prometheus.ask("up == 1")) == 3)

        async def note() -> None:
            ports.append(await webhook_port(plane.env.client("test")))

        plane.call(note())
        prometheus.until(lambda: firing(prometheus, "LWSAdmissionFailing") == [])  # nobody answered at the start
        plane.call(refused(plane, free_port()))
        prometheus.until(lambda: firing(prometheus, "LWSAdmissionFailing") != [])
        (labels,) = firing(prometheus, "LWSAdmissionFailing")
        assert (labels["name"], labels["severity"]) == ("mleaderworkerset.kb.io", "critical")
        plane.call(answered(plane, ports[0]))
        prometheus.until(lambda: firing(prometheus, "LWSAdmissionFailing") == [])


def mount(folder: Path, pair: Pair) -> None:
    """Put a certificate where a kubelet would."""
    folder.mkdir(exist_ok=True)
    for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (folder / f".{name}").write_bytes(content)
        (folder / f".{name}").replace(folder / name)


def test_a_certificate_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted certificates are served and scraped; the one that ends in five days is named until it is renewed."""
    need("prometheus")
    now, begun = datetime.now(UTC), datetime.now(UTC) - timedelta(days=360)
    authority = make_ca(begun)
    serving, metrics = tmp_path / "serving", tmp_path / "metrics"
    mount(serving, make_leaf(authority, NAMES, begun))
    mount(metrics, make_leaf(authority, NAMES, now))
    monkeypatch.setattr(metrics_certificate, "METRICS_CERTIFICATES", str(metrics))
    site = Site(rules=short(), mounted=serving, bundle=authority.certificate)
    with beside(site.life, tmp_path) as plane:
        prometheus = Prometheus(site.address)
        prometheus.until(lambda: len(prometheus.ask("up == 1")) == 2)
        prometheus.until(lambda: firing(prometheus, "LWSCertificateExpiring") != [])
        (labels,) = firing(prometheus, "LWSCertificateExpiring")
        assert (labels["certificate"], labels["namespace"]) == ("serving", "lws-system")
        mount(serving, make_leaf(authority, NAMES, now))
        prometheus.until(lambda: firing(prometheus, "LWSCertificateExpiring") == [])
        plane.call(until(lambda: admitted(plane.env.client("test")), "admission"))
