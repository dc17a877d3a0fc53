"""Fixtures of tests that install plugins."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.battery.forkserver import ForkServer

HEAVY = (
    *("onnx", "onnxruntime", "safetensors.torch", "tifffile", "zarr", "toolkit.check", "matplotlib.pyplot"),
    *(f"toolkit.cli.{verb}" for verb in ("run", "train", "tune", "export", "evaluate", "models.add", "correct")),
    *("toolkit.cli.view", "toolkit.view.embedded", "toolkit.registry.bioimageio.write", "torch._dynamo", "onnxscript"),
    *("torch.export", "torch.onnx._internal.exporter._core", "networkx", "onnx.reference", "optuna", "numba"),
    *("toolkit.builtin.networks.unet_module", "toolkit.training.training", "toolkit.io.zarrlabels"),
    *("onnxscript.function_libs.torch_lib.ops", "sympy.combinatorics", "sympy.tensor.tensor", "mwatershed"),
    *("torch._functorch.aot_autograd", "torch._export.passes", "toolkit.registry.export", "toolkit.registry.verify"),
    *("toolkit.io.overlay", "edt", "imagecodecs._png", "numba.np.arraymath", "numba.cpython.unicode"),
    *("toolkit_ppp.assembly", "toolkit_embedseg.blocks"),
)
"""What commands import."""


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """Runs commands without the price of their imports."""
    made = ForkServer(*HEAVY)
    yield made
    made.close()


@pytest.fixture(scope="session")
def servers(server: ForkServer) -> Iterator[list[ForkServer]]:
    """Two of them, for what happens at once."""
    other = ForkServer(*HEAVY)
    yield [server, other]
    other.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed plugins; what was imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
