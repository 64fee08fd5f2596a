"""``python -m hack.peer.admission URL CA``: latencies of 200 reviews a second over TLS and kept connections.

A process of its own, so that nothing but the webhook makes it wait. Each review has its moment; its latency counts
from there, be the client late or not. Prints JSON: milliseconds at the median and the 99th of 100, and the number.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Final
from urllib.parse import urlsplit

import orjson

RATE: Final = 200  # reviews a second
SECONDS: Final = 10
CLIENTS: Final = 8
PATH: Final = "/mutate--v1-pod"
L: Final = "leaderworkerset.sigs.k8s.io/"
POD: Final = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "sample-0-1",
        "namespace": "bench",
        "labels": {
            f"{L}name": "sample",
            f"{L}group-index": "0",
            f"{L}group-key": "0" * 40,
            f"{L}template-revision-hash": "abc",
        },
        "annotations": {f"{L}size": "4", f"{L}leader-name": "sample-0"},
    },
    "spec": {"subdomain": "sample", "containers": [{"name": "main", "image": "app:1"}]},
}
REVIEW: Final = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "sample-0-1",
        "namespace": "bench",
        "operation": "CREATE",
        "userInfo": {"username": "system:kube-controller-manager"},
        "object": POD,
        "oldObject": None,
        "options": {},
    },
}


async def measure(url: str, ca: str) -> dict[str, float]:
    """Ask, and wait for the answers.

    Raises:
        OSError: no connection.
        ValueError: a review was not allowed.
    """
    parts = urlsplit(url)
    body = orjson.dumps(REVIEW)
    head = f"POST {PATH}?timeout=10s HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    trust = ssl.create_default_context(cafile=ca)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []

    async def client(number: int, begin: float) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=trust)
        for turn in range(number, RATE * SECONDS, CLIENTS):
            due = begin + turn / RATE
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            told = orjson.loads(await reader.readexactly(int(length)))
            latencies.append(loop.time() - due)
            if not told["response"]["allowed"]:
                raise ValueError(told["response"])
        writer.close()

    begin = loop.time() + 1.0
    await asyncio.gather(*(client(number, begin) for number in range(CLIENTS)))
    latencies.sort()
    count = len(latencies)
    return {
        "median": latencies[count // 2] * 1000,
        "p99": latencies[count * 99 // 100] * 1000,
        "reviews": count,
    }


def main() -> None:
    """Measure the webhook at the address of the command line."""
    sys.stdout.buffer.write(orjson.dumps(asyncio.run(measure(*sys.argv[1:3]))))


if __name__ == "__main__":
    main()
