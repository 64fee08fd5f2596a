"""What every command has: a client, a namespace, the command line, and where to print."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.cli.kubectl.arguments import DISAGGREGATEDSET, LEADERWORKERSET, Arguments
from lws.cli.kubectl.terminal import Terminal
from lws.client.api import ApiClient
from lws.errors import ConfigurationError, ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from lws.cli.kubectl.documents import Document, SetKind
    from lws.cli.kubectl.printing import Text

ROLE_SETS: Final = "disaggregatedset.x-k8s.io/name"
_FULL: Final = {
    "LeaderWorkerSet": "leaderworkerset.leaderworkerset.x-k8s.io",
    "DisaggregatedSet": "disaggregatedset.disaggregatedset.x-k8s.io",
}
_KINDS: dict[str, SetKind] = {LEADERWORKERSET: "LeaderWorkerSet", DISAGGREGATEDSET: "DisaggregatedSet"}


@dataclass(frozen=True, slots=True)
class Session:
    """One command against one cluster.

    Attributes:
        client: speaks to the cluster.
        namespace: of the set.
        arguments: the command line.
        terminal: where to print.
        kind: of the set, resolved; empty for commands about no set or several.
        warn: prints a warning.
        tell: prints a problem beside the output, on standard error.
    """

    client: ApiClient
    namespace: str
    arguments: Arguments
    terminal: Terminal
    kind: str
    warn: Callable[[str], None]
    tell: Callable[[str], None]

    @property
    def name(self) -> str:
        """The set's."""
        return self.arguments.name

    @property
    def set_kind(self) -> SetKind:
        """The set's kind, as documents spell it."""
        return _KINDS[self.kind]

    @property
    def text(self) -> bool:
        """Whether the output is text for people."""
        return self.arguments.output in ("", "wide")

    @property
    def wide(self) -> bool:
        """Whether ``-o wide`` was asked for."""
        return self.arguments.output == "wide"

    def show(
        self, document: Callable[[], Document], text: Text, names: Iterable[str] = (), *, stream: bool = False
    ) -> None:
        """Print in the form that was asked for; what the form does not need is not made."""
        if not self.text:
            from lws.cli.kubectl.printing import show

            show(self.terminal, self.arguments.output, document, names, stream=stream)
            return
        made = text()
        if isinstance(made, list):
            for line in made:
                self.terminal.line(line)
        else:
            self.terminal.picture(made)

    def done(self, action: str, message: str) -> None:
        """Say what was written."""

        def document() -> Document:
            from lws.cli.kubectl.documents import Done

            return Done(
                set_kind=self.set_kind, namespace=self.namespace, name=self.name, action=action, message=message
            )

        self.show(document, lambda: [message], [self.full_name])

    @property
    def full_name(self) -> str:
        """As ``-o name`` prints the set."""
        return full_name(self.set_kind, self.name)

    async def child_sets(self) -> list[JSON]:
        """The LeaderWorkerSets that the command is about: the set itself, or those of a DisaggregatedSet, by name.

        Raises:
            NotFoundError: there is no such set.
        """
        if self.kind == LEADERWORKERSET:
            return [await self.client.get(LEADERWORKERSETS, self.namespace, self.name)]
        owner = await self.client.get(DISAGGREGATEDSETS, self.namespace, self.name)
        listed = await self.client.list(LEADERWORKERSETS, self.namespace, label_selector=f"{ROLE_SETS}={self.name}")
        uid = owner["metadata"]["uid"]
        own = [one for one in listed["items"] if _controller(one) == uid]
        return sorted(own, key=lambda one: str(one["metadata"]["name"]))

    async def one_set(self) -> None:
        """Check that the command is about a LeaderWorkerSet.

        Raises:
            ConfigurationError: it is a DisaggregatedSet; its LeaderWorkerSets are named.
        """
        if self.kind != LEADERWORKERSET:
            names = ", ".join(str(one["metadata"]["name"]) for one in await self.child_sets()) or "none yet"
            command = self.arguments.command
            raise ConfigurationError(f"{command} takes a LeaderWorkerSet; those of {self.name} are: {names}")


def full_name(kind: SetKind, name: str) -> str:
    """A set as ``-o name`` prints it, and as every command takes it."""
    return f"{_FULL[kind]}/{name}"


def _controller(raw: JSON) -> str:
    owners = raw["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


async def kind_of(client: ApiClient, namespace: str, arguments: Arguments) -> str:
    """The kind of set that is meant: a name alone is a LeaderWorkerSet's, else a DisaggregatedSet's."""
    kind, name = arguments.kind, arguments.name
    if not kind and name and await _exists(client, DISAGGREGATEDSETS, namespace, name):
        return LEADERWORKERSET if await _exists(client, LEADERWORKERSETS, namespace, name) else DISAGGREGATEDSET
    return kind or LEADERWORKERSET


async def _exists(client: ApiClient, resource: Resource, namespace: str, name: str) -> bool:
    try:
        await client.get(resource, namespace, name)
    except (NotFoundError, ForbiddenError):
        return False
    return True
