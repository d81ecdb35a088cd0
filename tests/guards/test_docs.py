"""The documents tell the truth: about settings, targets, commands, files and the tree."""

import dataclasses
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from changegate.config import INSTANCE_PATH_VARIABLE, PREFIX, Settings
from changegate.setting_parsers import PARSERS
from tests.guards.command_line import ALL_COMMANDS, MAKE_TARGETS, options_of
from tests.guards.documents import (
    DOCS,
    README,
    anchors,
    blocks,
    documents,
    everything,
    find_file,
    links,
    named_files,
)
from tests.guards.source_tree import BESIDE_THE_PRODUCT, PLATFORM, PRODUCT, ROOT, kept_children, python_files, shown

SETTINGS = {f"{PREFIX}{name.upper()}" for name in PARSERS} | {INSTANCE_PATH_VARIABLE}
SETTING_ROW = re.compile(r"^\| `(?P<name>CHANGEGATE_\w+)` \| (?P<default>.*?) \|", re.MULTILINE)
COMMAND_HEADING = re.compile(r"^## `(?P<command>[a-z -]+?)(?: [A-Z_]+)*`$", re.MULTILINE)
TREE_LINE = re.compile(r"^(?P<indent>(?:│   |    )*)(?:[├└]── )?(?P<name>[\w.-]+/?)(?P<remark> +\S.*)$")
DECISION_PARTS = ["## Context", "## Decision", "## Consequences"]
CITATION = re.compile(r"(?P<page>docs/[\w/-]+\.md)(?P<headings>(?:(?:, | and |, and )?#[\w-]+)*)")
# A number of a section says whose it is, in the same line.
SECTION = re.compile(r"(RFC \d{4}|OpenID Connect [\w .-]+|X\.690|standard),? §")
OPTION = re.compile(r"`(--?[a-z-]+)`")


def test_every_setting_is_documented_and_no_other() -> None:
    rows = [match["name"] for match in SETTING_ROW.finditer((DOCS / "configuration.md").read_text())]
    assert sorted(rows) == sorted(SETTINGS)


def test_the_defaults_of_settings_are_the_documented_ones() -> None:
    text = (DOCS / "configuration.md").read_text()
    documented = {match["name"]: match["default"] for match in SETTING_ROW.finditer(text)}
    for field in dataclasses.fields(Settings):
        if field.default not in (dataclasses.MISSING, None, ()):
            assert documented[f"{PREFIX}{field.name.upper()}"] == f"`{as_text(field.default)}`", field.name


def as_text(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.0f}"
    return str(int(value)) if isinstance(value, bool) else str(value)


def test_no_document_or_source_names_an_unknown_setting() -> None:
    texts = [path.read_text() for path in (*documents(), *python_files(PLATFORM))]
    spoken_of = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]+\b", "\n".join(texts)))
    assert spoken_of <= SETTINGS


def test_every_make_target_is_documented() -> None:
    targets = MAKE_TARGETS - {"help"}
    # Joined: a line may end between the two words.
    text = " ".join(everything().split())
    assert not {target for target in targets if not re.search(rf"`(?:[^`]*\s)?make {target}\b", text)}
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets


def sources() -> list[Path]:
    """Return the Python of the repository, except this guard."""
    return [path for path in python_files(ROOT) if path != Path(__file__)]


# Options that the command has beyond those that look like it.
NOT_ALIKE = {"--from"}
# Commands whose options are documented in the section of another.
ALIKE = {"changegate integration update": "changegate integration create"}


