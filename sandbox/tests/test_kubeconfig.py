"""The file by which clients find a sandbox: nobody else's is touched, and it goes with its sandbox."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lws.errors import ConfigurationError
from lws_sandbox.certificates import Pair
from lws_sandbox.kubeconfig import kubeconfig_file, published

PAIR = Pair(b"certificate", b"key")


def content(port: int, name: str = "") -> bytes:
    """A sandbox's file."""
    return kubeconfig_file(f"https://127.0.0.1:{port}", b"ca" + name.encode(), PAIR)


def refused(path: Path, port: int, said: str) -> None:
    """See that a sandbox's file is not written there, and what is said."""
    with pytest.raises(ConfigurationError, match=said), published(path, content(port)):
        pass


@pytest.fixture
def dead() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_the_file_goes_with_its_sandbox(tmp_path: Path, dead: int) -> None:
    """It is there while the sandbox runs, readable by its owner only, and gone afterwards with everything beside it."""
    path = tmp_path / "folder" / "kubeconfig"
    with published(path, content(dead)):
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (content(dead), 0o600)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize(
    "text", ["kind: Config\nclusters: [{name: mine, cluster: {server: 'https://a:1'}}]", "{", "\xff"]
)
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, dead: int, text: str) -> None:
    """A kubeconfig of another cluster, or whatever else has that name, is neither written over nor deleted."""
    path = tmp_path / "config"
    path.write_text(text, encoding="latin-1")
    with (
        pytest.raises(ConfigurationError, match="config is not a sandbox's and is left alone"),
        published(path, content(dead)),
    ):
        pass
    assert path.read_text(encoding="latin-1") == text


def test_what_a_dead_sandbox_left_is_replaced(tmp_path: Path, dead: int) -> None:
    """A sandbox that was killed leaves its file, which the next one takes; an empty file is nobody's."""
    path = tmp_path / "config"
    for left in (content(dead, "killed"), b""):
        path.write_bytes(left)
        with published(path, content(dead)):
            assert path.read_bytes() == content(dead)


def test_the_file_of_a_sandbox_that_answers_is_left_alone(tmp_path: Path, dead: int) -> None:
    """Two sandboxes cannot have one file: the second one says where the first one is."""
    path = tmp_path / "config"
    with socket.create_server(("127.0.0.1", 0)) as living:
        port = living.getsockname()[1]
        with published(path, content(port)):
            refused(path, dead, f"answers at https://127.0.0.1:{port}; stop that one")
            assert path.read_bytes() == content(port)


def test_a_file_that_became_anothers_stays(tmp_path: Path, dead: int) -> None:
    """At the end only the sandbox's own file is deleted."""
    path = tmp_path / "config"
    with published(path, content(dead)):
        path.write_bytes(content(dead + 1))
    assert path.read_bytes() == content(dead + 1)


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path, dead: int) -> None:
    """The path is named, and nothing is left beside it."""
    path = tmp_path / "config"
    path.mkdir()
    with (
        pytest.raises(ConfigurationError, match="config cannot be written: Is a directory"),
        published(path, content(dead)),
    ):
        pass
    assert os.listdir(tmp_path) == ["config"]
