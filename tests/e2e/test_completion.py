"""bash, zsh and fish complete `kubectl lws` by kubectl's own scripts, with names of the cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import LIMIT, Cluster

BASH = """
source /usr/share/bash-completion/bash_completion
source <(kubectl completion bash)
COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<< "$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_TYPE=9
__start_kubectl 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { : }
source <(kubectl completion zsh)
_describe() { print -l -- $completions }
words=(${=1}); [[ $1 == *" " ]] && words+=("")
CURRENT=$#words
_kubectl
"""
FISH = 'kubectl completion fish | source; complete -C "$argv[1]"'


def offered(shell: str, line: str, cluster: Cluster, folder: Path) -> list[str]:
    """What a shell offers for a line, without descriptions."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    if shell == "bash" and not os.path.exists("/usr/share/bash-completion/bash_completion"):
        pytest.skip("bash-completion is not installed")
    for name, module in (("kubectl-lws", "entry"), ("kubectl_complete-lws", "complete")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m lws.cli.kubectl.{module} "$@"\n')
        script.chmod(0o755)
    scripts = {"bash": [path, "-c", BASH, "bash"], "zsh": [path, "-fc", ZSH, "zsh"], "fish": [path, "-c", FISH]}
    places = [str(folder), str(Path(cluster.kubectl_path).parent), os.environ["PATH"]]
    found = subprocess.run(
        [*scripts[shell], line],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "PATH": os.pathsep.join(places), "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(folder)},
    )
    lines = (each.partition("\t")[0] for each in found.stdout.splitlines())
    return [each.partition(":")[0].split("  ")[0].strip() for each in lines if each.strip()]


@pytest.mark.parametrize("shell", ["bash", *(pytest.param(name, marks=pytest.mark.long) for name in ("zsh", "fish"))])
def test_a_shell_completes_commands_sets_and_groups(shell: str, cluster: Cluster, tmp_path: Path) -> None:
    """A command by its beginning, the sets of the cluster by name, and the groups of a set."""
    assert offered(shell, "kubectl lws expl", cluster, tmp_path) == ["explain-stuck"]
    assert offered(shell, "kubectl lws tree vl", cluster, tmp_path) == ["vllm"]
    assert offered(shell, "kubectl lws logs vllm --group ", cluster, tmp_path) == ["0", "1"]
