"""The process that runs code which a user trusts. Started as a file, it confines itself before it reads anything else.

It says how far that went, gets code and weights, builds the network, and answers arrays with arrays.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

MOST_BYTES = 2**33


def main() -> None:
    """`argv[1]` is JSON: `path` to import from, what is `readable`, a `scratch` folder, the number of the `parent`."""
    wanted = json.loads(sys.argv[1])
    sys.path[:0] = wanted["path"][:1]
    from toolkit.registry.gate.channel import send
    from toolkit.registry.gate.confine import confine

    walls = confine(wanted["readable"], wanted["scratch"], wanted["parent"])
    sys.path[1:1] = wanted["path"][1:]
    # The model's code may print: keep the channel to itself, give the code an end that nobody reads.
    channel, requests = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    os.close(0)
    # Said before there is any code that could say it instead.
    send(channel, {"landlock": walls.files, "seccomp": walls.calls, "one_thread": walls.alone})
    try:
        _serve(channel, requests)
    except EOFError:
        return
    # The code is foreign: whatever it raises is said to the parent, in one line.
    except (Exception, SystemExit) as error:
        send(channel, {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]})


def _serve(channel: BinaryIO, requests: BinaryIO) -> None:
    from toolkit.registry.gate.channel import receive, send

    task, blobs = receive(requests, MOST_BYTES)
    import torch

    torch.set_num_threads(1)
    network = _build(task, blobs).eval()
    send(channel, {"ready": True})
    while True:
        _answer(network, channel, requests)


def _build(task: dict[str, Any], blobs: list[bytes]) -> Any:
    from toolkit.registry.gate import code, tensors

    if task["kind"] == "torchscript":
        return code.torchscript(blobs[0])
    source, weights = blobs
    network = getattr(code.execute(source, task["name"]), task["callable"])(**task["kwargs"])
    network.load_state_dict(tensors.state_dict(weights, task["name"]), strict=task["strict"])
    return network


def _answer(network: Any, channel: BinaryIO, requests: BinaryIO) -> None:
    import torch

    from toolkit.registry.gate.channel import pack, receive, send, unpack

    request, blobs = receive(requests, MOST_BYTES)
    device = request["device"] if torch.cuda.is_available() else "cpu"
    arrays = [torch.from_numpy(a).to(device) for a in unpack(request["arrays"], blobs)]
    with torch.inference_mode():
        made = network.to(device)(*arrays)
    about, outputs = pack([o.float().cpu().numpy() for o in (made if isinstance(made, (tuple, list)) else [made])])
    send(channel, {"arrays": about, "device": device}, outputs)


if __name__ == "__main__":
    main()
