"""Lists: order, pages, selectors, versions, forms."""

from __future__ import annotations

import pytest
from sandbox.tests.plain import MAPS, TABLE, Plain

from tests.virtual import virtual_time


async def _letters(plain: Plain) -> None:
    for index, name in enumerate("cabed"):
        await plain.make(name, labels={"odd": str(index % 2), "n": str(index)})


@virtual_time
async def test_pages_show_one_moment() -> None:
    """All pages have the first one's version; what is created between them is not seen; the rest is counted."""
    plain = await Plain().begin()
    await _letters(plain)
    first = await plain.get(MAPS, limit=2)
    assert first.names == ["a", "b"]
    assert first.body["metadata"]["remainingItemCount"] == 3
    await plain.make("bb")
    await plain.delete(f"{MAPS}/d")
    second = await plain.get(MAPS, limit=2, continue_=first.body["metadata"]["continue"])
    third = await plain.get(MAPS, limit=2, continue_=second.body["metadata"]["continue"])
    assert (second.names, third.names) == (["c", "d"], ["e"])
    assert first.version == second.version == third.version
    assert "continue" not in third.body["metadata"]


@virtual_time
async def test_an_old_token_is_expired_and_offers_the_rest() -> None:
    """After compaction a continue token is 410, with a token that goes on with what there is now."""
    plain = await Plain().begin()
    await _letters(plain)
    first = await plain.get(MAPS, limit=2)
    await plain.make("bb")
    plain.server.compact()
    late = await plain.get(MAPS, limit=9, continue_=first.body["metadata"]["continue"])
    assert (late.status, late.body["reason"]) == (410, "Expired")
    rest = await plain.get(MAPS, limit=9, continue_=late.body["metadata"]["continue"])
    assert rest.names == ["bb", "c", "d", "e"]


@virtual_time
async def test_an_exact_version_shows_the_past() -> None:
    """resourceVersionMatch=Exact lists what was there then; after compaction it is 410."""
    plain = await Plain().begin()
    then = (await plain.make("a")).version
    await plain.make("b")
    await plain.delete(f"{MAPS}/a")
    query = {"resourceVersion": then, "resourceVersionMatch": "Exact"}
    assert (await plain.get(MAPS, **query)).names == ["a"]
    assert (await plain.get(MAPS, resourceVersion=then)).names == ["b"]
    plain.server.compact()
    assert (await plain.get(MAPS, **query)).status == 410


@virtual_time
async def test_a_version_of_the_future_is_a_timeout() -> None:
    """A list or get at a version that is not reached is 504 with a hint when to ask again."""
    plain = await Plain().begin()
    await plain.make("a")
    for path in (MAPS, f"{MAPS}/a"):
        answer = await plain.get(path, resourceVersion="900000")
        assert (answer.status, answer.headers["retry-after"]) == (504, "1")
        assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("odd=0", ["b", "c", "d"]),
        ("odd==1", ["a", "e"]),
        ("odd!=1", ["b", "c", "d"]),
        ("n in (0, 1),odd", ["a", "c"]),
        ("n notin (0,1,2)", ["d", "e"]),
        ("!n", []),
        ("n>2", ["d", "e"]),
        ("n<1", ["c"]),
        ("n,odd=1", ["a", "e"]),
        ("missing!=x", ["a", "b", "c", "d", "e"]),
        ("", ["a", "b", "c", "d", "e"]),
    ],
)
def test_label_selectors_pick(selector: str, names: list[str]) -> None:
    """Equality, sets, existence, order and their conjunction pick what Kubernetes picks."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        await _letters(plain)
        assert (await plain.get(MAPS, labelSelector=selector)).names == names

    run()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"labelSelector": "app in ("}, "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ({"labelSelector": "a=b=c"}, "found '=', expected: ',' or 'end of string'"),
        ({"labelSelector": "app,,tier"}, "found ',', expected: identifier after ','"),
        ({"fieldSelector": "metadata.name"}, "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ({"limit": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"continue_": "AAAA"}, "invalid continue token: continue key is not valid: invalid character '\\x00' looking"),
    ],
)
def test_unreadable_options_are_refused(query: dict[str, str], message: str) -> None:
    """What cannot be read is 400 in the words of the real parser."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        answer = await plain.get(MAPS, **query)
        assert answer.status == 400
        assert answer.body["message"].startswith(message)

    run()


@virtual_time
async def test_a_field_selector_on_the_name_gives_one_or_none() -> None:
    """metadata.name and metadata.namespace select; another field of the kind is refused."""
    plain = await Plain().begin()
    await _letters(plain)
    assert (await plain.get(MAPS, fieldSelector="metadata.name=b")).names == ["b"]
    assert (await plain.get(MAPS, fieldSelector="metadata.name!=b")).names == ["a", "c", "d", "e"]
    every = "/api/v1/configmaps"
    assert (await plain.get(every, fieldSelector="metadata.namespace=other")).names == []
    assert (await plain.get(MAPS, fieldSelector="data.k=v")).status == 400


@virtual_time
async def test_items_lack_what_the_list_tells() -> None:
    """Items of built-in kinds carry no kind and apiVersion: the list tells them."""
    plain = await Plain().begin()
    await plain.make("a")
    listed = (await plain.get(MAPS)).body
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert not {"kind", "apiVersion"} & listed["items"][0].keys()


@virtual_time
async def test_a_table_has_columns_rows_and_the_page() -> None:
    """As a Table a list shows cells and metadata of each object, and keeps its continue token."""
    plain = await Plain().begin()
    await _letters(plain)
    table = (await plain.get(MAPS, accept=TABLE, limit=2)).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Age"]
    assert [row["cells"] for row in table["rows"]] == [["a", "0s"], ["b", "0s"]]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table["metadata"]["remainingItemCount"] == 3


@virtual_time
async def test_forms_are_negotiated() -> None:
    """YAML is answered as YAML, metadata only on request, and what is not there is 406."""
    plain = await Plain().begin()
    await plain.make("a", data={"k": "v"})
    assert b"kind: ConfigMap" in (await plain.get(f"{MAPS}/a", accept="application/yaml")).raw
    partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    assert (await plain.get(f"{MAPS}/a", accept=partial)).body.keys() == {"kind", "apiVersion", "metadata"}
    assert (await plain.get(f"{MAPS}/a", accept="text/html")).status == 406
    assert (await plain.get(MAPS, accept=partial)).status == 406
    fallback = await plain.get(f"{MAPS}/a", accept="application/json;as=Other;v=v1;g=meta.k8s.io,application/json")
    assert fallback.body["kind"] == "ConfigMap"
