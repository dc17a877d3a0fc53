"""What the docstrings below the fields of a spec say, read where somebody asks: a run has no use for them."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel


def described(spec: type[BaseModel]) -> dict[str, str]:
    """A description of each field that has one: what its `Field` says, else the docstring below it, in the class that
    defines it last."""
    found: dict[str, str] = {}
    for part in reversed(spec.__mro__):
        if issubclass(part, BaseModel) and part is not BaseModel:
            found |= _below(part)
    return found | {name: f.description for name, f in spec.model_fields.items() if f.description}


def _below(part: type) -> dict[str, str]:
    try:
        (body,) = ast.parse(dedent(inspect.getsource(part))).body
    except (OSError, TypeError):  # there is no source
        return {}
    assert isinstance(body, ast.ClassDef), "the source of a class is one"
    return {
        field.target.id: inspect.cleandoc(after.value.value)
        for field, after in pairwise(body.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }  # fmt: skip
