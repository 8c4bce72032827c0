"""The check of the site's links sees what is broken, and nothing else."""

import runpy
from pathlib import Path

CHECK = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "check_links.py"))


def test_broken_links_are_named(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "a b.txt").touch()
    (tmp_path / "index.html").write_text(
        '<h1 id="first">x</h1><a href="#first">y</a><a href="part/page.html#there">z</a>'
        '<a href="https://example.org/missing#x">w</a><a href="a%20b.txt">v</a><a href="#">u</a>'
    )
    page = tmp_path / "part" / "page.html"
    page.write_text('<p id="there">x</p><a href="../index.html#first">y</a>')
    assert CHECK["broken"](tmp_path) == []
    page.write_text(
        '<a href="../index.html#second">x</a><img src="gone.png"><a href="#first">y</a>'
    )
    assert CHECK["broken"](tmp_path) == [
        "index.html: part/page.html#there: no such anchor",
        "part/page.html: #first: no such anchor",
        "part/page.html: ../index.html#second: no such anchor",
        "part/page.html: gone.png: no such file",
    ]
