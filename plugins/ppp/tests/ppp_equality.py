"""The assembly on a GPU, or on what stands for one, against the CPU: every result that both have, bit by bit."""

from __future__ import annotations

import numpy as np
from toolkit_ppp import assembly
from toolkit_ppp.patches import read
from toolkit_ppp.patchperpix import PatchPerPix

from toolkit.api import Backend, Prediction
from toolkit.testing import prediction

CPU = Backend()


def there(seen: Prediction, gpu: Backend) -> Prediction:
    """The same heads on the device."""
    return prediction(dict(seen.heads), backend=gpu)


def compare(seen: Prediction, how: PatchPerPix, gpu: Backend) -> None:
    piece = how.keep(seen, CPU)
    patches = read(piece, how, CPU)
    first = assembly.scored(piece, patches, how, CPU)
    selection = assembly.selected([first], how)
    second = assembly.linked(piece, patches, selection, how, CPU)
    result = assembly.assembled([second], selection, how)

    far = there(seen, gpu)
    kept = how.keep(far, gpu)
    for name, values in piece.values.items():
        _same(kept[name], values)
    codes = read(kept, how, gpu)
    one = assembly.scored(kept, codes, how, gpu)
    two = assembly.linked(kept, codes, selection, how, gpu)
    edges = type(two.edges).merge([two.edges])
    for name in ("centres", "rows", "codes", "inside"):
        _same(gpu.to_numpy(getattr(codes, name)), getattr(patches, name))
    for name in ("centres", "agreement", "pairs", "members", "inside"):
        _same(getattr(one, name), getattr(first, name))
    if first.covers is None:
        assert one.covers is None
    else:
        _same(one.covers, first.covers)
    for name in ("first", "second", "total", "count"):
        _same(getattr(edges, name), getattr(second.edges, name))
    _same(two.centres, second.centres)
    _same(two.values, second.values)
    assert assembly.assembled([two], selection, how) == result


def _same(a: np.ndarray, b: np.ndarray) -> None:
    assert type(a) is type(b) is np.ndarray
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)
