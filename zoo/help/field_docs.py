"""Meanings of fields: the docstring after each field of a class, read from its source. Imports no torch.

::

    @dataclass
    class Budget:
        clips: int | None = None
        \"\"\"Number of training clips.\"\"\"
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any


def field_docs(cls: type[Any]) -> dict[str, str]:
    """Field -> its docstring as one line, base classes included; a class overrides the meanings of its bases.

    Fields without a docstring, and classes whose source is not at hand, are left out.
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docs |= _docs_of_module(base.__module__).get(base.__qualname__, {})
    return docs


@cache
def _docs_of_module(name: str) -> dict[str, dict[str, str]]:
    """Qualified name of each class of a module -> its own fields' docstrings; each module is parsed once."""
    if name == "builtins":
        return {}
    try:
        tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    except (ImportError, OSError, TypeError):  # no such module any more; no source; a module in C
        return {}
    return dict(_classes(tree, ""))


def _classes(parent: ast.AST, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield f"{prefix}{node.name}", _own_docs(node)
            yield from _classes(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(node, f"{prefix}{node.name}.<locals>.")


def _own_docs(node: ast.ClassDef) -> dict[str, str]:
    docs = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            docs[field.target.id] = " ".join(after.value.value.split())
    return docs
