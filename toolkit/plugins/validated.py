"""Plain data as a model, or a sentence with the path of what is wrong in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from toolkit.errors import UsageError, nearest
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.collect import Family
from toolkit.plugins.refusal import place, sentence


def validated(model: type[Any], data: Mapping[str, Any], section: str) -> Any:
    """`model` with these fields; raises `UsageError` that names section and field, and the nearest of unknown keys."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":  # the key may be any text
            above, key = place(first["loc"][:-1]), str(first["loc"][-1])
            where = ".".join(filter(None, [section, *above, key]))
            raise UsageError("no such key", where, nearest(key, _keys(model, above))) from error
        where = ".".join(filter(None, [section, *place(first["loc"])])) or "recipe"
        raise UsageError(f"{where}: {sentence(error.errors())}", do="see seg show") from error


def spec_of(raw: Any, section: str, family: Family, catalogue: Catalogue, owner: str | None) -> Any:
    """The spec in a section; one that was written under a former name of its kind has the present one."""
    if not isinstance(raw, Mapping) or "kind" not in raw:
        raise UsageError("a kind is missing", f"{section}.kind", f"name a {family[:-1]}")
    kind = catalogue.find(family, str(raw["kind"]), owner)
    return validated(kind, {**raw, "kind": kind.named()}, section)


def _keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Names that are valid below `path`."""
    for step in path:
        field = model.model_fields.get(step)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return [f.alias or name for name, f in model.model_fields.items()]
