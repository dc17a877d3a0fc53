"""Packages that want to execute something: name → zip and the exit code that is right."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

from tests import packages
from tests.battery.bent import BAD, NOT_TRUSTED, Case, edited, nothing, state_dict_of, unet_kwargs, zipped


def code(marker: str) -> dict[str, Case]:
    run = f"open({marker!r}, 'w').close()\n".encode()
    source = packages.NET.encode()

    def library(module: str, name: str, **kwargs: Any) -> Callable[[dict[str, Any]], None]:
        def change(plain: dict[str, Any]) -> None:
            state_dict_of(plain)["architecture"] = {"import_from": module, "callable": name, "kwargs": kwargs}

        return change

    def imported(module: str, name: str, **kwargs: Any) -> Case:
        return edited("pytorch_state_dict", library(module, name, **kwargs), net__py=run), BAD

    post = {"id": "custom", "callable": "Net", "source": "net.py", "kwargs": {}}
    return {
        "network file that nobody reviewed": (edited("pytorch_state_dict", nothing, net__py=run + source), NOT_TRUSTED),
        "import of os.system": imported("os", "system", command=f"touch {marker}"),
        "import of a module beside the package": imported("net", "Net"),
        "import of builtins.exec": imported("builtins", "exec", source=run.decode()),
        "custom operation": (edited("onnx", lambda p: p["outputs"][0].update(postprocessing=[post]), net__py=run), BAD),
        "network file edited after it was described": (
            zipped({**packages.good("pytorch_state_dict"), "net.py": run + source}), NOT_TRUSTED),
    }  # fmt: skip


class _Run:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (self.command,)


def pickles(marker: str) -> dict[str, Case]:
    import torch

    run = _Run(f"touch {marker}")
    state = packages.state_dict()
    old = io.BytesIO()
    torch.save({**state, "x": run}, old, _use_new_zipfile_serialization=False)
    hidden = pickle.dumps({**dict.fromkeys(state, 0), "x": run}, protocol=4)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(state, protocol=2))
        archive.writestr("archive/other.pkl", pickle.dumps(run, protocol=2))
    made = {
        "pickle that calls os.system": packages.pt({**state, "x": run}),
        "old torch file that calls os.system": old.getvalue(),
        "bare pickle": pickle.dumps(state),
        "bare pickle that calls os.system": hidden,
        "whole module": packages.pt(torch.nn.Conv2d(1, 1, 1)),
        "opcodes by hand": b"cos\nsystem\n(S'touch " + marker.encode() + b"'\ntR.",
        "zip with a second pickle": twice.getvalue(),
        "sparse tensor that lies about itself": packages.pt(
            {"conv.weight": torch.zeros(1, 1, 1, 1).to_sparse(), "conv.bias": state["conv.bias"]}
        ),
    }
    monai = {"import_from": "monai.networks.nets", "callable": "UNet", "kwargs": unet_kwargs()}

    def known(plain: dict[str, Any]) -> None:
        state_dict_of(plain)["architecture"] = monai

    return {name: (edited("pytorch_state_dict", known, net__pt=data), BAD) for name, data in made.items()}


def torchscript(marker: str) -> dict[str, Case]:
    import torch

    class Writes(torch.nn.Module):
        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, self.path)
            return x

    class WritesAtLoad(torch.nn.Module):
        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

        @torch.jit.export
        def __getstate__(self) -> tuple[str, bool]:
            return self.path, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[str, bool]) -> None:
            self.path = state[0]
            self.training = state[1]
            torch.save(torch.zeros(1), self.path)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    class Loops(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while bool(x.sum() < 1e30):
                x = x * 1.0
            return x

    def script(module: torch.nn.Module) -> bytes:
        stream = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(torch.jit.script(module), stream)
        return stream.getvalue()

    writes, loads, loops = script(Writes(marker)), script(WritesAtLoad(marker)), script(Loops())
    monai = {"import_from": "monai.networks.nets", "callable": "UNet", "kwargs": unet_kwargs()}

    def pt2(plain: dict[str, Any]) -> None:
        plain["weights"]["torchscript"]["source"] = "net.pt2"

    def known(plain: dict[str, Any]) -> None:
        state_dict_of(plain)["architecture"] = monai

    return {
        "TorchScript that writes a file": (edited("torchscript", nothing, net__ts=writes), NOT_TRUSTED),
        "TorchScript that writes a file when it is loaded": (
            edited("torchscript", nothing, net__ts=loads),
            NOT_TRUSTED,
        ),
        "TorchScript that never ends": (edited("torchscript", nothing, net__ts=loops), NOT_TRUSTED),
        "pt2": (edited("torchscript", pt2, net__pt2=loads), BAD),
        "TorchScript that claims to be a state dict": (edited("pytorch_state_dict", known, net__pt=loads), BAD),
        "TorchScript that claims to be ONNX": (edited("onnx", nothing, net__onnx=writes), BAD),
    }
