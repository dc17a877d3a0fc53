"""A network that somebody else describes, and weights that somebody else gives: built only if the two belong together.

The description may ask for any width and depth. What it may cost is known from the weights, which are bytes that came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from toolkit.errors import ModelError, ToolkitError
from toolkit.registry.gate import refusing

if TYPE_CHECKING:
    import torch

UNFIT = "the weights do not fit the network"
DO = "ask the model's author"
MODULES, TENSORS, NUMBERS = (64, 4096), (4, 256), (4, 2**22)
"""What building may make for each tensor, or number, of the weights, and beside that; some is thrown away again."""


def fitted(
    build: Callable[[], torch.nn.Module], state: Mapping[str, torch.Tensor], where: object, strict: bool = True
) -> torch.nn.Module:
    """What `build` makes, with these weights.

    First without memory, on the meta device, where names and shapes are compared; never more than the weights warrant.
    Raises `ModelError` if they do not fit; missing and left-over tensors are allowed unless `strict`.
    """
    import torch

    with _budget(state, where), refusing("the network cannot be built", where, DO):
        with torch.device("meta"):
            described = _or_none(build)
        if described is not None:
            _compare(described.state_dict(), state, where, strict)
        module = build()
    try:
        module.load_state_dict(dict(state), strict=strict)
    except RuntimeError as error:
        raise ModelError(UNFIT, f"{where} ({' '.join(str(error).split())[:200]})", DO) from error
    return module


def _or_none(build: Callable[[], torch.nn.Module]) -> torch.nn.Module | None:
    """The network without memory, unless building it needs numbers: then it is built for good, and compared later."""
    try:
        return build()
    except ToolkitError:
        raise
    # Constructors of plugins and of reviewed files may do anything with numbers that are not there.
    except Exception:
        return None


def _compare(
    described: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], where: object, strict: bool
) -> None:
    lacking, left = sorted(described.keys() - state.keys()), sorted(state.keys() - described.keys())
    differ = sorted(n for n in described.keys() & state.keys() if described[n].shape != state[n].shape)
    if differ:
        wrong = f"{differ[0]}: {list(state[differ[0]].shape)}, not {list(described[differ[0]].shape)}"
    elif strict and (lacking or left):
        wrong = f"{len(lacking)} tensors lack, {len(left)} are left over, such as {(lacking or left)[0]}"
    else:
        return
    raise ModelError(UNFIT, f"{where} ({wrong[:200]})", DO)


@contextmanager
def _budget(state: Mapping[str, torch.Tensor], where: object) -> Iterator[None]:
    """Stop a constructor that makes more modules, tensors or numbers than the weights warrant."""
    from torch.nn.modules import module as hooks

    numbers = sum(tensor.numel() for tensor in state.values())
    left = [a * of + b for (a, b), of in ((MODULES, len(state)), (TENSORS, len(state)), (NUMBERS, numbers))]

    def spend(of: int, count: int) -> None:
        left[of] -= count
        if left[of] < 0:
            raise ModelError("the network that is described is far larger than its weights", where, DO)

    def module(*_: Any) -> None:
        spend(0, 1)

    def tensor(_: Any, name: str, made: torch.Tensor | None) -> None:
        spend(1, 1)
        spend(2, made.numel() if made is not None else 0)

    handles = [
        hooks.register_module_module_registration_hook(module),
        hooks.register_module_parameter_registration_hook(tensor),
        hooks.register_module_buffer_registration_hook(tensor),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
