"""What a plugin brings: networks, losses and post-processors, and in `metric` measures. A spec is its configuration.

A spec is a frozen pydantic model with a `kind` and one verb. Its fields are YAML keys, Python keywords, `--set` paths
and package metadata at once. Spec modules import nothing heavy: torch is imported inside `build()`.
They refuse by `ValueError`, in a sentence that says what is wrong and what to do; the core adds the place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from toolkit.gpu.backend import Backend
from toolkit.plugins import seams
from toolkit.plugins.alone import Alone
from toolkit.plugins.passes import Pass
from toolkit.plugins.phases import Member, Phase
from toolkit.plugins.search import Search
from toolkit.steps.stitch import stitch
from toolkit.values.fragment import Fragment
from toolkit.values.instances import Instances
from toolkit.values.piece import Piece
from toolkit.values.prediction import Head, Prediction
from toolkit.values.thought import Thought
from toolkit.values.truth import Truth

if TYPE_CHECKING:
    import numpy as np
    import torch

    from toolkit.steps.survey import Deduced, Fit, Survey


class Spec(BaseModel):
    """Base of the four families. A concrete class fixes its name: `kind: Literal["unet"] = "unet"`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    title: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    """`title`: what it is, in words that make a line with those of other specs; `citation`: what to cite for it."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Former names of the kind: recipes and models that have them go on working."""
    needs_gpu: ClassVar[bool] = False
    """True if it works on a GPU alone: elsewhere it is refused before anything is read."""

    @classmethod
    def named(cls) -> str:
        """The `kind` of this class."""
        return str(cls.model_fields["kind"].default)

    @classmethod
    def tunable(cls) -> dict[str, Search]:
        """Fields that `seg tune` may search, with their ranges."""
        found = {name: [m for m in f.metadata if isinstance(m, Search)] for name, f in cls.model_fields.items()}
        return {name: marks[0] for name, marks in found.items() if marks}

    def deduced(self, survey: Survey) -> Deduced:
        """Fields whose best values follow from the objects to be learnt; `seg train --deduce` sets them."""
        return {}

    def suits(self, survey: Survey) -> Fit | None:
        """How well this suits the objects of a survey, or its images where it has none; None: nothing to say. A recipe
        suits as well as the least of its specs. 1: made for this; .5: works, others do better; 0: cannot."""
        return None


class Network(Spec):
    """A neural network that can carry any heads."""

    untrained: ClassVar[bool] = False
    """True if there is nothing to learn and no weights: a recipe with it has no loss and is a whole model."""
    fixed: ClassVar[bool] = False
    """True if it takes only windows of the recipe's shape, not every multiple of `stride` up to it."""

    @abstractmethod
    def build(self, channels: int, heads: tuple[Head, ...], ndim: int) -> torch.nn.Module:
        """A module `(B, channels, *S) -> {head.name: (B, head.channels, *S)}` of raw outputs, S of `ndim` axes."""

    @abstractmethod
    def stride(self, ndim: int) -> tuple[int, ...]:
        """The window and the crop must be multiples of this, per axis."""

    def gives(self, channels: int | None) -> tuple[Head, ...]:
        """Heads that it has without a loss, of an image of so many channels (None: not known yet)."""
        return ()

    def shares(self) -> tuple[Network, tuple[str, ...]]:
        """The network whose weights this one has, another than itself if it only calls it; and how the names of those
        tensors in the module's state begin that are the same for any heads: another method may start with them."""
        return self, ()

    def alone(self, channels: int, heads: tuple[Head, ...], ndim: int) -> Alone | None:
        """Sources that make the same network where this toolkit is not installed, for packages; None: there are
        none."""
        return None


class Loss(Spec):
    """What a network learns, and the heads that it needs for it."""

    prepares: ClassVar[bool] = False
    """True if this is only the first step of a training, after which the heads mean nothing yet: it is not validated,
    and its last weights are the best."""

    @abstractmethod
    def heads(self, ndim: int) -> tuple[Head, ...]:
        """The heads that this loss reads."""

    @abstractmethod
    def targets(self, truth: Truth) -> dict[str, np.ndarray[Any, Any]]:
        """Arrays for `build()`, maps `(channels, *truth.shape)` or tables; pure NumPy, it runs in loader workers.

        Arrays of one name may differ in their first axis between crops: a batch pads it with zeros.
        """

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """A module `(heads, targets) -> {term: scalar}`; the training minimises the sum of the terms."""

    def members(self, network: Network, ndim: int) -> dict[str, Member[Network]]:
        """Networks that take part in the training beside `network`, the recipe's own, by name."""
        return {}

    def phases(self) -> tuple[Phase, ...]:
        """The phases of the training, in order; `build()` remains what annotations alone teach the recipe's heads."""
        return (Phase("training", scored=not self.prepares),)

    def means(self, other: Loss) -> bool:
        """Whether heads that learnt by `other` mean what equal heads of this loss do."""
        return True


