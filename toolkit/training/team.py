"""The networks of a training: those that learn in a phase, and those that rest in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from toolkit.errors import PluginError
from toolkit.gpu.backend import Backend, short
from toolkit.pipeline.modules import lay, layout, quick
from toolkit.plugins import seams
from toolkit.plugins.phases import OWN, Member, Phase
from toolkit.plugins.recipe import Recipe
from toolkit.registry import package
from toolkit.training.step import mixed

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]


class Team:
    """What `toolkit.plugins.phases.Team` promises, with the last and the averaged weights of each network.

    A network that rests holds its averaged weights; its last ones lie in `last` until it learns again. `half`:
    networks compute in 16 bits, if they may; default: where that is faster.
    """

    def __init__(
        self,
        recipe: Recipe,
        backend: Backend,
        start: package.ModelPackage | None = None,
        half: bool | None = None,
    ) -> None:
        own = Member(recipe.network, recipe.heads)
        members = {OWN: own, **recipe.main.members(recipe.network, recipe.ndim)}
        self._members = members
        self.step = self.steps = 0
        self.learning: tuple[str, ...] = ()
        self._device = backend.device
        self.half = short(backend) if half is None else half
        crop = recipe.training.crop
        self._mixed = {name: self.half and mixed(m.network, crop, backend) for name, m in members.items()}
        self._modules: dict[str, torch.nn.Module] = {}
        for name, member in members.items():
            lent = start is not None and name == OWN
            module = start.build() if start and lent else package.network(recipe, member)
            self._modules[name] = module.to(self._device)
            lay(module)
            if not any(p.requires_grad for p in module.parameters()):
                kind = type(member.network)
                raise PluginError("this network has no weights to learn", f"{kind.__module__}.{kind.__name__}.build()",
                                  "choose a network that learns")  # fmt: skip
        self._trainable = {n: [p for p in m.parameters() if p.requires_grad] for n, m in self._modules.items()}
        self.average = {name: _copy(module.state_dict()) for name, module in self._modules.items()}
        self.last = {name: _copy(module.state_dict()) for name, module in self._modules.items()}
        self._recall: Callable[[str], tuple[State, ...]] = lambda _: ()
        self._kept: dict[str, tuple[State, ...]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def __call__(
        self, name: str, voxels: torch.Tensor, weights: Mapping[str, torch.Tensor] | None = None
    ) -> dict[str, torch.Tensor]:
        """Raw heads, float32, of a network; with `weights`, those instead of its own."""
        import torch

        module = self.module(name)
        voxels = voxels.contiguous(memory_format=layout(voxels.ndim - 2))
        half = torch.autocast(self._device.partition(":")[0], torch.bfloat16, enabled=self._mixed[name])
        with half, quick(voxels.ndim - 2):
            heads = module(voxels) if weights is None else torch.func.functional_call(module, dict(weights), (voxels,))
        if not isinstance(heads, Mapping):  # what is in it, a phase of its own may agree on with its network
            seams.raw(heads, self._members[name].heads, tuple(voxels.shape[2:]), self._members[name].network)
        return {head: value.float() for head, value in heads.items()}

    def module(self, name: str) -> torch.nn.Module:
        """The network itself."""
        if name not in self._modules:
            raise PluginError("no such network takes part in this training", name, f"there are {', '.join(self.names)}")
        return self._modules[name]

    def kept(self, name: str) -> tuple[State, ...]:
        """Weights of a network that earlier phases kept, the oldest first."""
        if name not in self._kept:
            self._kept[name] = self._recall(name)
        if not self._kept[name]:
            raise PluginError("no weights of this network were kept", name, "let an earlier phase keep some")
        return self._kept[name]

    def averaged(self, name: str) -> State:
        """The averaged weights of a network, which no gradient reaches; laid out in memory as its own are, also after a
        checkpoint, for the order of sums depends on it."""
        import torch

        own = self.module(name).state_dict()
        return {key: torch.empty_like(own[key]).copy_(value) for key, value in self.average[name].items()}

    def enter(self, phase: Phase, recall: Callable[[str], tuple[State, ...]]) -> list[torch.nn.Parameter]:
        """Let the networks of a phase learn and the others rest; returns the weights that learn."""
        self._recall, self._kept = recall, {}
        for name in self.learning:
            self.last[name] = _copy(self._modules[name].state_dict())
        for name, module in self._modules.items():
            learns = name in phase.learns
            module.load_state_dict(self.last.pop(name) if learns else self.average[name])
            module.train(learns)
            for weight in self._trainable[name]:
                weight.requires_grad_(learns)
        self.learning = phase.learns
        return [weight for name in phase.learns for weight in self._trainable[name]]

    def follow(self, decay: float) -> None:
        """Move the averages of what learns towards the weights; in the first steps of a phase they forget faster."""
        for name in self.learning:
            follow(self.average[name], self._modules[name], decay, self.step)

    def state(self) -> State:
        """Last and averaged weights of all networks, under names that `restore` knows."""
        found: State = {}
        for name, module in self._modules.items():
            last = module.state_dict() if name in self.learning else self.last[name]
            found |= {f"last.{name}.{k}": v for k, v in last.items()}
            found |= {f"average.{name}.{k}": v for k, v in self.average[name].items()}
        return found

    def restore(self, tensors: State) -> None:
        """Take up a state, between two phases: no network learns until the next `enter`."""
        self.learning = ()
        for kind, into in (("last", self.last), ("average", self.average)):
            for name in self._modules:
                mark = f"{kind}.{name}."
                own = {k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)}
                into[name] = {k: v.to(self._device) for k, v in own.items()}


def follow(average: State, module: torch.nn.Module, decay: float, step: int) -> None:
    """Move the average towards the weights; in the first steps it forgets faster."""
    import torch

    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)


def _copy(state: Mapping[str, torch.Tensor]) -> State:
    return {name: value.detach().clone() for name, value in state.items()}
