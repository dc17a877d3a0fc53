"""BiaPy: instances by its default U-Net, windows of 256² with padding, and its watershed, through `BiaPy.predict`."""

import sys
import tempfile

import numpy as np
from stages import main

CHANNELS = ["F", "C"]


def declared() -> object | None:
    """Torchvision, which BiaPy imports, and its operators, which nothing here calls.

    A torchvision that is built for CUDA cannot load them beside a torch for CPUs, and is not imported without them.
    """
    import torch

    if torch.version.cuda:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def build() -> object:
    import torch
    from biapy import BiaPy, build_config

    with tempfile.TemporaryDirectory() as folder:
        # It predicts with nothing but a checkpoint: this one says that all weights stay as they were drawn.
        checkpoint = f"{folder}/random.pth"
        torch.save({"cfg": {}, "model": {}}, checkpoint)
        said = {
            "DATA": {"TEST": {"PADDING": (32, 32)}},
            "MODEL": {"LOAD_CHECKPOINT": True, "SKIP_UNMATCHED_LAYERS": True},
            "PATHS": {"CHECKPOINT_FILE": checkpoint},
            "PROBLEM": {"INSTANCE_SEG": {"DATA_CHANNELS": CHANNELS}},
        }
        model = BiaPy(build_config("INSTANCE_SEG", "2D", phase="test", patch_size=(256, 256, 1), extra_config=said))
        model.workflow.prepare_model()
    model.make = model.workflow._create_instance_labels
    model.workflow._create_instance_labels = lambda pred, **_: np.zeros(pred.shape[:3], np.uint32)
    return model


def predict(model: object, image: np.ndarray) -> None:
    model.predict(image)


def perfect(labels: np.ndarray) -> dict[str, np.ndarray]:
    from biapy.data.pre_processing import labels_into_channels

    return {"channels": labels_into_channels(labels[..., None], CHANNELS).astype("float32")}


def objects(model: object, maps: dict[str, np.ndarray]) -> np.ndarray:
    return model.make(maps["channels"][None])[0]


kept = declared()
if "--help" in sys.argv:
    from biapy import main as command

    command()
main(build, predict, perfect, objects)
