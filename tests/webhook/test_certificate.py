"""The served certificate: what is loaded, what is refused, and files that change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lws.errors import ConfigurationError
from lws.webhook import ServingCertificate
from lws.webhook.certs import Pair
from tests.virtual import virtual_time


def write(folder: Path, certificate: bytes | None, key: bytes | None) -> None:
    """Put the files of a pair into a folder; None removes one."""
    for name, content in (("tls.crt", certificate), ("tls.key", key)):
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_bytes(content)


def served(serving: ServingCertificate, seen: list[bool]) -> tuple[bytes | None, list[bool]]:
    """What is served, and what was observed until now."""
    return serving.certificate, seen


def test_loading(leaf: Pair, authority: Pair) -> None:
    """A good pair is served; the same again is no change; a bad one leaves the former in place."""
    serving = ServingCertificate()
    assert serving.certificate is None
    assert serving.load(leaf.certificate, leaf.key) is True
    assert serving.load(leaf.certificate, leaf.key) is False
    for certificate, key in (
        (leaf.certificate, authority.key),
        (b"", b""),
        (b"garbage", b"garbage"),
        (leaf.certificate, b""),
        (b"", leaf.key),
    ):
        with pytest.raises(ConfigurationError, match="no certificate with its key"):
            serving.load(certificate, key)
    assert serving.certificate == leaf.certificate


def test_unknown_ciphers() -> None:
    """Ciphers that nobody knows are a configuration error."""
    with pytest.raises(ConfigurationError, match=r"tls\.cipherSuites"):
        ServingCertificate(ciphers="NO-SUCH-CIPHER")


def test_files(tmp_path: Path, leaf: Pair, authority: Pair) -> None:
    """Files are served as they change; what is missing or does not fit is told once and changes nothing."""

    @virtual_time
    async def watch() -> None:
        serving = ServingCertificate()
        seen: list[bool] = []
        task = asyncio.create_task(serving.watch(tmp_path, interval=5, observe=seen.append))
        await asyncio.sleep(30)
        assert served(serving, seen) == (None, [False])
        write(tmp_path, leaf.certificate, None)
        await asyncio.sleep(30)
        assert served(serving, seen) == (None, [False])
        write(tmp_path, leaf.certificate, leaf.key)
        async with asyncio.timeout(6):
            await serving.wait_loaded()
        assert served(serving, seen) == (leaf.certificate, [False, True])
        write(tmp_path, authority.certificate, leaf.key)
        await asyncio.sleep(30)
        assert served(serving, seen) == (leaf.certificate, [False, True, False])
        write(tmp_path, authority.certificate, authority.key)
        await asyncio.sleep(6)
        assert served(serving, seen) == (authority.certificate, [False, True, False, True])
        write(tmp_path, None, None)
        await asyncio.sleep(30)
        assert served(serving, seen[4:]) == (authority.certificate, [False])
        write(tmp_path, authority.certificate, authority.key)
        await asyncio.sleep(30)
        write(tmp_path, None, None)
        await asyncio.sleep(30)
        assert seen[4:] == [False, False]
        task.cancel()

    watch()
