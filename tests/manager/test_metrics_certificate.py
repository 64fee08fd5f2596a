"""The certificate of the metrics port outlives a restart of the container (operations 4)."""

from __future__ import annotations

import asyncio
import base64
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.errors import TransportError
from lws.manager.certificates import keep, kept
from lws.manager.metrics import Metrics
from lws.manager.metrics_certificate import MetricsCertificate
from lws.manager.settings import Settings
from lws.webhook.certs import Pair, make_ca, make_leaf
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

NOW = datetime.now(UTC)  # OpenSSL verifies by the real time
CA = make_ca(NOW)


class Secrets:
    """An API server that has the Secret of our authority, or does not answer."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers

    async def get(self, *_: Any) -> JSON:
        """The Secret."""
        if not self.answers:
            raise TransportError("frozen")
        return {"data": {"ca.crt": base64.b64encode(CA.certificate), "ca.key": base64.b64encode(CA.key)}}


def keeper(scratch: str, *, answers: bool, **settings: Any) -> MetricsCertificate:
    """The keeper of a process that has just been started."""
    client = cast("ApiClient", Secrets(answers=answers))
    return MetricsCertificate(
        Settings(scratch=scratch, **settings), client, clock=VirtualClock(epoch=NOW), metrics=Metrics()
    )


async def a_while(found: MetricsCertificate) -> None:
    """Let it begin, and run for some minutes."""
    found.begin()
    running = asyncio.create_task(found.run())
    await asyncio.sleep(200)
    running.cancel()


def files(folder: Path) -> list[Path]:
    """What is in a folder."""
    return [*folder.iterdir()]


def trusted(found: MetricsCertificate) -> bool:
    """Whether a scraper that verifies by our authority and the name of the Service accepts what is served."""
    client = ssl.create_default_context(cadata=CA.certificate.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=found.names[0])
    far = found.serving.context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(4):
            for side in (near, far):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
    except ssl.SSLCertVerificationError:
        return False
    return True


@virtual_time
async def test_a_restart_in_an_outage_serves_the_last_certificate(tmp_path: Path) -> None:
    """A process that starts while the API server does not answer serves what it served before, which is trusted."""
    before = keeper(str(tmp_path / "scratch"), answers=True)
    await a_while(before)
    assert trusted(before)
    after = keeper(str(tmp_path / "scratch"), answers=False)
    await a_while(after)
    assert trusted(after)
    assert after.serving.certificate == before.serving.certificate
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path / "scratch" / "metrics")} == {0o600}


@virtual_time
async def test_without_a_copy_it_is_self_signed_until_there_is_an_authority(tmp_path: Path) -> None:
    """The first start in an outage has nothing better; development and mounted certificates keep no copy."""
    first = keeper(str(tmp_path / "scratch"), answers=False)
    await a_while(first)
    assert not trusted(first)
    await a_while(keeper(str(tmp_path / "other"), answers=True, development=True))
    await a_while(keeper("", answers=True))
    assert files(tmp_path) == []


@virtual_time
async def test_a_folder_that_cannot_be_written_costs_only_the_copy(tmp_path: Path) -> None:
    """A sealed disk is no reason not to serve."""
    (tmp_path / "scratch").write_text("a file")
    found = keeper(str(tmp_path / "scratch"), answers=True)
    await a_while(found)
    assert trusted(found)


def _other_key(pair: Pair, folder: Path) -> None:
    keep(folder, Pair(pair.certificate, CA.key))


def _half(pair: Pair, folder: Path) -> None:
    keep(folder, Pair(pair.certificate[:100], pair.key))


def _gone(pair: Pair, folder: Path) -> None:
    keep(folder, pair)
    (folder / "tls.key").unlink()


@pytest.mark.parametrize("spoil", [_other_key, _half, _gone])
def test_a_copy_that_is_not_whole_is_not_served(tmp_path: Path, spoil: Callable[[Pair, Path], None]) -> None:
    """A foreign key, a torn file and a lost one are no certificate."""
    spoil(make_leaf(CA, ["here"], NOW), tmp_path)
    assert kept(tmp_path, ["here"], NOW) is None


def test_a_copy_must_be_valid_and_for_our_names(tmp_path: Path) -> None:
    """One that has ended, or is for another Service, is not served."""
    now = NOW
    keep(tmp_path, make_leaf(CA, ["here"], now))
    assert kept(tmp_path, ["here"], now) is not None
    assert kept(tmp_path, ["here"], now + timedelta(days=366)) is None
    assert kept(tmp_path, ["here", "there"], now) is None
