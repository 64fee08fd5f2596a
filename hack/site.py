"""Builds the documentation as a site: ``python -m hack.site``, from ``docs/`` into ``build/site``, without a network.

Pages link to files of the repository beside ``docs/``: other pages are copied into the site, and any other file becomes
a page that shows it. Links are written anew for where things are in the site; one that leads nowhere fails the build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
STAGE: Final = ROOT / "build" / "docs"
LOGO: Final = ROOT / "src" / "lws" / "cli" / "kubectl" / "ui" / "static" / "icon.svg"
PAGES: Final = (
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "CHANGELOG.md",
    "sandbox/README.md",
    "examples/README.md",
)
QUIET: Final = {"NO_MKDOCS_2_WARNING": "1"}
_LINK: Final = re.compile(r"(!?\[(?:[^\]`]|`[^`]*`)*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FENCE: Final = re.compile(r"(```.*?```)", re.DOTALL)
_CODE: Final = re.compile(r"`[^`\n]+`")
_LANGUAGES: Final = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".sh": "sh"}


def stage(folder: Path = STAGE) -> list[Path]:
    """Copy ``docs/`` and everything that it leads to, links rewritten; the pages.

    Raises:
        FileNotFoundError: a link leads nowhere.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    shutil.copy(LOGO, folder / "images" / "logo.svg")
    waiting = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in PAGES)]
    done: dict[Path, Path] = {}
    while waiting:
        source = waiting.pop()
        if source in done:
            continue
        done[source] = folder / place(source)
        done[source].parent.mkdir(parents=True, exist_ok=True)
        text, found = page(source)
        done[source].write_text(text)
        waiting += found
    return list(done.values())


def place(source: Path) -> Path:
    """Where a file of the repository is in the site."""
    path = source.relative_to(ROOT)
    if path.parts[0] == "docs":
        inner = path.relative_to("docs")
        return Path("index.md") if inner == Path("README.md") else inner
    shown = path if path.suffix == ".md" else path.with_name(f"{path.name}.md")
    return Path("repository") / shown


def page(source: Path) -> tuple[str, list[Path]]:
    """The text of a page, and the files outside ``docs/`` or beside it that it leads to."""
    if source.is_dir():
        names = "\n".join(f"* {each.name}" for each in sorted(source.iterdir()))
        return f"# {source.relative_to(ROOT)}\n\n{names}\n", []
    if source.suffix != ".md":
        language = _LANGUAGES.get(source.suffix, "text")
        return f"# {source.relative_to(ROOT)}\n\n````{language}\n{source.read_text().rstrip()}\n````\n", []
    found: list[Path] = []
    parts = _FENCE.split(source.read_text())
    prose = (_rewritten(source, part, found) if index % 2 == 0 else part for index, part in enumerate(parts))
    return "".join(prose), found


def _rewritten(source: Path, prose: str, found: list[Path]) -> str:
    code = [span.span() for span in _CODE.finditer(prose)]

    def link(match: re.Match[str]) -> str:
        before, target, anchor, after = match.groups()
        quoted = any(begin < match.start(2) < end for begin, end in code)
        if quoted or "://" in target or target.startswith("mailto:"):
            return match.group(0)
        there = (source.parent / target).resolve()
        if not there.exists():
            raise FileNotFoundError(f"{source.relative_to(ROOT)} links to {target}")
        inside = there.is_relative_to(ROOT / "docs")
        if inside and there.suffix != ".md":
            shown = there.relative_to(ROOT / "docs")
        else:
            shown = place(there)
            found.append(there)
        return f"{before}{os.path.relpath(shown, place(source).parent)}{anchor or ''}{after}"

    return _LINK.sub(link, prose)


def main() -> int:
    """Stage and build; the exit code."""
    stage()
    mkdocs = Path(sys.prefix) / "docs" / "bin" / "mkdocs"
    command = [
        str(mkdocs) if mkdocs.exists() else "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "--config-file",
        "mkdocs.yml",
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if code == 0:
        print(ROOT / "build" / "site" / "index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
