"""The repository as the guards see it: what is kept in it, and the Python among that."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ROOT / "platform"
PRODUCT = PLATFORM / "changegate"
BESIDE_THE_PRODUCT = (ROOT / "benchmarks", ROOT / "tests")
TEXTS = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".svg", ".ini", ".mako", ".lua", ""}


@cache
def ignored_patterns() -> tuple[str, ...]:
    """Return the patterns of .gitignore that may be anywhere, and git's own folder."""
    lines = (ROOT / ".gitignore").read_text().split()
    return ".git", *(line.strip("/") for line in lines if not line.startswith(("!", "/instance")))


def is_kept(path: Path) -> bool:
    """Return whether a path belongs to the repository."""
    parts = path.relative_to(ROOT).parts
    is_instance_content = parts[0] == "instance" and parts[1:] not in ((), (".gitkeep",))
    return not is_instance_content and not any(
        fnmatch(part, pattern) for part in parts for pattern in ignored_patterns()
    )


def kept_children(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if is_kept(path)}


def kept_files(folder: Path = ROOT) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if not is_kept(path):
            continue
        if path.is_dir():
            yield from kept_files(path)
        else:
            yield path


def text_files(folder: Path = ROOT) -> Iterator[Path]:
    return (path for path in kept_files(folder) if path.suffix in TEXTS)


def python_files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in kept_files(folder) if path.suffix == ".py"]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(node: ast.AST) -> set[str]:
    """Return the names of the functions that a piece of code calls, without their modules."""
    called = [found.func for found in ast.walk(node) if isinstance(found, ast.Call)]
    return {ast.unparse(function).rpartition(".")[2] for function in called}
