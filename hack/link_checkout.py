"""Puts projects of this checkout, with their commands, into the virtual environment that runs this: without a build.

Usage: ``python hack/link_checkout.py PROJECT…``, each a folder with a ``pyproject.toml``.
"""

from __future__ import annotations

import sys
import sysconfig
import tomllib
from pathlib import Path

# A first line that names the interpreter could not have spaces; the shell reads the second, Python passes over it.
COMMAND = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys
from {module} import {function}
sys.exit({function}())
"""


def link(projects: list[Path]) -> None:
    """Put the projects on the path, and their scripts beside the interpreter."""
    sources = [str(project.resolve() / "src") for project in projects]
    Path(sysconfig.get_path("purelib"), "lws-checkout.pth").write_text("\n".join(sources) + "\n")
    for project in projects:
        declared = tomllib.loads((project / "pyproject.toml").read_text())["project"].get("scripts", {})
        for name, entry in declared.items():
            module, _, function = entry.partition(":")
            script = Path(sysconfig.get_path("scripts"), name)
            script.write_text(COMMAND.format(python=sys.executable, module=module, function=function))
            script.chmod(0o755)


if __name__ == "__main__":
    link([Path(name) for name in sys.argv[1:]])
