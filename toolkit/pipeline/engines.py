"""What runs a network: a fixed rule over the model's record, the processor and what is installed, never a timing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from toolkit.errors import ModelError, UsageError, nearest
from toolkit.gpu.backend import Backend, select, short
from toolkit.gpu.memory import keep_freed
from toolkit.pipeline.image_engine import ImageEngine
from toolkit.steps.turns import turns

if TYPE_CHECKING:
    from toolkit.registry.package import ModelPackage

Kind = Literal["torch", "onnxruntime", "package", "image"]
ASKED = ("auto", "torch", "onnxruntime")


@dataclass(frozen=True)
class Engine:
    """What runs a network, as it is recorded. `package`: what a foreign model brings, as its package says;
    `image`: there is no network, its head is the image itself."""

    kind: Kind
    precision: Literal["float32", "bfloat16"] = "float32"

    def plain(self) -> dict[str, str]:
        """As plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return self.kind if self.precision == "float32" else f"{self.kind}, {self.precision}"


def placed(device: str, engine: str, used: bool = True) -> Backend:
    """Where an engine runs: `select(device)`, but that nobody looks for a GPU, with torch, where none is `used`."""
    return Backend() if device == "auto" and (engine == "onnxruntime" or not used) else select(device)


def choose(asked: str, model: ModelPackage, backend: Backend) -> Engine:
    """The engine that `asked` (`auto`, `torch` or `onnxruntime`) means for a model on a device.

    `auto`: what a foreign package says; else torch, or onnxruntime where torch is not installed. Torch computes in
    bfloat16 where the recipe says that it costs nothing (`tiling.precision`) and the processor has instructions for it.
    Raises `UsageError` for an engine that is not installed or cannot take the model: only `auto` looks for another.
    """
    if asked not in ASKED:
        raise UsageError("no such engine", f"--engine {asked}", nearest(asked, ASKED))
    if model.recipe.network.untrained:
        if asked != "auto":
            raise UsageError("this method has no network to run", f"--engine {asked}", "leave --engine out")
        return Engine("image")
    if model.recipe.network.fixed:
        if asked != "auto":
            raise UsageError("what runs a foreign model is for its package to say", f"--engine {asked}",
                             "leave --engine out")  # fmt: skip
        return Engine("package")
    if asked == "auto":
        asked = "onnxruntime" if find_spec("torch") is None and graph_refused(model, backend) is None else "torch"
    if asked == "onnxruntime":
        if why := graph_refused(model, backend):
            raise UsageError(f"onnxruntime cannot run this: {why}", f"{model.name}, --engine onnxruntime",
                             "leave --engine out")  # fmt: skip
        return Engine("onnxruntime")
    half = model.recipe.tiling.precision == "bfloat16" and short(backend)
    return Engine("torch", "bfloat16" if half else "float32")


def graph_refused(model: ModelPackage, backend: Backend) -> str | None:
    """Why onnxruntime cannot run a model, or None if it can."""
    if model.graph is None:
        return "the model has no graph; a package that seg export makes has one, if its network exports"
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return "onnxruntime or onnx is not installed"
    if backend.on_gpu:
        return f"here it runs on CPUs only, not on {backend.device}"
    if model.recipe.tiling.augment != "none":
        return f"it does not turn windows as tiling.augment={model.recipe.tiling.augment} wants"
    return None


def built(engine: Engine, model: ModelPackage, backend: Backend) -> Any:
    """The engine, ready: `(voxels (B, C, *window)) -> [{head: lazy, …}, …]`. Raises `ModelError` if the model is
    damaged."""
    recipe = model.recipe
    if engine.kind == "image":
        return ImageEngine(backend)
    keep_freed()
    if engine.kind == "onnxruntime":
        from toolkit.pipeline.graphs import GraphEngine

        if model.graph is None:
            raise ModelError("the model has no graph any more", model.reference, "start again")
        return GraphEngine(model.graph(), model.heads)
    from toolkit.pipeline.modules import TorchEngine, lean

    module = model.build()
    every = turns(recipe.tiling.window, model.heads)
    chosen = every[:1] if recipe.tiling.augment == "none" else every
    return TorchEngine(
        module if engine.kind == "package" else lean(module), backend, model.heads, chosen, recipe.network,
        after=recipe.tiling.augment == "turns_after", half=engine.precision == "bfloat16",
    )  # fmt: skip
