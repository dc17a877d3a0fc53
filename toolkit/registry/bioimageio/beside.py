"""What an exported package holds beside its network: what people want to know, and what only this toolkit needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from toolkit.errors import UsageError, nearest
from toolkit.plugins.card import Card
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry.bioimageio.example import Example
from toolkit.registry.bioimageio.read import SCHEMA
from toolkit.registry.bioimageio.standalone import source
from toolkit.registry.package import ModelPackage, file_digest
from toolkit.steps.normalise import Scale
from toolkit.values.instances import Instances

README = """# {name}

{description}

## Use

`seg run IMAGE --model PACKAGE.zip` gives instances, with `pip install {installs}`.

Other tools run the network and get its heads: {heads}. The network sees windows of at most {window} voxels, which
overlap by {overlap}; of each voxel the window counts in which it lies farthest from the border. Half of the overlap is
the `halo` of the description. An image of at most one window has the same heads in bioimageio.core, so:

```python
from bioimageio.core import create_prediction_pipeline, load_model_description
from bioimageio.core.digest_spec import create_sample_for_model

model = load_model_description("PACKAGE.zip")
sample = create_sample_for_model(model, inputs={{"input": IMAGE}}, sample_id="image")  # float32 (1, C, {axes})
with create_prediction_pipeline(model) as pipeline:
    heads = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
```

Without the two words `skip` it enlarges the image by the halo, with its mirror image, before it looks at intensities:
then heads are other ones at the border, and a little other ones everywhere where they hang on percentiles, which are
those of the larger image. Larger images go with `blocksize_parameter`; blocks lie elsewhere than the windows here, so
heads differ at their borders and at those of the image, as far as the network sees.

ONNX and the state dict are the same weights; ONNX runs without seg-toolkit, the state dict {needs}.

## Validation

`seg models test PACKAGE.zip` reproduces the test output and the test instances. On images of your own with masks:
`seg run IMAGES --model PACKAGE.zip -o RESULTS`, then `seg evaluate RESULTS MASKS`.
"""


ODD = re.compile(r"[^A-Za-z0-9_+\- ()]")
"""What a title may not hold."""


def card(model: ModelPackage, catalogue: Catalogue) -> Card:
    """The card beside the model; that of a training is the card of the recipe that it began with: all of it, or where
    that is the card of a model which the plugin ships, what is true of others of the method, too."""
    own, name = model.source.with_suffix(".md"), f"{model.owner}:{model.recipe.name}"
    if own.is_file() or name not in catalogue.collect("recipes"):
        return Card.beside(model.source)
    recipe = catalogue.find("recipes", name)
    found = Card.beside(recipe)
    shipped = recipe.with_suffix(".safetensors").is_file()
    return Card(licence=found.licence, cite=found.cite) if shipped else found


def titled(model: ModelPackage, card: Card) -> str:
    """A title that the format accepts: what the model is for, or what it is, and its name."""
    what = card.title or model.recipe.title or f"instances by {model.recipe.postprocess.kind}"
    return " ".join(f"{ODD.sub(' ', what)} ({ODD.sub(' ', model.recipe.name)})".split())[-128:]


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

    def checked(self) -> About:
        """This, if the format may allow it; raises `UsageError` before anybody has waited for an export."""
        if not 5 <= len(self.name) <= 128 or ODD.search(self.name):
            raise UsageError("this is no title of a model for the format", f"--name {self.name!r}",
                             "5 to 128 letters, digits, spaces and _+-()")  # fmt: skip
        if not self.authors:
            raise UsageError("a package needs an author", "--author", "name one, or in the card beside the recipe")
        self._allowed()
        return self

    def _allowed(self) -> None:
        """Refuse a licence, an author, a version or a DOI that is none to the format's own library."""
        from bioimageio.spec.model import v0_5 as rdf
        from pydantic import ValidationError

        asked: list[tuple[str, Iterable[str], Callable[[str], object], str]] = [
            ("--licence", [self.licence], rdf.LicenseId, "choose an SPDX name, such as CC-BY-4.0, MIT or BSD-3-Clause"),
            ("--author", self.authors, lambda name: rdf.Author(name=name), "a name has letters and no / or \\"),
            ("--cite", self.cite, rdf.Doi, "give a DOI, as 10.NUMBER/NAME"),
            ("--version", [self.version], rdf.Version, "numbers with points between them, such as 1.0"),
        ]
        for option, values, made, cure in asked:
            for value in values:
                try:
                    made(value)
                except ValidationError as error:
                    expected = str(error.errors()[0].get("ctx", {}).get("expected", ""))
                    near = nearest(value, re.findall("'([^']+)'", expected))
                    cure = f"{near} {cure}" if near.endswith("?") else cure
                    raise UsageError("this is not what the format allows", f"{option} {value}", cure) from error


@dataclass(frozen=True, eq=False)
class Test:
    """An example, its scale, and what the model makes of it with `engine`."""

    example: Example
    scale: Scale
    instances: Instances
    engine: Mapping[str, str]


def beside(model: ModelPackage, about: About, test: Test, plugins: dict[str, str], folder: Path) -> dict[str, Any]:
    """Write the documentation and the environment into `folder`; returns what the format has no words for."""
    by_plugin = {p.name: p.distribution for p in Catalogue().plugins}
    distributions = list(dict.fromkeys(["seg-toolkit", *(by_plugin[name] for name in plugins if name in by_plugin)]))
    pins = [f"{distribution}=={version(distribution)}" for distribution in distributions]
    environment = {"channels": ["conda-forge"], "dependencies": ["python>=3.11", "pip", {"pip": pins}]}
    (folder / "environment.yaml").write_text(yaml.safe_dump(environment), encoding="utf8")
    heads = ", ".join(head.name for head in model.heads)
    alone = model.recipe.network.alone(len(test.example.voxels), model.heads, model.recipe.ndim)
    also = "".join(f" and {name}" for name in alone.requires) if alone else ""
    text = README.format(
        name=about.name, description=about.description, heads=heads, installs=" ".join(distributions),
        window=" × ".join(map(str, model.recipe.tiling.window)),
        needs=f"too: network.py needs torch{also}" if alone and source(alone) else "with it",
        overlap=" × ".join(map(str, model.recipe.tiling.overlaps)), axes=", ".join("ZYX"[-model.recipe.ndim :]),
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf8")
    return {
        "schema": SCHEMA,
        "owner": model.owner,
        "recipe": model.recipe.plain(),
        "plugins": plugins,
        "distributions": {name: of for name, of in sorted(by_plugin.items()) if name in plugins},
        "weights": {"source": "weights.pt", "sha256": file_digest(folder / "weights.pt")},
        "test": {
            "instances": "test_instances.npy",
            "sha256": test.instances.digest,
            "count": len(test.instances),
            "dtype": str(test.example.voxels.dtype),
            "voxel_size": list(test.example.voxel_size),
            "attributes": sorted(test.instances.attributes),
            "engine": dict(test.engine),
        },
    }
