"""What pieces were made of: by it their objects find back into the image, and are known to be what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.errors import UsageError
from toolkit.plugins.specs import PostProcessor
from toolkit.steps.rescale import restore
from toolkit.steps.shrink import enlarge, shrunk
from toolkit.values.scattered import Objects, Scattered, whole


@dataclass(frozen=True)
class Origin:
    """What pieces were made of and for: the shape of the image before it was shrunk by `shrink` and rescaled `by`,
    whether it is of one value, so that there is nothing to see, and the post-processor that kept them, `loose` or
    not."""

    shape: tuple[int, ...]
    shrink: tuple[int, ...]
    postprocess: PostProcessor
    constant: bool = False
    loose: bool = False
    by: tuple[float, ...] = ()


def returned(found: Objects, origin: Origin) -> Objects:
    """Objects of what the network saw in the image that it was made of."""
    if isinstance(found, Scattered) and found.shape == origin.shape and not origin.by:
        return found
    small = restore(whole(found), origin.by, shrunk(origin.shape, origin.shrink))
    return enlarge(small, origin.shrink, origin.shape)


def serves(origin: Origin, wanted: PostProcessor) -> None:
    """Raise `UsageError` that names the field unless pieces of this origin serve this post-processor."""
    made = origin.postprocess
    if type(wanted) is not type(made):
        raise UsageError(
            f"what was kept for post-processor {made.kind} does not serve {wanted.kind}", "postprocess.kind",
            "predict with that post-processor",
        )  # fmt: skip
    tunable = made.tunable()
    for name in type(made).model_fields:
        before, after = getattr(made, name), getattr(wanted, name)
        served = origin.loose and name not in made.shaping and (name not in tunable or tunable[name].holds(after))
        if before != after and not served:
            where = f"postprocess.{name}={after}"
            raise UsageError("what was kept of the prediction does not serve this value", where, "predict anew")
