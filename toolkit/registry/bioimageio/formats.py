"""Reads the description of a package, whatever its format."""

from __future__ import annotations

from toolkit.errors import ModelError
from toolkit.registry.bioimageio import bounds, format_0_4, format_0_5
from toolkit.registry.bioimageio.description import Description
from toolkit.registry.gate import refusing, yaml
from toolkit.registry.gate.archive import Files

NAMES = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
"""Names that a description may have, the first that is there counts."""


def read(files: Files) -> Description:
    """The description of a package; raises `ModelError` if there is none, or it is invalid or of another format."""
    name = next((n for n in NAMES if n in files), None)
    if name is None:
        raise ModelError("this is no model package: it has no rdf.yaml", files.where,
                         "give a bioimage.io package, or the folder of a training run")  # fmt: skip
    where = f"{files.where}: {name}"
    plain = yaml.parse(files.read(name), where)
    version = str(plain.get("format_version", ""))
    if plain.get("type", "model") != "model":
        raise ModelError(f"this describes no model but a {str(plain['type'])[:80]}", where, "choose a model")
    reader = {"0.4": format_0_4.read, "0.5": format_0_5.read}.get(version[:3])
    if reader is None:
        raise ModelError("this format is not supported", f"{where}: format_version {version[:80] or 'missing'}",
                         "formats 0.4 and 0.5 are")  # fmt: skip
    with refusing("this model description is not valid", where):
        found = _checked(reader(plain), where)
        bounds.check(found, where)
    return found


def _checked(description: Description, where: str) -> Description:
    """Refuse names that would confuse: every tensor and every axis of a tensor has one of its own."""
    tensors = (*description.inputs, *description.outputs)
    if len({t.id for t in tensors}) < len(tensors) or not description.inputs or not description.outputs:
        raise ModelError("inputs and outputs need a name of their own each", where, "ask the model's author")
    for tensor in tensors:
        if len(set(tensor.ids)) < len(tensor.ids) or not 0 < len(tensor.ids) <= 8:
            raise ModelError("the axes of a tensor need a name of their own each", f"{where}: {tensor.id}",
                             "ask the model's author")  # fmt: skip
    return description
