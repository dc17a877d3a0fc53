"""Where something needs a GPU and there is none, one sentence says so."""

from __future__ import annotations

from importlib import invalidate_caches
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.battery.installed import install
from toolkit.builtin.postprocessors.threshold import Threshold
from toolkit.cli import main
from toolkit.errors import PluginError, UsageError
from toolkit.gpu import absent
from toolkit.gpu.backend import Backend
from toolkit.plugins import seams

RAISED = [
    RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"),
    AssertionError("Torch not compiled with CUDA enabled"),
    RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected"),
    ModuleNotFoundError("No module named 'cupyx'", name="cupyx.scipy"),
]
NEEDY = """
from pathlib import Path
from typing import ClassVar, Literal

from toolkit.api import Instances, PostProcessor, hookimpl

SEG_API = 2


class Needy(PostProcessor):
    kind: Literal["needy"] = "needy"
    needs_gpu: ClassVar[bool] = True

    def assemble(self, prediction, backend):
        return Instances.empty(prediction.box.shape)


@hookimpl
def seg_postprocessors():
    return [Needy]


@hookimpl
def seg_recipes():
    return [Path(__file__).parent / "needy.yaml"]
"""
RECIPE = "schema: toolkit.recipe/1\nname: needy\nnetwork: {kind: image}\npostprocess: {kind: needy}\n"


class OnGpu(Threshold):
    """Works on a GPU alone."""

    needs_gpu = True


@pytest.fixture
def needy(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(site, "needy", "needy_plugin", NEEDY)
    (site / "needy.yaml").write_text(RECIPE)
    tifffile.imwrite(site / "x.tif", np.arange(32 * 32, dtype=np.uint16).reshape(32, 32))
    monkeypatch.chdir(site)
    invalidate_caches()
    return site


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_what_torch_and_cupy_say_is_understood(error: Exception) -> None:
    said = "it needs a GPU that torch and CuPy see; seg doctor"
    with pytest.raises(PluginError, match=said), seams.calling(Threshold(), "assemble"):
        raise error
    assert absent.cure(RuntimeError("something else")) is None


def test_what_works_on_a_gpu_alone_is_refused_elsewhere() -> None:
    absent.served([Threshold()], Backend())
    absent.served([Threshold(), OnGpu()], Backend("cuda:0"))
    with pytest.raises(UsageError, match="threshold does not work on this device: cpu; it needs a GPU"):
        absent.served([Threshold(), OnGpu()], Backend())


def test_a_run_on_a_cpu_is_refused_before_anything_is_written(needy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "x.tif", "--plugin", "needy", "--device", "cpu"]) == 2
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert said.startswith("error: needy does not work on this device: cpu; it needs a GPU")
    assert not (needy / "x.seg").exists()


@pytest.mark.slow
def test_a_check_says_that_it_tests_on_a_cpu(needy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "check", "needy"]) == 9
    said = capsys.readouterr()
    assert "skip   recipe needy: it can be tested: it works on a GPU alone" in " ".join(said.out.split("\n"))
    assert "nothing of this plugin could be tested" in said.err
