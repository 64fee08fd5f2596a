"""Lays out the file system of the controller's image: an interpreter, its libraries, the product, and nothing else.

    python hack/rootfs.py OUT --packages DIR --source src/lws

Copies this interpreter and its standard library, the packages in DIR, the product, every shared library that one of
them links to, and the certificate bundle. No shell, no package manager, no pip, nothing that the controller never
imports. Everything is compiled, since the running container cannot write bytecode and would compile at each start.

The same input gives the same tree: times are set to SOURCE_DATE_EPOCH (0 when it is not set), and bytecode names the
source that it was compiled from by its hash, which is not checked again.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

USER = 65532
UNUSED = shutil.ignore_patterns(
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "site-packages"),
    *("__pycache__", "config-*", "*.a", "_tkinter*", "turtle*"),
    *("curses", "dbm", "distutils", "sqlite3", "unittest", "venv", "xmlrpc"),
    *("_ctypes_test*", "_curses*", "_dbm*", "_gdbm*", "_sqlite3*", "_test*", "_xxtestfuzz*", "xx*", "readline*"),
)
# Packages of the lock that only kubectl lws draws with, and what packages bring besides code.
UNUSED_PACKAGES = shutil.ignore_patterns(
    *("rich", "pygments", "markdown_it", "mdurl", "rich-*", "pygments-*", "markdown_it_py-*", "mdurl-*"),
    *("__pycache__", "bin", "tests", "*.pyi", "*.md", "*.pyx", "*.pxd", "*.c", "*.h"),
)
UNUSED_SOURCE = shutil.ignore_patterns("__pycache__", "kubectl")
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")
# What is imported lives as long as the process, so the collector need not look at it, then or later. aiohttp reads the
# authorities of the whole system at its import, for a context that nothing of ours uses.
ENTRYPOINT = """\
#!{python} -I
import gc
import os
import sys

gc.disable()
authorities = os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_FILE"] = os.devnull
sys.path.insert(0, "/app")
import aiohttp

del os.environ["SSL_CERT_FILE"]
if authorities is not None:
    os.environ["SSL_CERT_FILE"] = authorities
from lws.cli.{command} import main

gc.freeze()
gc.enable()
sys.exit(main({arguments}))
"""
COMMANDS = {
    "manager": ("controller", ""),
    "usr/bin/lws-operator": ("operator", ""),
    "usr/bin/gather": ("operator", '["gather", "/must-gather"]'),
}


def lay_out(out: Path, packages: Path, source: Path) -> None:
    """Write the whole tree below ``out``, which must not exist yet."""
    python = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    _copy_file(python, out)
    shutil.copytree(stdlib, _inside(out, stdlib), ignore=UNUSED, symlinks=False)
    shutil.copytree(packages, out / "app", ignore=UNUSED_PACKAGES)
    shutil.copytree(source, out / "app" / "lws", ignore=UNUSED_SOURCE)
    for library in sorted(_libraries([python, *out.rglob("*.so"), *out.rglob("*.so.*")])):
        _copy_file(library, out)
    _compile(out, _inside(out, stdlib), out / "app")
    _identity(out)
    for path, (command, arguments) in COMMANDS.items():
        entry = out / path
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_text(ENTRYPOINT.format(python=python, command=command, arguments=arguments))
        entry.chmod(0o755)
    _settle_times(out)


def _compile(out: Path, *folders: Path) -> None:
    """Write bytecode for every module that a start imports.

    That happens in a process of its own whose hashes do not vary, so that the bytes do not either. Large and imported
    for auth providers of kubeconfigs only is kubernetes_asyncio.
    """
    command = [sys.executable, "-s", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(out), "-p", "/", "-x", "/kubernetes_asyncio/", *map(str, folders)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")})


def _identity(out: Path) -> None:
    bundle = next((Path(path) for path in CERTIFICATES if Path(path).is_file()), None)
    if bundle is not None:
        target = out / "etc/ssl/certs/ca-certificates.crt"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle, target)
    (out / "etc").mkdir(exist_ok=True)
    (out / "etc/passwd").write_text(f"nonroot:x:{USER}:{USER}:nonroot:/tmp:/nologin\n")
    (out / "etc/group").write_text(f"nonroot:x:{USER}:\n")
    (out / "tmp").mkdir(mode=0o1777, exist_ok=True)


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    found: set[Path] = set()
    for binary in binaries:
        listing = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
        found |= {Path(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(", listing, flags=re.MULTILINE)}
    return {path for path in found if path.is_file()}


def _inside(out: Path, path: Path) -> Path:
    return out / path.relative_to("/")


def _copy_file(path: Path, out: Path) -> None:
    target = _inside(out, path)
    if out in path.parents or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=True)


def _settle_times(out: Path) -> None:
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for path in (out, *out.rglob("*")):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def main() -> None:
    """Read the arguments and lay out the tree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packages", type=Path, required=True, help="folder that `pip install --target` filled")
    parser.add_argument("--source", type=Path, required=True, help="the package src/lws")
    arguments = parser.parse_args()
    lay_out(arguments.out.resolve(), arguments.packages.resolve(), arguments.source.resolve())


if __name__ == "__main__":
    main()
