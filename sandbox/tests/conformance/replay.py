"""Replays one recorded scenario against a server and lists what the server answers differently."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

from sandbox.tests.conformance.answers import common, decode, decode_text
from sandbox.tests.conformance.normalize import Bindings, Comparison
from sandbox.tests.conformance.sequences import by_object, identity, one_bookmark, outcome, unnamed, without_retries

from lws.apimachinery.manifests import JSON
from lws.client.transport import Request, Response, Transport
from lws.errors import TransportError
from lws_sandbox.patching.json_patch import json_patch

REFERENCE = re.compile(r"\$\{([^}]+)\}")
STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
PATIENCE = 30.0  # seconds of the server's own time until a condition has to hold
BETWEEN = 0.05  # seconds from one request to the next where controllers were watched meanwhile
QUIET = 1.0  # seconds of silence after which a watch is taken to have said all


class Webhooks(Protocol):
    """Answers webhook calls as a scenario says, and remembers them."""

    def drain(self) -> list[JSON]:
        """The calls since the last time, as recorded ones look."""
        ...


class Target(Protocol):
    """A server to replay against."""

    def transport(self, identity: str) -> Transport:
        """Requests as ``admin``, ``plain``, ``anonymous`` or ``stranger``."""
        ...

    @property
    def variables(self) -> Mapping[str, str]:
        """Values of ``${…}``."""
        ...

    @property
    def webhooks(self) -> Webhooks | None:
        """The webhook server of this run, if the scenario needs one."""
        ...


@dataclass
class Watching:
    """A watch that runs beside the later steps."""

    step: JSON
    status: int = 0
    content_type: str = ""
    body: bytes = b""
    frames: list[bytes] = field(default_factory=list)
    ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, transport: Transport, request: Request) -> None:
        """Collect frames until cancelled or ended by the server."""
        rest = b""
        try:
            async with transport.stream(request) as stream:
                self.status = stream.status
                self.content_type = stream.headers.get("content-type", "")
                self.news.set()
                async for chunk in stream.chunks():
                    self.body += chunk
                    *lines, rest = (rest + chunk).split(b"\n")
                    self.frames += [line for line in lines if line]
                    self.news.set()
        except TransportError:
            pass
        finally:
            self.ended = True
            self.news.set()

    async def settle(self, want: int, patience: float) -> None:
        """Wait until ``want`` frames are here (or the watch ended), then for a moment more."""
        deadline = asyncio.get_running_loop().time() + patience
        while not self.ended and len(self.frames) < want:
            self.news.clear()
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self.news.wait(), left)
            except TimeoutError:
                return


class Replay:
    """One scenario against one target.

    ``hurry``: the target needs no time to settle, so fixed waiting times are left out. ``alone``: nobody else writes to
    its store meanwhile, and its clock is that of the recording.
    """

    def __init__(self, scenario: JSON, target: Target, *, hurry: bool = False, alone: bool = True) -> None:
        self._hurry = hurry
        self._alone = alone
        self._scenario = scenario
        self._target = target
        self._bindings = Bindings(alive=not alone)
        self._answers: list[JSON] = []
        self._watches: dict[int, tuple[Watching, asyncio.Task[None]]] = {}
        self._observers: dict[str, tuple[Watching, asyncio.Task[None]]] = {}
        self.differences: list[str] = []

    async def run(self) -> list[str]:
        """Replay every step; returns the differences, empty when the server keeps the rule."""
        steps = self._scenario["steps"]
        try:
            await self._prepare(steps)
            await self._observe(steps)
            for index, step in enumerate(steps):
                await getattr(self, f"_do_{step['do']}")(index, step)
                await self._open_watches(index)
        finally:
            tasks = [task for _, task in (*self._watches.values(), *self._observers.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not self._observers:  # controllers interleave as they like
            self.differences += self._bindings.disorder()
        return self.differences

    # --- steps -----------------------------------------------------------------------------------------------------

    async def _do_request(self, index: int, step: JSON) -> None:
        if self._target.webhooks is not None:
            self._target.webhooks.drain()
        response = await self._target.transport(step["as"]).send(self._request(step))
        content_type = response.headers.get("content-type", "")
        actual = {
            "status": response.status,
            "content_type": content_type,
            "body": decode(response.body, content_type, structured=not isinstance(step["answer"].get("body"), str)),
            "headers": {name.title(): value for name, value in response.headers.items()},
        }
        self._answers.append({"answer": actual})
        self._compare_answer(index, step, step["answer"], actual, response)
        if self._observers:
            await asyncio.sleep(BETWEEN)
        if "webhook_calls" in step and self._target.webhooks is not None:
            made = self._target.webhooks.drain()
            if not self._alone:
                made = without_retries(made, len(step["webhook_calls"]))
            calls = [self._in_order(each) for each in (step["webhook_calls"], made)]
            self._compare(f"step {index} webhook_calls", *calls)

    def _compare_answer(self, index: int, step: JSON, recorded: JSON, actual: JSON, response: Response) -> None:
        where = f"step {index} {step['method']} {step['path']}"
        if recorded["status"] != actual["status"]:
            self.differences.append(
                f"{where}: status recorded {recorded['status']}, here {actual['status']}: {str(actual['body'])[:600]}"
            )
            return
        if "content_type" in recorded and (recorded["content_type"] or "") != actual["content_type"]:
            self.differences.append(
                f"{where}: content type {recorded['content_type']!r}, here {actual['content_type']!r}"
            )
        for name in recorded.get("headers", {}):
            if name.title() not in actual["headers"]:
                self.differences.append(f"{where}: header {name} is missing")
        if "body" in recorded:
            body = decode_text(recorded["body"], recorded.get("content_type") or "")
            if recorded.get("trimmed"):
                body, actual_body = common(body, actual["body"])
            else:
                actual_body = actual["body"]
            self._compare(where, body, actual_body)
        if list(recorded.get("warnings", [])) != list(response.warnings):
            self.differences.append(f"{where}: warnings {recorded.get('warnings', [])}, here {list(response.warnings)}")

    async def _do_watch(self, index: int, step: JSON) -> None:
        self._answers.append({})
        watching, task = self._watches[index]
        events = step.get("events") or []
        if step["ended"] == "refused":
            await watching.settle(10**9, PATIENCE)
            body = decode(watching.body, watching.content_type)
            actual = {"status": watching.status, "content_type": watching.content_type, "body": body, "headers": {}}
            answer = step["answer"]
            response = Response(watching.status, {}, watching.body, tuple(answer.get("warnings", ())))
            self._compare_answer(index, {"method": "WATCH", **step}, answer, actual, response)
            return
        wait_for_end = step["ended"] in ("timeout", "error")
        await watching.settle(10**9 if wait_for_end else len(events), PATIENCE)
        if not wait_for_end:
            await watching.settle(len(events) + 1, QUIET)
        frames = [json.loads(frame) for frame in watching.frames]
        where = f"step {index} WATCH {step['path']}"
        if step.get("content_type") and watching.content_type != step["content_type"]:
            self.differences.append(f"{where}: content type {step['content_type']!r}, here {watching.content_type!r}")
        if wait_for_end and not watching.ended:
            self.differences.append(f"{where}: the server did not end the watch")
        events, frames = one_bookmark(events), one_bookmark(frames)
        if len(frames) == len(events) + 1 and frames[-1]["type"] == "BOOKMARK":
            frames.pop()  # the one of every minute, which fell into this second
        kinds = [(event["type"], identity(event["object"])) for event in events]
        here = [(event["type"], identity(event["object"])) for event in frames]
        if len(events) != len(frames):
            self.differences.append(f"{where}: {len(events)} events recorded, here {len(frames)}:\n  {kinds}\n  {here}")
        for number, (recorded, actual_event) in enumerate(zip(events, frames, strict=False)):
            self._compare(f"{where} event {number}", recorded, actual_event)
        task.cancel()

    async def _do_settle(self, index: int, step: JSON) -> None:
        self._answers.append({})
        loop = asyncio.get_running_loop()
        if "seconds" in step and not self._hurry:
            await asyncio.sleep(step["seconds"])
        deadline = loop.time() + PATIENCE * 4
        for condition in self._resolve(step.get("until") or []):
            while not await self._holds(condition):
                if loop.time() > deadline:
                    self.differences.append(f"step {index} settle: never held: {condition}")
                    return
                await asyncio.sleep(0.1)
        if self._observers:
            await asyncio.sleep(QUIET)
        events = [json.loads(frame) for watching, _ in self._observers.values() for frame in _take(watching)]
        if "outcome" in step:
            self._compare(f"step {index} settle outcome", unnamed(step["outcome"]), unnamed(outcome(events)))
            self._compare(f"step {index} settle", by_object(step["events"]), by_object(events))

    async def _prepare(self, steps: list[JSON]) -> None:
        """Make what the recorded server had from before: names that were taken though no step had taken them."""
        made: set[tuple[str, str]] = set()
        for step in steps:
            body = step.get("body")
            if step["do"] != "request" or step["method"] != "POST" or not isinstance(body, dict):
                continue
            name = (step["path"], str((body.get("metadata") or {}).get("name")))
            answer = step["answer"]["body"]
            taken = isinstance(answer, dict) and answer.get("reason") == "AlreadyExists"
            if taken and name not in made and not (set(body) & {"$ref"}):
                await self._target.transport("admin").send(self._request(step))
            made.add(name)

    async def _observe(self, steps: list[JSON]) -> None:
        """Watch the collections that some settle step observed, from the start."""
        for path in dict.fromkeys(path for step in steps for path in step.get("observed", ())):
            watching = Watching({})
            base, _, selector = path.partition("?")
            query = {**dict(parse_qsl(selector)), "watch": "true"}
            request = self._request({"method": "GET", "path": base, "query": query})
            task = asyncio.create_task(watching.run(self._target.transport("admin"), request))
            self._observers[path] = (watching, task)
            await watching.news.wait()

    async def _holds(self, condition: JSON) -> bool:
        response = await self._target.transport("admin").send(Request("GET", condition["path"], headers=_AGENT))
        if "status" in condition:
            return bool(response.status == condition["status"])
        try:
            value = _lookup(json.loads(response.body), condition["at"])
        except (KeyError, IndexError, ValueError, TypeError):
            return False
        if "length" in condition:
            return bool(len(value) == condition["length"])
        return bool(value == condition["equals"])

    async def _open_watches(self, done: int) -> None:
        for index, step in enumerate(self._scenario["steps"]):
            if step["do"] == "watch" and step["opened_after_step"] == done and index not in self._watches:
                watching = Watching(step)
                request = self._request({"method": "GET", **step})
                task = asyncio.create_task(watching.run(self._target.transport(step["as"]), request))
                self._watches[index] = (watching, task)
                await watching.settle(0, PATIENCE)
                while not watching.status and not watching.ended:
                    watching.news.clear()
                    await watching.news.wait()

    # --- requests --------------------------------------------------------------------------------------------------

    def _request(self, step: JSON) -> Request:
        headers = {"accept": "application/json", **_AGENT}
        headers |= {name.lower(): value for name, value in self._resolve(step.get("headers") or {}).items()}
        query = tuple(
            (name, str(item))
            for name, value in self._resolve(step.get("query") or {}).items()
            for item in (value if isinstance(value, list) else [value])
        )
        return Request(step["method"], self._resolve(step["path"]), query, headers, self._body(step), timeout=120)

    def _body(self, step: JSON) -> bytes:
        if "raw_repeat" in step:
            repeat = step["raw_repeat"]
            return str(repeat["before"] + repeat["unit"] * repeat["times"] + repeat["after"]).encode()
        if "raw" in step:
            return str(self._resolve(step["raw"])).encode()
        if "body" not in step:
            return b""
        body = self._resolve(copy.deepcopy(step["body"]))
        answer = (step.get("answer") or {}).get("body")
        echoed = str(answer.get("message", "")) if isinstance(answer, dict) else ""
        blanks = json.dumps(body)  # some bodies were sent with blanks; it shows where a server echoes them
        return (blanks if blanks in echoed else json.dumps(body, separators=(",", ":"))).encode()

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value and set(value) <= {"$ref", "$edit"}:
                found = copy.deepcopy(self._lookup_step(value["$ref"]))
                # The recordings replace members that may be missing, which a strict library refuses.
                return json_patch(found, self._resolve(value["$edit"])) if value.get("$edit") else found
            return {name: self._resolve(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        if isinstance(value, str):
            return REFERENCE.sub(lambda match: self._variable(match[1]), value)
        return value

    def _in_words(self, value: Any) -> Any:
        """A recorded answer with its variables put in; references in it are content."""
        if isinstance(value, dict):
            return {name: self._in_words(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._in_words(item) for item in value]
        return self._resolve(value)

    def _in_order(self, calls: list[JSON]) -> list[JSON]:
        """Calls with neighbours that are asked at once, as validating webhooks are, in the order of their paths."""
        asked_at_once = {path for step in self._scenario["steps"] for path in _validating_paths(step)}
        ordered: list[JSON] = []
        for at_once, group in itertools.groupby(calls, lambda call: call["path"] in asked_at_once):
            found = list(group)
            ordered += sorted(found, key=lambda call: str(call["path"])) if at_once else found
        return ordered

    def _variable(self, name: str) -> str:
        if name.startswith("steps["):
            return str(self._lookup_step(name))
        return self._target.variables.get(name, "${" + name + "}")

    def _lookup_step(self, path: str) -> Any:
        index, rest = path.removeprefix("steps[").split("].", 1)
        return _lookup(self._answers[int(index)], rest)

    def _compare(self, where: str, recorded: Any, actual: Any) -> None:
        comparison = Comparison(self._bindings)
        comparison.compare(self._in_words(recorded), actual)
        self.differences += [f"{where}: {difference}" for difference in comparison.differences]


def _validating_paths(step: JSON) -> list[str]:
    if "validatingwebhookconfigurations" not in step.get("path", "") or not isinstance(step.get("body"), dict):
        return []
    configs = [hook.get("clientConfig") or {} for hook in step["body"].get("webhooks") or []]
    return [str(config.get("url", "")).removeprefix("${webhook.url}") for config in configs]


def _take(watching: Watching) -> list[bytes]:
    taken, watching.frames[:] = watching.frames[:], []
    return taken


_AGENT = {"user-agent": "exchange/1.0"}


def _lookup(value: Any, path: str) -> Any:
    for name, index in STEP.findall(path):
        value = value[int(index)] if index else value[name]
    return value
