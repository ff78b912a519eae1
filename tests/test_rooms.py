"""Imports never form a circle, neither between files nor between rooms (zoo's folders and top-level files)."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOOSE_FILES = 18


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, also inside functions, but not under ``if TYPE_CHECKING:``."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def arrows(package: Path) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports, the most specific ones."""
    files = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }
    graph = {}
    for name, path in files.items():
        targets = {target for target in imported(path) if target in files and target != name}
        graph[name] = {t for t in targets if not any(other.startswith(f"{t}.") for other in targets)}
    return graph


def between_rooms(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between folders and top-level files."""
    rooms: dict[str, set[str]] = {}
    for name, targets in graph.items():
        room = ".".join(name.split(".")[:2])
        rooms.setdefault(room, set()).update({".".join(t.split(".")[:2]) for t in targets} - {room, name.split(".")[0]})
    return rooms


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        return found.args[1]
    return []


def test_no_circle_between_files():
    assert circle(arrows(ROOT / "zoo")) == []


def test_no_circle_between_rooms():
    assert circle(between_rooms(arrows(ROOT / "zoo"))) == []


def test_few_files_stand_outside_the_rooms():
    assert len([path for path in (ROOT / "zoo").glob("*.py") if path.name != "__init__.py"]) <= LOOSE_FILES


@pytest.mark.parametrize("line", ["import house.b.y", "def f():\n    from house.b import y", "from house.b.y import z"])
def test_a_circle_is_found(line, tmp_path):
    house = tmp_path / "house"
    for file, text in {"a/x.py": line, "b/y.py": "from house.a.x import f", "a/z.py": "", "b/__init__.py": ""}.items():
        (house / file).parent.mkdir(parents=True, exist_ok=True)
        (house / file).write_text(text)
    graph = arrows(house)
    assert sorted(set(circle(graph))) == ["house.a.x", "house.b.y"]
    assert sorted(set(circle(between_rooms(graph)))) == ["house.a", "house.b"]
    (house / "a/x.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.b.y\n")
    assert circle(arrows(house)) == []
