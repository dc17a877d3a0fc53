"""What an exported package holds beside its network: what people want to know, and what only this toolkit needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from toolkit.registry.bioimageio.example import Example
from toolkit.registry.bioimageio.read import SCHEMA
from toolkit.registry.package import ModelPackage, file_digest
from toolkit.steps.normalise import Scale
from toolkit.values.instances import Instances

README = """# {name}

{description}

## Use

`seg run IMAGE --model PACKAGE.zip` gives instances. Other tools run the network and get its heads: {heads}.

## Validation

`seg models test PACKAGE.zip` reproduces the test output and the test instances. On images of your own with masks:
`seg run IMAGES --model PACKAGE.zip -o RESULTS`, then `seg evaluate RESULTS MASKS`.
"""


@dataclass(frozen=True)
class About:
    """What people want to know of a model; `cite` holds DOIs, `licence` an SPDX name."""

    name: str
    description: str
    authors: tuple[str, ...]
    licence: str
    cite: tuple[str, ...] = ()
    version: str = "1.0"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Test:
    """An example, its scale, and what the model makes of it with `engine`."""

    example: Example
    scale: Scale
    instances: Instances
    engine: Mapping[str, str]


def beside(model: ModelPackage, about: About, test: Test, plugins: dict[str, str], folder: Path) -> dict[str, Any]:
    """Write the documentation and the environment into `folder`; returns what the format has no words for."""
    own = [f"seg-toolkit-{name}=={v}" for name, v in plugins.items() if name != "builtin"]
    pins = [f"seg-toolkit=={version('seg-toolkit')}", *own]
    environment = {"channels": ["conda-forge"], "dependencies": ["python>=3.11", "pip", {"pip": pins}]}
    (folder / "environment.yaml").write_text(yaml.safe_dump(environment), encoding="utf8")
    heads = ", ".join(head.name for head in model.heads)
    text = README.format(name=about.name, description=about.description, heads=heads)
    (folder / "README.md").write_text(text, encoding="utf8")
    return {
        "schema": SCHEMA,
        "owner": model.owner,
        "recipe": model.recipe.plain(),
        "plugins": plugins,
        "weights": {"source": "weights.safetensors", "sha256": file_digest(folder / "weights.safetensors")},
        "test": {
            "instances": "test_instances.npy",
            "sha256": test.instances.digest,
            "count": len(test.instances),
            "dtype": str(test.example.voxels.dtype),
            "voxel_size": list(test.example.voxel_size),
            "engine": dict(test.engine),
        },
    }
