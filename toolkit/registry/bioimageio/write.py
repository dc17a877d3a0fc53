# ruff: noqa: TID253
# Torch and bioimageio at module level: only an export imports this file.
"""A model as a bioimage.io package of format 0.5: weights, heads as outputs, test data, and our recipe."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bioimageio.spec import save_bioimageio_package
from bioimageio.spec.model import v0_5 as rdf

from toolkit.registry.bioimageio import standalone
from toolkit.registry.bioimageio.architecture import Listed
from toolkit.registry.bioimageio.beside import About, Test, beside
from toolkit.registry.bioimageio.example import window as example_window
from toolkit.registry.bioimageio.to_onnx import to_onnx
from toolkit.registry.package import ModelPackage, file_digest
from toolkit.steps.normalise import Normalise
from toolkit.values.prediction import Head

EPS = 1e-12
"""Added to what intensities are divided by; the format wants a number above 0, and this one changes nothing."""
ROOM = 64
"""Smallest size along an axis that the description promises to take, if the window is not smaller."""


def write(model: ModelPackage, about: About, test: Test, plugins: dict[str, str], folder: Path, out: Path) -> None:
    """Write the package to `out`; `folder` is a scratch folder for its files and has its cover.

    Raises pydantic's `ValidationError` if `about` is not what the format allows.
    """
    network = Listed(model.build(), model.heads)
    ready = torch.from_numpy(test.scale(test.example.voxels))[None]
    with torch.inference_mode():
        raw = network(ready)
    stride = model.recipe.network.stride(model.recipe.ndim)
    beyond = [n for step in reversed(stride) for n in (0, step)]
    larger = torch.nn.functional.pad(ready, beyond, mode="reflect")
    sizes = _sizes(model, network, larger)
    other = larger if isinstance(sizes[0], rdf.ParameterizedSize) else ready
    opset = to_onnx(network, ready, other, stride, folder / "weights.onnx")
    torch.save(narrowest(network.network.state_dict()), folder / "weights.pt")
    np.save(folder / "test_input.npy", test.example.voxels[None].astype(np.float32))
    for head, maps in zip(model.heads, raw, strict=True):
        np.save(folder / f"test_output_{head.name}.npy", _activated(maps, head).numpy())
    np.save(folder / "test_instances.npy", test.instances.layers())
    for name, values in test.instances.attributes.items():
        np.save(folder / f"test_instances_{name}.npy", values)
    extra = beside(model, about, test, plugins, folder)
    description = rdf.ModelDescr(
        name=about.name,
        description=about.description,
        authors=[rdf.Author(name=name) for name in about.authors],
        cite=[rdf.CiteEntry(text=doi, doi=rdf.Doi(doi)) for doi in about.cite],
        license=rdf.LicenseId(about.licence),
        version=rdf.Version(about.version),
        tags=[*about.tags, "instance-segmentation", "2d" if model.recipe.ndim == 2 else "3d"],
        documentation=_file(folder / "README.md"),
        covers=[_file(folder / "cover.png")],
        attachments=[_file(path) for path in sorted(folder.glob("test_instances*.npy"))],
        inputs=[_input(model, test, sizes, folder)],
        outputs=[_output(head, model, folder) for head in model.heads],
        weights=_weights(model, len(test.example.voxels), folder, opset),
        config=rdf.Config(toolkit=extra),
    )
    # Weights hardly get smaller, and whoever opens the package would have to inflate them each time.
    save_bioimageio_package(description, output_path=out, compression=zipfile.ZIP_STORED)


def narrowest(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, in 16 bits where that changes none of them: loading puts them into a network of 32."""
    exact = all(torch.equal(t.half().to(t.dtype), t) for t in state.values() if t.is_floating_point())
    return {n: t.half() if exact and t.is_floating_point() else t for n, t in state.items()}


def _source(path: Path) -> dict[str, Any]:
    return {"source": path, "sha256": rdf.Sha256(file_digest(path))}


def _file(path: Path) -> rdf.FileDescr:
    return rdf.FileDescr(**_source(path))


