"""Cellpose 3: `CellposeModel` with its own CNN (`CPnet`, the network of `cyto3`) and no weights; no resizing."""

import numpy as np
from stages import main


def build() -> object:
    from cellpose.models import CellposeModel

    return CellposeModel(gpu=False, pretrained_model=False)


def predict(model: object, image: np.ndarray) -> None:
    model.eval(image, channels=[0, 0], compute_masks=False)


def perfect(labels: np.ndarray) -> dict[str, np.ndarray]:
    import torch
    from cellpose.dynamics import labels_to_flows

    flows = labels_to_flows([labels], device=torch.device("cpu"))[0]
    # as its training asks for them: flows five times as large, and logits
    return {"dP": 5 * flows[2:4], "cellprob": np.where(flows[1] > 0.5, 5.0, -5.0).astype("float32")}


def objects(model: object, maps: dict[str, np.ndarray]) -> np.ndarray:
    return model._compute_masks((1, *maps["cellprob"].shape), maps["dP"][:, None], maps["cellprob"][None], niter=200)


main(build, predict, perfect, objects)
