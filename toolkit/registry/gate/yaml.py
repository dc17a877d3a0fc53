"""YAML of a model: a mapping of plain data."""

from __future__ import annotations

from typing import Any

from toolkit.errors import ModelError
from toolkit.plain_yaml import NotPlain, load
from toolkit.registry.gate import refusing


def parse(data: bytes, where: object) -> dict[str, Any]:
    """The mapping that YAML bytes hold; raises `ModelError` for anything that is not small plain data."""
    with refusing("this description is not valid YAML", where):
        try:
            document = load(data)
        except NotPlain as error:
            raise ModelError(
                "this description is not plain YAML", f"{where} ({error})", "get the model again from its author"
            ) from error
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise ModelError("this description is not a mapping", where, "get the model again from its author")
    return document
