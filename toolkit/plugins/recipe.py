"""The whole configuration of a method: data about the method only, never paths or devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from toolkit.errors import InputError, UsageError
from toolkit.files import bounded, plain_yaml
from toolkit.plugins import seams
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.collect import Family
from toolkit.plugins.sections import Input, Learning, Section, Tiling
from toolkit.plugins.specs import Loss, Network, PostProcessor, Spec
from toolkit.plugins.told import told
from toolkit.plugins.validated import spec_of, validated
from toolkit.steps.normalise import Normalise
from toolkit.steps.turns import refused
from toolkit.values.prediction import Head
from toolkit.values.tiles import Lattice

SCHEMA: Literal["toolkit.recipe/1"] = "toolkit.recipe/1"
SPECS: dict[str, Family] = {
    "network": "networks",
    "loss": "losses",
    "auxiliary": "losses",
    "postprocess": "postprocessors",
}
"""Sections of a recipe that hold a spec, and the family it comes from."""


class Recipe(Section):
    """A method. `Recipe.parse` builds it from plain data, because which class a section has is for plugins to say."""

    schema_: Literal["toolkit.recipe/1"] = Field(default=SCHEMA, alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._+-]*$")]
    """Name of the method or model."""
    input: Input = Input()
    normalise: Normalise = Normalise()
    network: SerializeAsAny[Network]
    loss: SerializeAsAny[Loss] | None = None
    """What the network learns; null for a network that learns nothing, such as `image`."""
    auxiliary: SerializeAsAny[Loss] | tuple[SerializeAsAny[Loss], ...] | None = None
    """A second loss, or several, with heads of their own or the same ones; how much each counts: `training.weights`."""
    postprocess: SerializeAsAny[PostProcessor]
    tiling: Tiling = Tiling()
    training: Learning = Learning()

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.network.untrained != (self.loss is None) or (self.loss is None and self.auxiliary):
            raise ValueError(
                f"network {self.network.kind} learns nothing: set loss and auxiliary to null"
                if self.network.untrained
                else "a network that learns needs a loss"
            )
        if self.loss is not None and len(self.training.crop) != self.ndim:
            raise ValueError(f"training.crop has {len(self.training.crop)} axes and tiling.window has {self.ndim}")
        if self.input.spacing_um is not None and len(self.input.spacing_um) != self.ndim:
            raise ValueError(f"input.spacing_um needs {self.ndim} numbers, one per axis of tiling.window")
        if self.input.shrink is not None and len(self.input.shrink) != self.ndim:
            raise ValueError(f"input.shrink needs {self.ndim} numbers, one per axis of tiling.window")
        with told("network"):
            stride = self.network.stride(self.ndim)
        with told("postprocess"):
            self.postprocess.halo(self.ndim)
        with told("loss"):
            members = [loss.members(self.network, self.ndim) for loss in self.losses]
        shapes = [("tiling.window", self.tiling.window), ("training.crop", self.training.crop)]
        for what, shape in shapes[: 1 if self.loss is None else 2]:
            if any(n % s for n, s in zip(shape, stride, strict=True)):
                raise ValueError(f"{what} {list(shape)} must be a multiple of the network's stride {list(stride)}")
        if self.loss is not None and (wrong := self.postprocess.disagrees(self.loss)):
            raise ValueError(wrong)
        names = [head.name for head in self.heads]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"loss and auxiliary have two heads of one name, {twice}, that are not the same")
        if len(self.losses) > 1 and (any(phase.build for phase in self.losses[0].phases()) or any(members[1:])):
            raise ValueError("a loss with networks or phases of its own cannot be beside another loss")
        if len(self.training.weights) not in (0, len(self.losses)):
            raise ValueError(f"training.weights needs {len(self.losses)} numbers, one per loss")
        if self.tiling.augment != "none" and (wrong := refused(self.tiling.window, self.tiling.overlaps, self.heads)):
            raise ValueError(wrong)
        return self

    @property
    def shrink(self) -> tuple[int, ...]:
        """Voxels of the image per voxel of the network, along each axis."""
        return self.input.shrink or (1,) * self.ndim

    @property
    def ndim(self) -> int:
        """Spatial axes: 2 or 3."""
        return len(self.tiling.window)

    def lattice(self, shape: Sequence[int]) -> Lattice:
        """The windows on which the network sees an image of `shape`: those of `tiling`, as small as so few can be."""
        size, window, overlap = tuple(shape), self.tiling.window, self.tiling.overlaps
        if self.network.fixed or self.tiling.augment != "none":  # other shapes do not fit, or do not turn
            return Lattice(size, window, overlap)
        return Lattice.fitted(size, window, overlap, self.network.stride(self.ndim))

    @property
    def losses(self) -> tuple[Loss, ...]:
        """The loss and the auxiliary ones; none of a method that learns nothing."""
        more = self.auxiliary if isinstance(self.auxiliary, tuple) else (self.auxiliary,)
        return tuple(loss for loss in (self.loss, *more) if loss is not None)

    @property
    def taught(self) -> tuple[tuple[str, Loss], ...]:
        """The losses and where each stands in the recipe."""
        many = isinstance(self.auxiliary, tuple)
        places = ("loss", *(f"auxiliary.{n}" if many else "auxiliary" for n in range(len(self.losses))))
        return tuple(zip(places, self.losses, strict=False))

    @property
    def main(self) -> Loss:
        """The loss; raises `UsageError` where there is none."""
        if self.loss is None:
            raise UsageError("this method learns nothing", self.name, "run it: seg run IMAGE --plugin NAME")
        return self.loss

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the network gives: the heads of all losses, one that several read once, or what it has unlearnt."""
        found = list(self.network.gives(self.input.count))
        for section, loss in self.taught:
            with told(section):
                found += [head for head in seams.heads(loss.heads(self.ndim), loss) if head not in found]
        return tuple(found)

    def expects(self, heads: Iterable[Head]) -> None:
        """Raise `UsageError` unless the post-processor reads these heads."""
        with told("postprocess"):
            self.postprocess.check({head.name: head for head in heads}, self.ndim)

    @property
    def placed(self) -> tuple[tuple[str, Spec], ...]:
        """Network, losses and post-processor, and where each stands in the recipe."""
        return ("network", self.network), *self.taught, ("postprocess", self.postprocess)

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Network, losses and post-processor."""
        return tuple(spec for _, spec in self.placed)

    @property
    def title(self) -> str:
        """What the method is, in a line."""
        return ", ".join(filter(None, (spec.title for spec in self.specs)))

    @property
    def citations(self) -> tuple[str, ...]:
        """The works to cite for the method."""
        return tuple(dict.fromkeys(spec.citation for spec in self.specs if spec.citation))

    @classmethod
    def parse(cls, data: Mapping[str, Any], catalogue: Catalogue, owner: str | None = None) -> Recipe:
        """Validate plain data, with the classes that the catalogue knows; `owner` is the plugin to look in first.

        Raises `UsageError` with the path of what is wrong, such as `postprocess.seed: input should be less than 1`.
        """
        data = dict(data)
        for section, family in SPECS.items():
            raw = data.get(section)
            if isinstance(raw, Mapping):
                data[section] = spec_of(raw, section, family, catalogue, owner)
            elif isinstance(raw, list | tuple):
                data[section] = tuple(
                    spec_of({"kind": one} if isinstance(one, str) else one, f"{section}.{n}", family, catalogue, owner)
                    for n, one in enumerate(raw)
                )
        recipe: Recipe = validated(cls, data, "")
        return recipe

    @classmethod
    def load(cls, path: Path, catalogue: Catalogue, owner: str | None = None, changes: Sequence[str] = ()) -> Recipe:
        """Read a YAML file and apply `--set` changes of the form `a.b=value`."""
        try:
            data = plain_yaml.load(bounded.read(path))
        except FileNotFoundError as error:
            raise InputError("no such recipe file", path, "check the path") from error
        except (plain_yaml.NotPlain, OSError) as error:
            raise InputError("this recipe is not valid YAML", path, str(error)) from error
        if not isinstance(data, dict):
            raise InputError("this recipe is not a mapping", path, "see docs/recipes.md for a whole one")
        return cls.parse(changed(data, changes), catalogue, owner)

    def changed(self, changes: Sequence[str], catalogue: Catalogue, owner: str | None = None) -> Recipe:
        """This recipe with `--set` changes applied."""
        return self.parse(changed(self.plain(), changes), catalogue, owner) if changes else self

    def plain(self) -> dict[str, Any]:
        """The recipe as plain data (dicts, lists, numbers, strings)."""
        return self.model_dump(mode="json", by_alias=True)

    def dump(self) -> str:
        """The recipe as YAML; `Recipe.parse(plain_yaml.load(text.encode()), catalogue)` gives it back."""
        return plain_yaml.dump(self.plain())


def recipe_named(
    name: str, catalogue: Catalogue, changes: Sequence[str] = (), owner: str | None = None
) -> tuple[Recipe, str | None]:
    """The recipe called `name`, or in the file `name`, and the plugin that owns it (None for a file of the user's).

    A plugin's name is also that of its recipe: looking there first imports no other plugin.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return Recipe.load(path, catalogue, owner, changes), owner
    if owner is None and any(plugin.name == name for plugin in catalogue.plugins):
        owner = name
    plugin, path = catalogue.locate("recipes", name, owner)
    return Recipe.load(path, catalogue, plugin, changes), plugin


def changed(data: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Plain recipe data with changes `a.b=value` applied; values are YAML.

    `x.kind=K` resets section x to the defaults of K; `x=K` on a section that holds a spec is short for it.
    """
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    for change in changes:
        path, equals, text = change.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys) or len(keys) > 2:
            raise UsageError("not a change of the form section.field=value", f"--set {change}", "see seg show RECIPE")
        try:
            value = plain_yaml.load(text.encode(errors="surrogateescape"))
        except plain_yaml.NotPlain as error:
            raise UsageError("the value is not valid YAML", f"--set {change[:80]}", "quote it") from error
        section = keys[0]
        if len(keys) == 1 and section in SPECS and isinstance(value, str):
            keys, value = [section, "kind"], value
        if len(keys) == 1:
            result[section] = value
        elif keys[1] == "kind":
            result[section] = {"kind": value}
        else:
            inside = result.get(section) or {}
            if not isinstance(inside, Mapping):
                raise UsageError("this section has no fields", f"--set {change}", "set the section itself")
            result[section] = {**inside, keys[1]: value}
    return result
