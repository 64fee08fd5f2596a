"""The documentation as a site: every page is in its menu, and every link of it leads somewhere."""

from __future__ import annotations

from pathlib import Path

from hack.site import ROOT, stage


def test_the_menu_has_every_page() -> None:
    """Whatever is written in docs/ is found from the site's menu."""
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert [str(page) for page in pages if f": {page}\n" not in menu and page != Path("README.md")] == []


def test_every_link_of_the_site_leads_somewhere(tmp_path: Path) -> None:
    """Pages and the files beside them are copied, and a link that leads nowhere fails."""
    pages = stage(tmp_path / "docs")
    assert {"index.md", "page.md", "commands.md", "configuration.md"} <= {page.name for page in pages}
    assert (tmp_path / "docs" / "repository" / "examples" / "13-disaggregated.yaml.md").exists()
