"""Good packages bent a little."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from tests import packages

Case = tuple[bytes, int]
"""A zip, and the exit code that is right for it."""
NOT_TRUSTED, BAD = 3, 4


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files, the same bytes whenever it is made."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def edited(kind: str, change: Callable[[dict[str, Any]], Any], **files: bytes) -> bytes:
    """A good package with an edited description and other bytes in some files, whose sha256 is made right again."""
    made = {**packages.good(kind), **{name.replace("__", "."): data for name, data in files.items()}}

    def all_changes(plain: dict[str, Any]) -> None:
        for entry in plain["weights"].values():
            for part in (entry, entry.get("architecture", {})):
                if part.get("source") in made:
                    part["sha256"] = packages.sha256(made[part["source"]])
        for tensor in (*plain["inputs"], *plain["outputs"]):
            tensor["test_tensor"]["sha256"] = packages.sha256(made[tensor["test_tensor"]["source"]])
        change(plain)

    return zipped(packages.altered(made, all_changes))


def nothing(plain: dict[str, Any]) -> None:
    """Leave the description as it is."""


def state_dict_of(plain: dict[str, Any]) -> dict[str, Any]:
    return plain["weights"]["pytorch_state_dict"]


def unet_kwargs() -> dict[str, Any]:
    return {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "channels": [4, 8], "strides": [2]}


def unet() -> Any:
    import torch
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return UNet(**unet_kwargs()).eval()
