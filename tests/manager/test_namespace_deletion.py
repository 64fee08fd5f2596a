"""A namespace that is deleted with the sets in it."""

from __future__ import annotations

from structlog.testing import capture_logs

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NAMESPACES, PODS
from lws.errors import NotFoundError
from tests.simulation.cluster import Cluster, manifest
from tests.virtual import virtual_time


@virtual_time
async def test_cd_110_a_namespace_that_goes_is_no_error() -> None:
    """Creations that a namespace in deletion refuses are nothing to do: no error, no warning, no event, no retry."""
    async with Cluster() as cluster:
        running = await cluster.start()
        client = cluster.client
        await client.create(NAMESPACES, {"metadata": {"name": "team"}})
        for name in ("a", "b"):
            await client.create(LEADERWORKERSETS, manifest(name, metadata={"namespace": "team"}))

        async def up() -> bool:
            pods = (await client.list(PODS, "team"))["items"]
            return len(pods) == 12 and all(each["status"].get("phase") == "Running" for each in pods)

        await cluster.until(up)
        with capture_logs() as logs:
            await client.delete(NAMESPACES, "", "team")
            for pod in (await client.list(PODS, "team"))["items"]:
                if pod["metadata"]["labels"]["leaderworkerset.sigs.k8s.io/worker-index"] == "1":
                    await client.delete(PODS, "team", pod["metadata"]["name"], grace_period_seconds=0)

            async def gone() -> bool:
                try:
                    await client.get(NAMESPACES, "", "team")
                except NotFoundError:
                    return True
                return False

            await cluster.until(gone)
        refused = [write for write in cluster.writes if write.status == 403]
        assert refused, "the namespace refused something, or this shows nothing"
        assert len(refused) <= 16
        assert [line for line in logs if line["log_level"] in ("warning", "error")] == []
        registry = running.operator.metrics.registry
        for controller in ("leaderworkerset", "pod", "pod-worker"):
            labels = {"controller": controller}
            assert not registry.get_sample_value("controller_runtime_reconcile_errors_total", labels)