def sections() -> dict[str, str]:
    parts = COMMAND_HEADING.split((DOCS / "commands.md").read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_is_documented_and_no_other() -> None:
    assert sections().keys() == ALL_COMMANDS.keys()


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    documented = {*OPTION.findall(sections()[name])}
    if name in ALIKE:
        documented |= {*OPTION.findall(sections()[ALIKE[name]])} - NOT_ALIKE
    assert documented == options_of(ALL_COMMANDS[name])


@pytest.mark.parametrize("path", documents(), ids=shown)
def test_every_file_that_is_named_exists(path: Path) -> None:
    missing = [target for target in links(path) if not (path.parent / target).exists()]
    for name, test in named_files(path):
        found = find_file(name)
        if found is None or (test and f"def {test}(" not in found.read_text()):
            missing.append(f"{name}::{test}" if test else name)
    assert not missing


def references(source: str) -> Iterator[tuple[Path, str]]:
    """Return the pages, and the headings in them, that a source cites; `#a and #b` are of the page before them."""
    for citation in CITATION.finditer(source):
        page = ROOT / citation["page"]
        yield from ((page, anchor) for anchor in re.findall(r"#([\w-]+)", citation["headings"]) or [""])


def dangling(source: str) -> Iterator[str]:
    """Return what a source cites and its readers do not have."""
    for page, anchor in references(source):
        if not page.is_file() or (anchor and anchor not in anchors(page)):
            yield f"{shown(page)}#{anchor}"
    decisions = {page.name[:4] for page in (DOCS / "decisions").glob("*.md")}
    yield from (number for number in re.findall(r"[Dd]ecision (\d{4})", source) if number not in decisions)
    yield from (line.strip() for line in source.splitlines() if "§" in line and not SECTION.search(line))


def test_no_source_cites_what_its_readers_do_not_have() -> None:
    found = {shown(path): list(dangling(path.read_text())) for path in sources()}
    assert not {path: cited for path, cited in found.items() if cited}


@pytest.mark.parametrize(
    "citation",
    [
        "docs/nothing.md",
        "docs/reference/table-api.md#nothing",
        "docs/reference/table-api.md#values and #nothing",
        "decision 9999",
        "(\N{SECTION SIGN}4.1)",
    ],
)
def test_a_dangling_citation_is_found(citation: str) -> None:
    assert list(dangling(citation))
    assert not list(
        dangling("docs/reference/table-api.md#values and #writes, RFC 7523 \N{SECTION SIGN}3, decision 0001")
    )


def tree() -> dict[str, str]:
    """Return the paths of the tree in the architecture, each with its remark."""
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in blocks(DOCS / "architecture.md", "text")[0].splitlines():
        match = TREE_LINE.match(line)
        assert match, f"not a line of the tree: {line}"
        depth = len(match["indent"]) // 4 + ("── " in line)
        folders = [*folders[:depth], match["name"]]
        found["".join(folders)] = match["remark"].strip()
    return found


def test_the_tree_in_the_architecture_is_the_real_one() -> None:
    assert {path.rstrip("/") for path in tree()} == {shown(path) for path in worth_a_line()}


def worth_a_line() -> set[Path]:
    """Return what a newcomer should find in the tree: the top, every folder of ours, the product's modules."""
    top = {ROOT / name for name in kept_children(ROOT) - {".gitignore"}}
    folders = {path.parent for path in python_files(PLATFORM, *BESIDE_THE_PRODUCT, ROOT / "migrations")}
    documents_of_folders = {path.parent for path in documents()} | {DOCS / "images"}
    return top | (folders | documents_of_folders | set(PRODUCT.glob("*.py"))) - {ROOT}


def test_every_line_of_the_tree_names_an_existing_path() -> None:
    assert not [path for path, remark in tree().items() if not remark]


def test_decisions_are_numbered_and_have_their_three_parts() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        lines = page.read_text().splitlines()
        assert lines[0].startswith(f"# {page.name[:4]}: ")
        assert [line for line in lines if line.startswith("## ")] == DECISION_PARTS, page.name


def test_the_readme_links_every_document() -> None:
    linked = {(ROOT / target).resolve() for target in links(README)}
    missing = [shown(path) for path in DOCS.glob("*.md") if path not in linked]
    assert not missing


def test_the_glossary_has_one_line_for_each_term_in_alphabetical_order() -> None:
    lines = (DOCS / "glossary.md").read_text().partition("|---|---|\n")[2].splitlines()
    terms = [re.sub(r"[`*]", "", line.split(" | ")[0].removeprefix("| ")).lower() for line in lines]
    assert terms == sorted(set(terms))


def test_no_text_in_a_diagram_ends_its_statement() -> None:
    diagrams = [code for path in documents() for code in blocks(path, "mermaid")]
    assert diagrams and not [code for code in diagrams if re.search("[;#]", code)]
