"""The served certificate: what is loaded, what is refused, and files that change."""

from __future__ import annotations

import asyncio
import ssl
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


def shaken(serving: ServingCertificate, version: ssl.TLSVersion, ciphers: str = "") -> str:
    """The cipher of a handshake in memory with a client of this version; empty if the server refuses it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode, client.maximum_version = False, ssl.CERT_NONE, version
    if ciphers:
        client.set_ciphers(ciphers)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(back, there)
    other = serving.context.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return ""
    return (one.cipher() or ("",))[0]


def test_what_is_accepted_can_change_while_it_serves(leaf: Pair) -> None:
    """A higher version and fewer ciphers hold from the next handshake on, and can be taken back."""
    serving = ServingCertificate()
    serving.load(leaf.certificate, leaf.key)
    assert shaken(serving, ssl.TLSVersion.TLSv1_2)
    serving.accept(ssl.TLSVersion.TLSv1_3, None)
    assert not shaken(serving, ssl.TLSVersion.TLSv1_2)
    assert shaken(serving, ssl.TLSVersion.TLSv1_3)
    serving.accept(ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256")
    assert shaken(serving, ssl.TLSVersion.TLSv1_2) == "ECDHE-RSA-AES128-GCM-SHA256"
    assert not shaken(serving, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384")
    serving.accept(ssl.TLSVersion.TLSv1_2, None)
    assert shaken(serving, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384")
    with pytest.raises(ConfigurationError):
        serving.accept(ssl.TLSVersion.TLSv1_2, "NO-SUCH-CIPHER")
    assert serving.certificate == leaf.certificate


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