def _sizes(model: ModelPackage, network: Listed, larger: torch.Tensor) -> list[Any]:
    """Sizes along each axis: what the stride allows if the network proves to take it, else just the window.

    `larger` is an input of one stride more than the window.
    """
    recipe = model.recipe
    window, stride = example_window(recipe), recipe.network.stride(recipe.ndim)
    halo = [o // 2 for o in recipe.tiling.overlaps]
    least = [min(w, -(-max(ROOM, 2 * h + 1) // s) * s) for w, s, h in zip(window, stride, halo, strict=True)]
    for shape in (least, list(larger.shape[2:])):
        part = larger[(slice(None), slice(None), *(slice(0, n) for n in shape))].contiguous()
        try:
            with torch.inference_mode():
                fits = all(list(maps.shape[2:]) == shape for maps in network(part))
        except RuntimeError:
            fits = False
        if not fits:
            return list(window)
    return [rdf.ParameterizedSize(min=n, step=s) for n, s in zip(least, stride, strict=True)]


def _activated(maps: torch.Tensor, head: Head) -> torch.Tensor:
    match head.activation:
        case "sigmoid":
            return torch.sigmoid(maps)
        case "softmax":
            return torch.softmax(maps, 1)
        case "tanh" | "none":  # `Listed` has applied the former
            return maps


def _space(model: ModelPackage) -> list[tuple[str, float | None]]:
    """Spatial axes and their voxel size in micrometres."""
    sizes: Sequence[float | None] = model.recipe.input.spacing_um or (None,) * model.recipe.ndim
    return list(zip("zyx"[-model.recipe.ndim :], sizes, strict=True))


def _unit(size: float | None) -> dict[str, Any]:
    return {} if size is None else {"unit": "micrometer", "scale": size}


def _input(model: ModelPackage, test: Test, sizes: list[Any], folder: Path) -> rdf.InputTensorDescr:
    names = [rdf.Identifier(f"channel{i}") for i in range(len(test.example.voxels))]
    axes = [
        rdf.SpaceInputAxis(id=rdf.AxisId(axis), size=size, **_unit(um))
        for (axis, um), size in zip(_space(model), sizes, strict=True)
    ]
    return rdf.InputTensorDescr(
        id=rdf.TensorId("input"),
        description="the image, channels as the recipe chooses them",
        axes=[rdf.BatchAxis(), rdf.ChannelAxis(channel_names=names), *axes],
        data=rdf.IntervalOrRatioDataDescr(type="float32"),
        preprocessing=_preprocessing(model.recipe.normalise, test, [axis for axis, _ in _space(model)]),
        test_tensor=_file(folder / "test_input.npy"),
    )


def _preprocessing(how: Normalise, test: Test, space: list[str]) -> list[Any]:
    axes = [rdf.AxisId(axis) for axis in space]
    match how.kind:
        case "percentile":
            kwargs = rdf.ScaleRangeKwargs(axes=axes, min_percentile=how.low, max_percentile=how.high, eps=EPS)
            clip = [] if how.clip is None else [rdf.ClipDescr(kwargs=rdf.ClipKwargs(min=-how.clip, max=how.clip))]
            return [rdf.ScaleRangeDescr(kwargs=kwargs), *clip]
        case "mean_std":
            return [rdf.ZeroMeanUnitVarianceDescr(kwargs=rdf.ZeroMeanUnitVarianceKwargs(axes=axes, eps=EPS))]
        case "range":
            gain = float(test.scale.factor[0])
            return [] if gain == 1 else [rdf.ScaleLinearDescr(kwargs=rdf.ScaleLinearKwargs(gain=gain))]
        case "none":
            return []


def _output(head: Head, model: ModelPackage, folder: Path) -> rdf.OutputTensorDescr:
    names = [rdf.Identifier(f"{identifier(head.name)}{i}") for i in range(head.channels)]
    axes: list[Any] = []
    for (axis, um), overlap in zip(_space(model), model.recipe.tiling.overlaps, strict=True):
        size = rdf.SizeReference(tensor_id=rdf.TensorId("input"), axis_id=rdf.AxisId(axis))
        halo = {"halo": overlap // 2} if overlap > 1 else {}
        kind = rdf.SpaceOutputAxisWithHalo if halo else rdf.SpaceOutputAxis
        axes.append(kind(id=rdf.AxisId(axis), size=size, **_unit(um), **halo))
    after: dict[str, list[Any]] = {"sigmoid": [rdf.SigmoidDescr()], "softmax": [rdf.SoftmaxDescr()]}
    return rdf.OutputTensorDescr(
        id=rdf.TensorId(identifier(head.name)),
        description=f"head {head.name}, {head.transform}",
        axes=[rdf.BatchAxis(), rdf.ChannelAxis(channel_names=names), *axes],
        postprocessing=after.get(head.activation, []),
        test_tensor=_file(folder / f"test_output_{head.name}.npy"),
    )


def identifier(name: str) -> str:
    """A head's name as the format wants names."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())[:32]


def _weights(model: ModelPackage, channels: int, folder: Path, opset: int | None) -> rdf.WeightsDescr:
    from torch import __version__ as torch_version

    state = rdf.PytorchStateDictWeightsDescr(
        **_source(folder / "weights.pt"),
        pytorch_version=rdf.Version(torch_version.partition("+")[0]),
        architecture=_architecture(model, channels, folder),
        dependencies=_file(folder / "environment.yaml"),
    )
    graph = None
    if opset is not None:
        graph = rdf.OnnxWeightsDescr(
            **_source(folder / "weights.onnx"), opset_version=opset, parent="pytorch_state_dict"
        )
    return rdf.WeightsDescr(pytorch_state_dict=state, onnx=graph)


def _architecture(model: ModelPackage, channels: int, folder: Path) -> Any:
    """A file that runs without this toolkit, where the network has one; else the toolkit's own function."""
    alone = model.recipe.network.alone(channels, model.heads, model.recipe.ndim)
    text = standalone.source(alone) if alone else None
    if alone is None or text is None:
        return rdf.ArchitectureFromLibraryDescr(
            import_from="toolkit.registry.bioimageio.architecture",
            callable=rdf.Identifier("network"),
            kwargs={"recipe": model.recipe.plain(), "owner": model.owner},
        )
    path = folder / "network.py"
    path.write_text(text, encoding="utf8")
    kwargs = standalone.arguments(alone, model.heads)
    return rdf.ArchitectureFromFileDescr(**_source(path), callable=rdf.Identifier(standalone.CALLABLE), kwargs=kwargs)
