"""Plain data as a model, or a sentence with the path of what is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from toolkit.errors import UsageError, nearest


def validated(model: type[Any], data: Mapping[str, Any], section: str) -> Any:
    """`model` with these fields; raises `UsageError` that names section and field, and the nearest of unknown keys."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(p) for p in first["loc"] if not (isinstance(p, str) and p.startswith("function-"))]
        where = ".".join(filter(None, [section, *path])) or "recipe"
        if first["type"] == "extra_forbidden":
            raise UsageError("no such key", where, nearest(path[-1], _keys(model, path[:-1]))) from error
        what = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{where}: {what[0].lower()}{what[1:]}", do="see seg show") from error


def _keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Names that are valid below `path`."""
    for step in path:
        field = model.model_fields.get(step)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return [f.alias or name for name, f in model.model_fields.items()]
