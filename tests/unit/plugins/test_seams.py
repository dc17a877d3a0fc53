"""What losses return is looked at where it enters the core, and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from toolkit.builtin.losses.bce_dice import BceDice
from toolkit.errors import PluginError
from toolkit.plugins import seams
from toolkit.testing.descent import descend
from toolkit.testing.scenes import blobs
from toolkit.values.prediction import Head

Given = Callable[[dict[str, torch.Tensor]], Any]


@pytest.mark.parametrize(("given", "wrong"), [
    (lambda heads: heads["foreground"].mean(), r"its module gives a Tensor: .*BceDice.build; give its terms by name"),
    (lambda heads: {"off": heads["foreground"]}, r"its term off has shape \(1, 1, 20, 24\): .*; give one number"),
    (lambda heads: {"off": heads["foreground"].detach().mean().item()}, r"its term off is a float: .*; leave out"),
])  # fmt: skip
def test_what_is_no_terms_is_told_with_the_name_of_the_loss(
    given: Given, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BceDice, "build", lambda loss: lambda heads, targets: given(heads))
    with pytest.raises(PluginError, match=wrong):
        descend([BceDice()], blobs((20, 24), 2, (4, 5)).truth, steps=1)


def test_a_head_without_the_comma_of_a_tuple_is_told() -> None:
    said = r"bce_dice: it gives a Head: .*BceDice.heads; give heads in a tuple: return \(Head\(…\),\)"
    with pytest.raises(PluginError, match=said):
        seams.heads(Head("foreground", 1), BceDice())
    assert seams.heads([Head("foreground", 1)], BceDice()) == [Head("foreground", 1)]
