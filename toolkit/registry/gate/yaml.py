"""YAML of a model: a mapping of plain data."""

from __future__ import annotations

from typing import Any

from toolkit.errors import ModelError
from toolkit.files.plain_yaml import load
from toolkit.registry.gate import refusing


def parse(data: bytes, where: object) -> dict[str, Any]:
    """The mapping that YAML bytes hold; raises `ModelError` for anything that is not small plain data."""
    with refusing("this description is not plain YAML", where):
        document = load(data)
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise ModelError("this description is not a mapping", where, "get the model again from its author")
    return document
