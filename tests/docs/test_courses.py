"""Pictures that the sandbox plays: of what happens over time, held to what it does now, and of the page."""

from __future__ import annotations

import pytest
from hack.courses import Scene, play
from hack.scenes import SCENES, file, picture
from hack.screenshots import IMAGES, PICTURES

from lws_sandbox import virtual_time as vt


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
def test_a_picture_of_a_concept_is_what_happens(name: str) -> None:
    """Played again, a scene gives the picture that the pages show."""
    assert file(name).read_text() == picture(name)


def test_every_picture_of_a_course_is_shown_by_a_page() -> None:
    """No picture is drawn for nobody, and none is left behind by a scene that is gone."""
    folder = file("startup").parent
    assert {path.name for path in folder.glob("course-*.svg")} == {file(name).name for name in SCENES}
    pages = "".join(path.read_text() for path in folder.parent.rglob("*.md"))
    assert [name for name in SCENES if f"images/{file(name).name})" not in pages] == []


def test_the_six_pictures_of_the_page_are_taken_and_shown() -> None:
    """`make screenshots` takes every picture of the page that there is, and README or a page shows each."""
    taken = {f"{name}.png" for name, *_ in PICTURES}
    assert {path.name for path in IMAGES.glob("page-*.png")} == taken
    assert len(taken) == 6
    pages = "".join(path.read_text() for path in (IMAGES.parents[1] / "README.md", *IMAGES.parent.rglob("*.md")))
    assert [name for name in sorted(taken) if f"images/{name}" not in pages] == []


def test_a_course_is_read_second_by_second() -> None:
    """A leader and its worker start together, and each is ready a few seconds later."""
    course = vt.run(play(Scene("start", 12, "pods", {"replicas": 1}, ready=False)))
    assert set(course) == {"llama-0", "llama-0-1"}
    for letters in course.values():
        assert letters.strip("q ").startswith("s")
        assert letters.endswith("r")
        assert len(letters) == 12
