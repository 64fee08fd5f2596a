"""Proxies from the environment."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from lws.apimachinery.resources import PODS
from lws.client.connection import connect
from lws.client.proxies import proxy_from_environment
from lws.errors import ConfigurationError
from tests.cli.api import SmallApi, serving
from tests.client.test_connect import config, write

HTTPS = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example.com:6443", {}, None),
        ("https://api.example.com:6443", HTTPS, "http://proxy:3128"),
        ("https://api.example.com", {"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("http://api.example.com", HTTPS, None),
        ("http://api.example.com", {"HTTP_PROXY": "http://p"}, "http://p"),
        ("https://localhost:6443", HTTPS, None),
        ("https://127.0.0.1:6443", HTTPS, None),
        ("https://[::1]:6443", HTTPS, None),
        ("https://10.1.2.3", {**HTTPS, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3", {**HTTPS, "NO_PROXY": "10.0.0.0/8"}, "http://proxy:3128"),
        ("https://10.1.2.3", {**HTTPS, "NO_PROXY": "a.b, 10.1.2.3"}, None),
        ("https://api.example.com", {**HTTPS, "NO_PROXY": "example.com"}, None),
        ("https://example.com", {**HTTPS, "NO_PROXY": "example.com"}, None),
        ("https://notexample.com", {**HTTPS, "NO_PROXY": "example.com"}, "http://proxy:3128"),
        ("https://example.com", {**HTTPS, "NO_PROXY": ".example.com"}, "http://proxy:3128"),
        ("https://a.example.com", {**HTTPS, "no_proxy": ".example.com"}, None),
        ("https://api.example.com:6443", {**HTTPS, "NO_PROXY": "api.example.com:6443"}, None),
        ("https://api.example.com:6443", {**HTTPS, "NO_PROXY": "api.example.com:443"}, "http://proxy:3128"),
        ("https://api.example.com", {**HTTPS, "NO_PROXY": "*"}, None),
    ],
)
def test_proxy_from_environment(url: str, environ: dict[str, str], proxy: str | None) -> None:
    """The environment's proxy is used as Go programs use it, exceptions and loopback included."""
    assert proxy_from_environment(url, environ) == proxy


async def test_socks_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kubeconfig with a SOCKS proxy ends with one sentence that names the extra, before any request."""
    monkeypatch.setitem(sys.modules, "aiohttp_socks", None)
    path = write(tmp_path / "config", config(cluster={"proxy-url": "socks5://127.0.0.1:1080"}))
    with pytest.raises(ConfigurationError, match=r"pip install 'lws-controller\[socks\]'"):
        await connect(path, environ={})


class Socks5:
    """A proxy that knows one name: it takes CONNECT without a login, and leads to one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection (RFC 1928)."""
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        *_, kind = await reader.readexactly(4)
        assert kind == 3, "the name is not resolved by the proxy"
        (length,) = await reader.readexactly(1)
        name = (await reader.readexactly(length)).decode()
        await reader.readexactly(2)
        self.asked.append(name)
        onward, outward = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await asyncio.gather(self._copy(reader, outward), self._copy(onward, writer))

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()


async def test_requests_go_through_a_socks_proxy(tmp_path: Path) -> None:
    """With the extra installed the proxy resolves the server's name and carries the request."""
    pytest.importorskip("aiohttp_socks", reason="the extra socks is not installed")
    api = SmallApi()
    async with serving(api, tmp_path) as kubeconfig:
        port = int(kubeconfig.read_text().split("127.0.0.1:")[1].split()[0])
        proxy = Socks5(port)
        listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        url = f"socks5://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        cluster = {"server": f"http://api.internal:{port}", "proxy-url": url}
        connection = await connect(write(tmp_path / "config", config(cluster=cluster)), environ={})
        try:
            answer = await connection.client(user_agent="test").list(PODS, "default")
        finally:
            await connection.close()
            listener.close()
    assert (answer["items"], proxy.asked) == ([], ["api.internal"])
