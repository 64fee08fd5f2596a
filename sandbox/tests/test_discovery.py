"""Discovery, OpenAPI and health: what a client learns before its first request."""

from __future__ import annotations

import pytest
from sandbox.tests.plain import MAPS, Plain

from lws.client.transport import Request
from lws_sandbox.builtinresources import storage_hash
from lws_sandbox.catalog import priority
from tests.virtual import virtual_time

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_versions_are_ranked_as_kubernetes_ranks_them() -> None:
    """Stable versions first, then betas, then alphas, the higher number first, odd names last."""
    shuffled = ["v1alpha2", "v1", "other", "v2beta1", "v11", "v2", "v1beta3"]
    assert sorted(shuffled, key=priority) == ["v11", "v2", "v1", "v2beta1", "v1beta3", "v1alpha2", "other"]


def test_storage_hashes_are_those_of_kubernetes() -> None:
    """The hash of a stored form is the first eight bytes of a SHA-256, in base64."""
    assert storage_hash("", "v1", "Pod") == "xPOwRZ+Yhw8="


@virtual_time
async def test_both_forms_of_discovery_tell_the_same() -> None:
    """Every resource of the legacy lists is in the aggregated documents, with its verbs, and the other way round."""
    plain = await Plain().begin()
    legacy: dict[tuple[str, str], list[str]] = {}
    groups = (await plain.get("/apis")).body["groups"]
    paths = ["/api/v1"] + [f"/apis/{version['groupVersion']}" for group in groups for version in group["versions"]]
    for path in paths:
        listed = (await plain.get(path)).body
        legacy |= {(listed["groupVersion"], one["name"]): one["verbs"] for one in listed["resources"]}
    told: dict[tuple[str, str], list[str]] = {}
    for path in ("/api", "/apis"):
        for group in (await plain.get(path, accept=AGGREGATED)).body["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name")
                place = f"{name}/{version['version']}" if name else version["version"]
                for one in version["resources"]:
                    told[place, one["resource"]] = one["verbs"]
                    for sub in one.get("subresources", ()):
                        told[place, f"{one['resource']}/{sub['subresource']}"] = sub["verbs"]
    assert told == legacy


@virtual_time
async def test_an_unchanged_document_is_not_sent_again() -> None:
    """With its ETag an aggregated document is 304 without a body."""
    plain = await Plain().begin()
    first = await plain.get("/apis", accept=AGGREGATED)
    etag = first.headers["etag"]
    reply = await plain.server.handle(
        _request("/apis", {"accept": AGGREGATED, "if-none-match": etag}),
    )
    assert (reply.status, reply.body) == (304, b"")


def _request(path: str, headers: dict[str, str]) -> Request:
    return Request("GET", path, (), headers)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/apis/none.example.org/v1", 404),
        ("GET", "/apis/apps/v9", 404),
        ("GET", "/apis/apps/v1/nothings", 404),
        ("GET", "/api/v1/namespaces/default/pods/x/nothing", 404),
        ("PUT", "/api/v1/namespaces/default/configmaps", 405),
        ("POST", "/api/v1/pods", 405),
        ("DELETE", "/version", 405),
        ("OPTIONS", "/api/v1/namespaces/default/configmaps", 405),
    ],
)
def test_what_is_not_served_is_refused(method: str, path: str, status: int) -> None:
    """Unknown paths are 404, known ones with another method 405."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        assert (await plain.ask(method, path)).status == status

    run()


@virtual_time
async def test_every_served_kind_has_a_schema() -> None:
    """The OpenAPI documents describe each kind of discovery, and every reference in them leads somewhere."""
    plain = await Plain().begin()
    root = (await plain.get("/openapi/v3")).body["paths"]
    for place in root.values():
        path, _, digest = place["serverRelativeURL"].partition("?hash=")
        document = (await plain.get(path, hash=digest)).body
        schemas = document["components"]["schemas"]
        assert _references(document) <= schemas.keys()
        assert document["paths"]
    assert (await plain.get("/openapi/v3/apis/apps/v1", hash="0000")).status == 301


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(item) for item in value))
    return set()


@virtual_time
async def test_health_is_told_in_short_and_in_full() -> None:
    """The health paths say ok, list their checks on request, and know each check by its own path."""
    plain = await Plain().begin()
    for group in ("healthz", "livez", "readyz"):
        assert (await plain.get(f"/{group}")).raw == b"ok"
        full = (await plain.get(f"/{group}", verbose="")).raw.decode()
        assert full.startswith("[+]ping ok\n")
        assert full.endswith(f"{group} check passed\n")
    assert (await plain.get("/livez/ping")).status == 200
    assert (await plain.get("/livez/nothing")).status == 404


@virtual_time
async def test_the_root_lists_what_is_there() -> None:
    """Every path that the root names is served."""
    plain = await Plain().begin()
    for path in (await plain.get("/")).body["paths"]:
        assert (await plain.get(path)).status == 200, path


@virtual_time
async def test_metrics_count_requests_watches_and_objects() -> None:
    """What was asked and answered, how many watches are open, and what is stored can be scraped."""
    plain = await Plain().begin()
    await plain.make("a")
    await plain.get(f"{MAPS}/none")
    plain.server.rejections["w", "admit", "CREATE", "calling_webhook_error", 503] += 2
    lines = (await plain.get("/metrics")).raw.decode().splitlines()
    assert 'apiserver_request_total{verb="CREATE",group="",resource="configmaps",code="201"} 1' in lines
    assert 'apiserver_request_total{verb="GET",group="",resource="configmaps",code="404"} 1' in lines
    assert 'apiserver_longrunning_requests{verb="WATCH"} 0' in lines
    assert 'apiserver_storage_objects{resource="configmaps"} 1' in lines
    labels = 'error_type="calling_webhook_error",name="w",operation="CREATE",rejection_code="503",type="admit"'
    assert f"apiserver_admission_webhook_rejection_count{{{labels}}} 2" in lines
