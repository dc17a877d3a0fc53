"""A post-processor that lies about halo, pieces, fragments or states is named, whether these are in memory or files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from toolkit.errors import PluginError, StorageError
from toolkit.files import arrays
from toolkit.gpu.backend import Backend
from toolkit.pipeline.passes import sweep
from toolkit.pipeline.pieces import Pieces
from toolkit.pipeline.shelf import Shelf
from toolkit.plugins.passes import Pass
from toolkit.plugins.specs import PostProcessor
from toolkit.testing.blockwise import pieces, prediction
from toolkit.values.instances import Instances
from toolkit.values.prediction import Prediction
from toolkit.values.tiles import Box, Lattice, blocks
from toolkit.values.voxels import Voxels

SHAPE = (24, 24)
HEADS = {"foreground": np.random.default_rng(0).random((1, *SHAPE)).astype(np.float32)}
LATTICE = Lattice(SHAPE, (12, 12), (4, 4))


@dataclass(frozen=True, eq=False)
class Count:
    value: int

    def window(self, box: Box) -> Count:
        return self


@dataclass(frozen=True, eq=False)
class Bare:
    value: int


@dataclass(frozen=True, eq=False)
class Named:
    names: Mapping[str, Any]

    def window(self, box: Box) -> Named:
        return self


class Lying(PostProcessor):
    """Counts voxels, then makes one object of all; goes wrong in one way."""

    kind: Literal["lying"] = "lying"
    exact: ClassVar[bool] = True
    how: str = ""

    def halo(self, ndim: int) -> Any:
        return {"short": (1,), "negative": (1, -1), "broken": (0.5, 1)}.get(self.how, (1, 1))

    def assemble(self, prediction: Prediction, backend: Backend) -> Instances:
        return Instances.from_labels(np.ones(prediction.box.shape, np.uint8))

    def keep(self, prediction: Prediction, backend: Backend, loose: bool = False) -> Any:
        cut = prediction.crop(prediction.core).dense()
        first = cut.box.start == (0, 0)
        found = Voxels.of(np.ones(cut.box.shape, bool), {"a": np.ones(cut.box.size, np.uint8)}, cut.box, cut.shape)
        match self.how:
            case "ends":
                raise SystemExit(0)
            case "doubles":
                return replace(cut, heads={"foreground": cut["foreground"].astype(np.float64)})
            case "kinds":
                return cut if first else found
            case "heads":
                return cut if first else replace(cut, heads={"other": cut["foreground"]})
            case "dtypes":
                return found if first else found.valued({"a": found["a"].astype(np.float32)})
            case "outside":
                return replace(found, start=found.start + (0 if first else -1))
            case "twice":
                return replace(found, start=np.repeat(found.start[:1], len(found.start)))
            case "objects":
                return found.valued({"a": found["a"].astype(object)})
            case "texts":
                return found.valued({"a": found["a"].astype(str)})
        return found

    def passes(self) -> tuple[Pass, ...]:
        def local(piece: Any, state: Any, backend: Backend) -> Any:
            return Bare(1) if self.how == "fragment" else Count(piece.core.size)

        def add(parts: Iterator[Count], state: Any, backend: Backend) -> Any:
            value = sum(part.value for part in parts)
            match self.how:
                case "no window":
                    return Bare(value)
                case "state":
                    return Bare(value)
                case "plain":
                    return value
                case "unwritable":
                    return Named({"a": np.array(["a"], object)})
            return Count(value)

        def done(parts: Iterator[Count], state: Any, backend: Backend) -> Instances:
            assert state.value == 24 * 24 or list(parts)
            return Instances.from_labels(np.ones(SHAPE, np.uint8))

        kept = {"no window": Bare, "plain": int, "unwritable": Named}.get(self.how, Count)
        return Pass(local, add, Count, state=kept), Pass(local, done, Count)


def swept(how: str, folder: Path, shelved: bool) -> Instances:
    """Through the whole of it, as a run goes."""
    spec = Lying(how=how)
    kept = pieces(spec, prediction(HEADS), LATTICE, folder=folder / "pieces" if shelved else None)
    shelf = None
    if shelved:
        shelf = Shelf(folder / "pieces", "image")
        assert isinstance(kept, Pieces)
    return sweep(spec, kept, blocks(LATTICE, 12), shelf=shelf)


@pytest.mark.parametrize("shelved", [False, True])
@pytest.mark.parametrize(("how", "what"), [
    ("ends", r"lying failed: SystemExit: 0: .*Lying\.keep; raise an error"),
    ("short", r"lying: its halo is \(1,\): .*Lying\.halo; give 2 whole numbers"),
    ("negative", r"its halo is \(1, -1\)"),
    ("broken", r"its halo is \(0\.5, 1\)"),
    ("doubles", r"no piece of its window: its heads are \{'foreground': 'float64'\}, not float32"),
    ("kinds", r"it is a Voxels with .*, of another window a Prediction"),
    ("heads", r"it is a Prediction with \{'other': 1\}, of another window a Prediction with \{'foreground': 1\}"),
    ("dtypes", r"it is a Voxels with .*float32.*, of another window a Voxels with .*uint8"),
    ("outside", "its runs are not in raster order, or not in the core of the window"),
    ("twice", "its runs are not in raster order"),
    ("objects", r"its values are \{'a': 'object'\}, not numbers that a file can hold"),
    ("texts", r"its values are \{'a': '<U3'\}, not numbers"),
    ("fragment", r"it gives a Bare, and its Pass says Count: .*local 1; name the class"),
    ("state", r"it gives a Bare, and its Pass says Count: .*reduce 1"),
])  # fmt: skip
def test_a_lie_is_named_with_plugin_class_and_verb(how: str, what: str, shelved: bool, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=what):
        swept(how, tmp_path, shelved)


@pytest.mark.parametrize("how", ["no window", "plain"])
@pytest.mark.parametrize("shelved", [False, True])
def test_a_state_that_cannot_be_cut_or_written_is_the_fault_of_its_plugin(
    how: str, shelved: bool, tmp_path: Path
) -> None:
    with pytest.raises(
        PluginError, match=r"lying failed: AttributeError: .*window|a state of .*lying cannot be written"
    ):
        swept(how, tmp_path, shelved)


def test_a_state_without_a_file_form_is_the_fault_of_its_plugin(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"a state of post-processor lying cannot be written: Named\.names has dtype"):
        swept("unwritable", tmp_path, True)


@pytest.mark.parametrize("shelved", [False, True])
def test_who_tells_the_truth_is_believed(tmp_path: Path, shelved: bool) -> None:
    assert len(swept("", tmp_path, shelved)) == 1


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_fragment_that_is_damaged_before_it_is_read_is_noticed_and_done_again(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, whole = Shelf(tmp_path, "image"), Shelf.add

    def spoilt(self: Shelf, stage: str, file: str, sha256: str) -> None:
        whole(self, stage, file, sha256)
        if stage == "pass-1" and file.endswith(".24-24"):
            path = self.folder / file
            data = path.read_bytes()
            path.unlink()
            if damage != "gone":
                path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if damage == "flipped" else data[:20])

    spec = Lying()
    kept = pieces(spec, prediction(HEADS), LATTICE, folder=tmp_path)
    monkeypatch.setattr(Shelf, "add", spoilt)
    with pytest.raises(StorageError, match=r"damaged or gone: .*--resume"):
        sweep(spec, kept, blocks(LATTICE, 12), shelf=shelf)
    monkeypatch.undo()
    again = Shelf(tmp_path, "image")
    assert len(again.known("pass-1")) == len(blocks(LATTICE, 12)) - 1
    assert sweep(spec, kept, blocks(LATTICE, 12), shelf=again) == sweep(spec, kept, blocks(LATTICE, 12))


def test_a_piece_that_is_cut_off_after_its_digest_was_compared_is_no_fault_of_the_plugin(tmp_path: Path) -> None:
    spec = Lying()
    kept = pieces(spec, prediction(HEADS), LATTICE, folder=tmp_path)
    sweep(spec, kept, blocks(LATTICE, 12))
    path = tmp_path / "0.piece"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match="what the network said of a window is unreadable"):
        sweep(spec, kept, blocks(LATTICE, 12))


def test_pieces_of_two_kinds_that_two_processes_wrote_are_not_joined(tmp_path: Path) -> None:
    one = pieces(Lying(), prediction(HEADS), LATTICE, folder=tmp_path)
    path = Path(one._held[3].path)  # type: ignore[union-attr]
    lie = arrays.read(path, Voxels)
    arrays.write(path, lie.valued({"a": lie["a"].astype(np.int16)}))
    one._sound.add(str(path))
    with pytest.raises(PluginError, match="what was kept of two windows is not of one kind"):
        sweep(Lying(), one, blocks(LATTICE, None))
    parts = [one.read(w.core, w.core) for w in one.windows]
    with pytest.raises(ValueError, match="are not joined"):
        Voxels.join(parts)  # type: ignore[arg-type]
