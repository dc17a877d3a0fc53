"""The network of a package as one file that runs without this toolkit."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from toolkit.plugins import GROUP
from toolkit.plugins.alone import Alone
from toolkit.values.prediction import Head

CALLABLE = "network"
FREE = ("BSD-3-Clause", "BSD-2-Clause", "MIT", "Apache-2.0", "ISC", "CC0-1.0", "Unlicense", "0BSD")
"""Licences of a distribution whose sources may travel in a package of another licence."""
IMPORT = re.compile(r"^from (__future__|toolkit[\w.]*|{names})\b[\w.]* import (\([^)]*\)|.*)\n", re.MULTILINE)
END = '''

class Listed(nn.Module):
    """`(B, channels, *S)` to a list of heads `(B, head.channels, *S)`; `tanh` is applied, other activations are not."""

    def __init__(self, network: nn.Module, heads: Sequence[Head]) -> None:
        super().__init__()
        self.network, self.heads = network, tuple(heads)

    def forward(self, image: Tensor) -> list[Tensor]:
        raw = self.network(image)
        return [torch.tanh(raw[head.name]) if head.activation == "tanh" else raw[head.name] for head in self.heads]

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        return self.network.load_state_dict(state_dict, strict, assign)


def network(heads: Sequence[Any], **arguments: Any) -> Listed:
    """The network in evaluation mode, with fresh weights; `heads` are (name, channels, activation)."""
    made = [Head(*head) for head in heads]
    return Listed({name}(heads=made, **arguments), made).eval()
'''
BEGIN = '''"""The network of this package; it needs torch{also} alone.

{terms}
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Head = namedtuple("Head", ("name", "channels", "activation", "initial"), defaults=(None,))
'''


def source(alone: Alone) -> str | None:
    """The file; None where the licence of one of the modules does not say that it may travel."""
    tops = sorted({module.partition(".")[0] for module in alone.modules})
    terms = [_terms(top) for top in tops]
    if None in terms:
        return None
    own = re.compile(IMPORT.pattern.replace("{names}", "|".join(map(re.escape, tops))), re.MULTILINE)
    also = "".join(f" and {name}" for name in alone.requires)
    begin = BEGIN.format(also=also, terms="\n".join(filter(None, terms)))
    return (
        begin + "\n\n".join(own.sub("", _text(module)) for module in alone.modules) + END.replace("{name}", alone.name)
    )


def arguments(alone: Alone, heads: Sequence[Head]) -> dict[str, Any]:
    """What the file's `network` is called with: plain data."""
    return {"heads": [[head.name, head.channels, head.activation] for head in heads], **alone.arguments}


def _text(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, f"{module} is a file"
    return Path(spec.origin).read_text(encoding="utf8")


def _terms(top: str) -> str | None:
    """Whose sources these are and under which licence; None where it is no free one, or not known."""
    for entry in entry_points(group=GROUP):
        if entry.module.partition(".")[0] == top and entry.dist is not None:
            about = entry.dist.metadata
            licence = about["License-Expression"] or about["License"]
            return f"From {about['Name']} {about['Version']}, {licence}." if licence in FREE else None
    return None
