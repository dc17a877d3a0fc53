"""The child process that runs code which a user trusts: it locks itself in before it reads any of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from toolkit.registry.gate import code, sandbox, tensors


def main() -> None:
    """Build the network that the first request describes, then answer arrays with arrays until the parent is gone."""
    # The model's code may print: keep the channel to itself, give the code an end that nobody reads.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    import torch

    torch.set_num_threads(1)
    task, blobs = code.receive(requests)
    sandboxed = sandbox.restrict(Path(sys.argv[1]))
    try:
        network = _build(task, blobs).eval()
        code.send(channel, {"sandboxed": sandboxed}, [])
        while True:
            _answer(network, channel, requests)
    except EOFError:
        return
    # The code is foreign: whatever it raises is said to the parent, in one line.
    except (Exception, SystemExit) as error:
        code.send(channel, {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}, [])


def _build(task: dict[str, Any], blobs: list[bytes]) -> Any:
    if task["kind"] == "torchscript":
        return code.torchscript(blobs[0])
    source, weights = blobs
    network = getattr(code.execute(source, task["name"]), task["callable"])(**task["kwargs"])
    network.load_state_dict(tensors.state_dict(weights, task["name"]), strict=task["strict"])
    return network


def _answer(network: Any, channel: BinaryIO, requests: BinaryIO) -> None:
    import numpy as np
    import torch

    request, blobs = code.receive(requests)
    arrays = [
        np.frombuffer(blob, about["dtype"]).reshape(about["shape"]).copy()
        for about, blob in zip(request["arrays"], blobs, strict=True)
    ]
    device = request["device"]
    with torch.inference_mode():
        made = network.to(device)(*(torch.from_numpy(a).to(device) for a in arrays))
    outputs = [o.float().cpu().numpy() for o in (made if isinstance(made, (tuple, list)) else [made])]
    outputs = [np.ascontiguousarray(o) for o in outputs]
    code.send(channel, {"arrays": [{"dtype": o.dtype.str, "shape": o.shape} for o in outputs]}, outputs)


if __name__ == "__main__":
    main()
