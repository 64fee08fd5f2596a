"""Proxies from the environment."""

from __future__ import annotations

import pytest

from lws.client.proxies import proxy_from_environment

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
