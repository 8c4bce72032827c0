"""Check every link inside the built site: its page exists, and has the anchor. Asks no network.

``python docs/check_links.py docs/_build/html`` prints what is broken and exits with 1.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and the addresses to which it points."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif name in ("href", "src"):
                self.links.add(value or "")


def broken(site: Path) -> list[str]:
    """Return a line for every link that leads nowhere."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                problem = "no such file"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                problem = "no such anchor"
            else:
                continue
            found.append(f"{path.relative_to(site.resolve())}: {link}: {problem}")
    return found


if __name__ == "__main__":
    if lines := broken(Path(sys.argv[1])):
        sys.exit("\n".join(lines))
    print("all links inside the site lead somewhere")