class PostProcessor(Spec):
    """Turns heads into instances. The least an author writes is `assemble`."""

    exact: ClassVar[bool] = False
    """True if any blocks give the same instances as one block; False if blocks are stitched."""
    detects: ClassVar[bool] = False
    """True if objects stand for their centres: a run writes those as points, too."""
    overlaps: ClassVar[bool] = False
    """True if objects may share voxels."""
    shaping: ClassVar[tuple[str, ...]] = ()
    """Fields without `Search` that change what `keep` keeps: pieces made with one value cannot serve another."""
    shows: ClassVar[tuple[str, ...]] = ()
    """What `thoughts` tells: names for `seg run --show`, beside the core's `heads`, `entropy` and `scores`."""

    @abstractmethod
    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        """Instances of one piece, in the coordinates of `prediction.box`."""

    def stitched(self, windows: int, blocks: int) -> bool:
        """Whether the objects of an image in so many windows and blocks are joined by how far they are the same where
        two of these overlap, so that others may give others: said of a run before and after."""
        return blocks > 1 and not self.exact

    def halo(self, ndim: int) -> tuple[int, ...]:
        """Voxels around a block that a pass needs to be right inside it, per axis."""
        return (0,) * ndim

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Piece:
        """What this method needs of one window: the rest is thrown away at once, and no window is predicted twice.

        `prediction.box` is the window inside the image, `prediction.core` what it answers for: the piece is of the core
        and depends on nothing but this prediction. With `loose` it serves every value of the fields that declare a
        `Search`: what the most permissive value in the range needs, as float32; `cut` makes of it what `keep` without
        `loose` keeps. The default is all heads of the core.
        """
        return prediction.crop(prediction.core).dense()

    def cut(self, piece: Any) -> Piece:
        """Of a loose piece, or of several that were joined, what `keep` keeps for the fields of this spec."""
        found: Piece = piece
        return found

    def widest(self, name: str, up: bool = False) -> float:
        """The value of a field for which a loose piece must do: the lowest (`up`: the highest) of its range and its
        own."""
        search, own = self.tunable()[name], float(getattr(self, name))
        return max(own, search.high) if up else min(own, search.low)

    def holds(self) -> float:
        """Bytes that the reduces hold at once for each voxel that is kept, beside its piece where a pass gathers: what
        the plan of a run says of memory."""
        return 0

    def works(self) -> float:
        """Bytes that a pass over a block takes for each voxel of the block that is kept, beside its piece."""
        return 0

    def beyond(self) -> float:
        """Extents of an object that a pass reads on each side of a block if it looks around it: for the plan, too."""
        return 0.5

    def check(self, heads: Mapping[str, Head], ndim: int) -> None:
        """Raise `ValueError` if these heads are not what this post-processor reads."""

    def disagrees(self, loss: Loss) -> str | None:
        """What is wrong where this loss teaches what this post-processor does not read, if something is."""
        return None

    def thoughts(self, piece: Any, backend: Backend, wanted: Collection[str]) -> Mapping[str, Thought]:
        """Those of `shows` that are `wanted`, from the piece of a whole image: marks, or fields `(C, *shape)`."""
        return {}

    def passes(self) -> tuple[Pass, ...]:
        """The passes over the pieces of all blocks; by default one, whose blocks are stitched."""

        def local(piece: Prediction, state: None, backend: Backend) -> Fragment:
            found = seams.instances(self.assemble(piece, backend), piece.box.shape, self, "assemble")
            return Fragment(found, piece.box, piece.core, piece.shape)

        def reduce(fragments: Iterator[Fragment], state: None, backend: Backend) -> Instances:
            return stitch(list(fragments))

        return (Pass(local, reduce, Fragment),)
