"""The documents, and what can be read out of them without a Markdown parser."""

import re
from pathlib import Path

from tests.guards.source_tree import PRODUCT, ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)[^)]*\)")
CODE = re.compile(r"`([^`\n]+)`")
# Something with a slash and an ending, and perhaps a test in it.
FILE = re.compile(r"(?P<path>[\w.-]+(?:/[\w.-]+)*/[\w.-]+\.[a-z]{1,4})(?:::(?P<test>\w+))?")
HEADING = re.compile(r"^#{1,4} (?P<text>.+)$", re.MULTILINE)
# Files that an instance gets and the repository does not have.
MADE_LATER = {"instance/config.py", "tls/ca.pem", "tls/ca.key"}


def documents() -> list[Path]:
    return [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def everything() -> str:
    return "\n".join(path.read_text() for path in documents())


def blocks(path: Path, language: str) -> list[str]:
    return [match["code"] for match in FENCE.finditer(path.read_text()) if match["language"] == language]


def links(path: Path) -> list[str]:
    return [match["target"] for match in LINK.finditer(path.read_text()) if "://" not in match["target"]]


def named_files(path: Path) -> list[tuple[str, str | None]]:
    """Return the files, and tests in them, that a document names in its prose."""
    prose = FENCE.sub("", path.read_text())
    found = [FILE.fullmatch(code) for code in CODE.findall(prose)]
    return [(match["path"], match["test"]) for match in found if match and match["path"] not in MADE_LATER]


def anchors(path: Path) -> set[str]:
    """Return the anchors that a page's headings get where it is shown."""
    headings = HEADING.findall(FENCE.sub("", path.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_file(name: str) -> Path | None:
    """Return a file that is named from the top or, as in the architecture, from the product's package."""
    return next((base / name for base in (ROOT, PRODUCT) if (base / name).is_file()), None)
