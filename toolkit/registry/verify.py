"""Does a model still do what it promises: its test output, and its test instances where it has them?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ModelError
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry import resolve
from toolkit.registry.bioimageio import reproduce as tensors
from toolkit.registry.bioimageio.read import Opened
from toolkit.registry.gate.tensors import array
from toolkit.registry.package import ModelPackage, is_run
from toolkit.registry.store import Store
from toolkit.values.image import Image
from toolkit.values.instances import Instances

Segment = Callable[..., Instances]
"""`toolkit.pipeline.segment`, which the caller passes in."""


@dataclass(frozen=True)
class Result:
    """One thing that was checked."""

    what: str
    detail: str
    passed: bool


def verify(reference: str, catalogue: Catalogue, segment: Segment) -> list[Result]:
    """Run a package (a path or an installed name) on its own test data.

    Raises `ModelError` if it has none or does not run, `NotTrusted` if it is code that nobody reviewed or trusts.
    """
    store = Store()
    path = Path(reference) if resolve.is_path(reference) else store.folder(store.get(reference))
    if not is_run(path):
        return verify_package(Opened.at(path), catalogue, segment, store.trusts)
    raise ModelError("a training run brings no test data", reference, "seg export makes a package of it that does")


def verify_package(
    opened: Opened, catalogue: Catalogue, segment: Segment, trusted: Callable[[str], bool]
) -> list[Result]:
    """What `verify` does, for a package that is open."""
    found = [
        Result(f"output {r.output} ({r.weights})", f"largest difference {r.difference:.2g}", r.passed)
        for r in tensors.reproduce(opened, catalogue, trusted)
    ]
    own = opened.description.toolkit
    if own is not None and "test" in own:
        with opened.guarded():
            model = opened.load(catalogue, str(opened.files.where), trusted)
            found.append(_instances(opened, model, own["test"], catalogue, segment))
    return found


def _instances(opened: Opened, model: ModelPackage, test: Any, catalogue: Catalogue, segment: Segment) -> Result:
    """The instances of the test input, whose channels are already those that the network sees."""
    array = tensors.test_array(opened, opened.description.inputs[0])[0]
    axes = "CYX" if array.ndim == 3 else "CZYX"
    array = array.astype(str(test["dtype"]))
    image = Image(array, axes, tuple(test["voxel_size"]), "test input")
    whole = model.with_recipe(model.recipe.changed(["input.channels=all"], catalogue, model.owner))
    found = segment(image, whole, device="cpu", catalogue=catalogue)
    same = found.digest == test["sha256"] and all(
        _told(found.attributes.get(name), opened, name) for name in test.get("attributes", ())
    )
    return Result("instances", f"{len(found)} found, {test['count']} expected{'' if same else ', not the same'}", same)


def _told(found: Any, opened: Opened, name: str) -> bool:
    """Whether an attribute of the objects is what the package says, up to rounding."""
    where = f"test_instances_{name}.npy"
    expected = array(opened.files.read(where), f"{opened.files.where}: {where}")
    if found is None or found.shape != expected.shape:
        return False
    return bool(np.allclose(found, expected, 1e-3, 1e-3) if expected.dtype.kind == "f" else (found == expected).all())
