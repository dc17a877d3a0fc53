"""The data doctor: one data set for each thing that can be wrong, and the real ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tests.golden import FOLDER
from tests.unit import scenes
from toolkit import io
from toolkit.check import Diagnosis, check
from toolkit.check.fingerprint import fingerprint
from toolkit.check.parts import parts
from toolkit.check.repair import apart, repair, target
from toolkit.check.twins import twins
from toolkit.errors import InputError, UsageError
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.recipe import Recipe
from toolkit.steps.objects import describe
from toolkit.values.instances import Instances

Array = np.ndarray


def picture(seed: int, shape: tuple[int, ...] = (80, 90), labels: Array | None = None) -> Array:
    """A noisy 8-bit image; brighter where `labels` has objects."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    image = 60 + 20 * smooth / smooth.std() + rng.normal(0, 2, shape)
    return np.clip(image + (0 if labels is None else 90 * (labels > 0)), 1, 250).astype(np.uint8)


def write(
    root: Path, items: dict[str, tuple[Array | None, Array | None]], splits: object = None, **meta: object
) -> Path:
    """A data set folder of images and masks; None is a file that is not there."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, pair in items.items():
        for folder, array in zip(("images", "masks"), pair, strict=True):
            if array is not None:
                tifffile.imwrite(root / folder / f"{name}.tif", array)
    if splits is not None:
        (root / "splits.json").write_text(json.dumps(splits))
    if meta:
        (root / "meta.json").write_text(json.dumps(meta))
    return root


def healthy(count: int = 4, first: int = 0) -> dict[str, tuple[Array | None, Array | None]]:
    """Images of one kind with masks that nothing is wrong with."""
    found = {}
    for k in range(first, first + count):
        labels = round_objects(k)
        found[f"i{k}"] = (picture(k, labels=labels), labels)
    return found


def round_objects(seed: int) -> Array:
    """Discs on a grid, none cut by the border, none touching."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((80, 90), np.uint16)
    y, x = np.mgrid[:80, :90]
    for k, (cy, cx) in enumerate((cy, cx) for cy in range(12, 80, 20) for cx in range(12, 90, 20)):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(30, 60)] = k + 1
    return labels


def codes(found: Diagnosis) -> dict[str, list[str]]:
    """Code → the names of the images."""
    return {f.code: [place.image for place in f.where] for f in found.findings}


def tree(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def only(found: Diagnosis, *extra: str) -> None:
    """Nothing but these codes; the voxel size of the generated files is always unknown."""
    assert set(codes(found)) == {"no-spacing", *extra}


def test_a_healthy_data_set_is_not_remarked_upon(tmp_path: Path) -> None:
    splits = {"train": ["i0", "i1"], "val": ["i2"], "test": ["i3"]}
    found = check(write(tmp_path, healthy(), splits, axes="YX", masks="YX", voxel_size_um=[0.5, 0.5]))
    assert found.findings == ()
    assert [(row.split, row.images) for row in found.sizes] == [("train", 2), ("val", 1), ("test", 1)]
    assert found.sizes[0].diameter_um == pytest.approx(found.sizes[0].diameter / 2, abs=0.1)


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    items = healthy(3)
    items["i1"] = (items["i1"][0], None)
    items["i2"] = (None, items["i2"][1])
    splits = {"train": ["i0", "i1"], "val": ["i0", "i2", "gone"]}
    found = check(write(tmp_path, items, splits))
    only(found, "unpaired", "missing", "two-splits")
    unpaired = [[p.image for p in f.where] for f in found.findings if f.code == "unpaired"]
    assert unpaired == [["i2"], ["i1"]]
    assert (codes(found)["missing"], codes(found)["two-splits"]) == (["gone"], ["i0"])
    assert {f.code for f in found.errors} == {"unpaired", "missing"}


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path, healthy(4), axes="YX", masks="YX")
    (tmp_path / "images" / "i0.tif").write_bytes(b"no image at all")
    whole = (tmp_path / "masks" / "i1.tif").read_bytes()
    (tmp_path / "masks" / "i1.tif").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(tmp_path / "masks" / "i2.tif", np.ones((80, 91), np.uint8))
    tifffile.imwrite(tmp_path / "masks" / "i3.tif", np.full((80, 90), 1.5, np.float32))
    found = check(tmp_path)
    by_code = codes(found)
    assert by_code["unreadable-image"] == ["i0"]
    assert by_code["unreadable-mask"] == ["i1", "i3"]
    assert by_code["shape-mismatch"] == ["i2"]
    assert len(found.errors) == 3


def test_damaged_descriptions_are_findings(tmp_path: Path) -> None:
    write(tmp_path, healthy(2))
    (tmp_path / "meta.json").write_text("{")
    assert [f.code for f in check(tmp_path).errors] == ["description"]
    (tmp_path / "meta.json").unlink()
    (tmp_path / "weights.csv").write_text("name,weight\ni7,2\n")
    assert [(f.code, f.what.partition(":")[0]) for f in check(tmp_path).errors] == [
        ("description", "there is no image 'i7'")
    ]


@pytest.mark.parametrize(("labels", "code"), [
    ((round_objects(0) > 0).astype(np.uint8), "semantic"),
    ((round_objects(0) > 0).astype(np.uint8) * 255, "semantic"),
    (np.zeros((80, 90), np.uint8), "empty-mask"),
    (round_objects(0).astype(np.float32), "float-labels"),
    (np.where(round_objects(0) == 0, -1, round_objects(0).astype(np.int16)), "unannotated"),
    (np.where(np.arange(80)[:, None] < 2, 255, round_objects(0)).astype(np.uint8), "ignore-label"),
])  # fmt: skip
def test_odd_conventions_of_masks_are_recognised(tmp_path: Path, labels: Array, code: str) -> None:
    items = healthy(4)
    items["i0"] = (items["i0"][0], labels)
    by_code = codes(check(write(tmp_path, items)))
    assert by_code.pop(code) == ["i0"]
    assert set(by_code) <= {"no-spacing", "mixed-mask-types"}


def test_labels_below_minus_one_cannot_be_used(tmp_path: Path) -> None:
    items = healthy(2)
    items["i0"] = (items["i0"][0], np.where(round_objects(0) == 0, -7, round_objects(0).astype(np.int16)))
    assert [f.code for f in check(write(tmp_path, items)).errors] == ["unreadable-mask"]


def test_ids_that_ran_over_are_recognised(tmp_path: Path) -> None:
    labels = np.zeros((120, 130), np.uint16)
    k = 0
    for y in range(2, 118, 5):
        for x in range(2, 128, 5):
            k += 1
            labels[y : y + 3, x : x + 3] = k
    items = healthy(1)
    items["many"] = (picture(9, (120, 130), labels), (labels % 256).astype(np.uint8))
    by_code = codes(check(write(tmp_path, items)))
    assert by_code["wrap"] == ["many"]
    assert "pieces" not in by_code


def test_objects_in_pieces_tiny_and_huge_ones_are_named_by_id(tmp_path: Path) -> None:
    items = healthy(3)
    labels = round_objects(0).copy()
    labels[40:44, 60:64] = 0
    labels[2, 40], labels[40:42, 2:80] = 3, 0
    labels[60, 2] = 99
    big = np.zeros((80, 90), np.uint16)
    big[5:75, 5:85] = 7
    items["i0"], items["i1"] = (items["i0"][0], labels), (items["i1"][0], big)
    found = check(write(tmp_path, items))
    where = {f.code: {p.image: p.ids for p in f.where} for f in found.findings}
    assert 3 in where["pieces"]["i0"]
    assert 99 in where["tiny"]["i0"]
    assert where["huge"] == {"i1": (7,)}


def test_images_of_several_kinds_are_told_apart(tmp_path: Path) -> None:
    items = healthy(4)
    image = items["i0"][0]
    assert image is not None
    items["i1"] = (items["i1"][0].astype(np.uint16), items["i1"][1])  # type: ignore[union-attr]
    items["i2"] = (np.stack([items["i2"][0], 255 - items["i2"][0], image], -1), items["i2"][1])  # type: ignore[operator]
    items["i3"] = (np.stack([items["i3"][0]] * 3, -1), items["i3"][1])  # type: ignore[list-item]
    by_code = codes(check(write(tmp_path, items)))
    assert by_code["mixed-types"] == ["i1"]
    assert by_code["grey-among-colour"] == ["i0", "i1", "i3"]


def test_constant_and_non_finite_images_are_found(tmp_path: Path) -> None:
    items = healthy(3)
    holes = picture(5).astype(np.float32)
    holes[3, 3:6] = np.nan, np.inf, 0
    items |= {"flat": (np.full((80, 90), 7, np.uint8), round_objects(1)), "holes": (holes, round_objects(2)),
              "void": (np.full((80, 90), np.nan, np.float32), round_objects(3))}  # fmt: skip
    found = check(write(tmp_path, items))
    by_code = codes(found)
    assert (by_code["constant"], by_code["nonfinite"], by_code["no-values"]) == (["flat"], ["holes"], ["void"])
    assert [f.code for f in found.errors] == ["no-values"]


def test_objects_darker_in_some_images_and_brighter_in_others_are_remarked_upon(tmp_path: Path) -> None:
    items = healthy(4)
    items["i2"] = (255 - items["i2"][0], items["i2"][1])  # type: ignore[operator]
    assert codes(check(write(tmp_path, items)))["polarity"] == ["i2"]


@pytest.mark.parametrize(("gain", "offset", "said"), [(1, 500, "darkest"), (5, 0, "spread")])
def test_intensities_that_differ_between_splits_are_remarked_upon(
    tmp_path: Path, gain: int, offset: int, said: str
) -> None:
    items = healthy(9)
    for name in ("i6", "i7", "i8"):
        items[name] = (items[name][0] * np.uint16(gain) + np.uint16(offset), items[name][1])  # type: ignore[operator]
    for name in list(items)[:6]:
        items[name] = (items[name][0].astype(np.uint16), items[name][1])  # type: ignore[union-attr]
    names = list(items)
    found = check(write(tmp_path, items, {"train": names[:4], "val": names[4:6], "test": names[6:]}))
    offsets = [f.what for f in found.findings if f.code == "intensity-offset"]
    assert len(offsets) == 1
    assert offsets[0].startswith("test differs from train")
    assert said in offsets[0]


def test_unknown_voxel_sizes_and_mixed_ones_are_remarked_upon(tmp_path: Path) -> None:
    items = healthy(3)
    root = write(tmp_path, items)
    for name, um in (("i0", 0.5), ("i1", 0.5), ("i2", 0.25)):
        tifffile.imwrite(root / "images" / f"{name}.tif", items[name][0], imagej=True, resolution=(1 / um, 1 / um),
                         metadata={"unit": "um", "axes": "YX"})  # fmt: skip
    assert codes(check(root))["mixed-spacing"] == ["i2"]


COPIES = {
    "the same file": lambda a: a,
    "brighter": lambda a: np.clip(a.astype(float) * 1.3 + 4, 0, 255).astype(np.uint8),
    "another gamma": lambda a: (255 * (a / 255) ** 0.8).astype(np.uint8),
    "a little noise": lambda a: np.clip(a + np.random.default_rng(1).normal(0, 2, a.shape), 0, 255).astype(np.uint8),
    "16 bits": lambda a: a.astype(np.uint16) * 257,
    "half the size": lambda a: ndimage.zoom(a.astype(float), 0.5, order=1).astype(np.uint8),
    "a quarter turn": lambda a: np.rot90(a).copy(),
    "flipped": lambda a: a[:, ::-1].copy(),
    "a part": lambda a: a[20:, 25:].copy(),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_in_another_split_is_found(how: str) -> None:
    images = [picture(k, (128, 140)) for k in range(6)]
    images.append(COPIES[how](images[2]))
    assert [(t.first, t.second) for t in twins([fingerprint(i[None]) for i in images])] == [(2, 6)]


@pytest.mark.slow
@given(st.integers(0, 2**16))
def test_different_images_are_no_copies(seed: int) -> None:
    images = [picture(seed + k, (64, 72), scenes.labels(seed + k, (64, 72))) for k in range(4)]
    assert twins([fingerprint(i[None]) for i in images]) == []


def test_empty_and_flat_images_have_no_copies() -> None:
    flat = [np.full((1, 40, 40), v, np.uint8) for v in (0, 0, 9)]
    assert twins([fingerprint(i) for i in flat]) == []
    assert twins([fingerprint(np.full((1, 40, 40), np.nan, np.float32))] * 2) == []
    assert twins([]) == []


def test_a_volume_cut_out_of_another_is_found() -> None:
    rng = np.random.default_rng(3)
    volume = rng.integers(0, 4000, (12, 60, 64)).astype(np.uint16)
    other = rng.integers(0, 4000, (12, 60, 64)).astype(np.uint16)
    pairs = twins([fingerprint(v[None]) for v in (volume, other, volume[3:9, 10:50, 12:52])])
    assert [(t.first, t.second) for t in pairs] == [(0, 2)]


@given(scenes.seeds, st.sampled_from([(24, 30), (6, 12, 14)]))
def test_sizes_and_extents_are_those_of_the_instances(seed: int, shape: tuple[int, ...]) -> None:
    labels = scenes.labels(seed, shape)
    found, truth = describe(labels[None], planes=False), Instances.from_labels(labels)
    assert sorted(found.sizes.tolist()) == sorted(truth.sizes.tolist())
    assert sorted(map(tuple, found.extents.tolist())) == sorted(map(tuple, np.diff(truth.boxes, axis=1)[:, 0].tolist()))
    assert found.ids.tolist() == np.unique(labels[labels > 0]).tolist()


@given(scenes.seeds, st.sampled_from([(24, 30), (6, 12, 14)]))
def test_pieces_are_those_that_scipy_counts(seed: int, shape: tuple[int, ...]) -> None:
    labels = scenes.disturbed(scenes.labels(seed, shape), seed)
    expected = {}
    for name in np.unique(labels[labels > 0]).tolist():
        alone, number = ndimage.label(labels == name)
        if number > 1:
            expected[name] = tuple(sorted(np.bincount(alone.ravel())[1:].tolist(), reverse=True))
    assert parts(labels[None], planes=False) == expected


@pytest.mark.parametrize("shape", [(60, 70), (30, 34, 38)])
def test_fill_and_width_of_an_ellipse_are_known(shape: tuple[int, ...]) -> None:
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    axes = np.array(shape) / 2 - 2
    ellipse = (((grid - np.array(shape) / 2) / axes) ** 2).sum(-1) < 1
    found = describe(ellipse[None].astype(np.int32), planes=False)
    assert found.fill[0] == pytest.approx(1, abs=0.02)
    assert found.width[0] == pytest.approx(2 * axes.min(), rel=0.03)
    ring = ellipse & (((grid - np.array(shape) / 2) / axes) ** 2).sum(-1).__ge__(0.5)
    assert describe(ring[None].astype(np.int32), planes=False).fill[0] < 0.75


def test_overlap_is_counted_and_leads_to_the_method_that_knows_it(tmp_path: Path) -> None:
    planes = scenes.planes(3, (80, 90), 5).astype(np.uint8)
    truth = Instances.from_planes(planes)
    i, j, _ = truth.overlapping_pairs()
    assert len(i), "the scene must have overlap"
    found = check(write(tmp_path, {"worms": (picture(0), planes)}, axes="YX", masks="QYX"))
    overlap = next(f for f in found.findings if f.code == "overlap")
    assert overlap.what.startswith(f"{len({*i.tolist(), *j.tolist()})} objects overlap")
    assert found.advice[0].name == "ppp"
    assert found.advice[0].reason.endswith("its objects may share voxels")


def test_advice_follows_the_shape_of_the_objects(tmp_path: Path) -> None:
    compact = check(write(tmp_path / "a", healthy()))
    bent = np.zeros((80, 90), np.uint8)
    bent[10:70, 10:14] = bent[66:70, 10:80] = 1
    tubes = check(write(tmp_path / "c", {"i0": (picture(0), bent)}))
    assert [d.advice[0].name for d in (compact, tubes)] == ["embedseg", "ppp"]
    assert "compact" in compact.advice[0].reason
    assert "bent" in tubes.advice[0].reason
    for found in (compact, tubes):
        scores = [one.score for one in found.advice]
        assert scores == sorted(scores, reverse=True)
        assert len({one.plugin for one in found.advice}) == len(found.advice), "one of each plugin"


@pytest.mark.parametrize("shape", [(80, 90), (20, 70, 80)])
def test_the_advice_is_a_recipe_for_so_many_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    catalogue = Catalogue()
    labels = scenes.labels(1, shape, 8).astype(np.uint16)
    axes = "ZYX"[-len(shape) :]
    found = check(write(tmp_path, {"i": (picture(1, shape, labels), labels)}, axes=axes, masks=axes))
    assert found.advice
    for one in found.advice:
        assert Recipe.load(catalogue.find("recipes", one.recipe), catalogue, one.plugin).ndim == len(shape)


def test_images_of_several_numbers_of_axes_get_no_advice(tmp_path: Path) -> None:
    items = {"flat": healthy(1)["i0"], "deep": (picture(1, (9, 40, 40)), scenes.labels(1, (9, 40, 40), 3))}
    assert check(write(tmp_path, items)).advice == ()


@given(scenes.seeds)
def test_pieces_that_were_split_are_objects_and_everything_else_stays(seed: int) -> None:
    labels = scenes.disturbed(scenes.labels(seed), seed)
    mended = apart(labels, labels.shape)
    left = parts(mended[None], planes=False)
    assert all(10 * sizes[1] < sizes[0] for sizes in left.values())
    assert ((mended > 0) == (labels > 0)).all()
    whole = [k for k in np.unique(labels[labels > 0]) if k not in parts(labels[None], planes=False)]
    assert all(((mended == k) == (labels == k)).all() for k in whole)
    assert {*np.unique(labels).tolist()} <= {*np.unique(mended).tolist()}


def test_a_repaired_copy_is_healthy_and_the_original_untouched(tmp_path: Path) -> None:
    items = healthy(7)
    items["alone"] = (picture(20), None)
    items["wide"] = (picture(21, labels=round_objects(21)).astype(np.uint16), round_objects(21))
    items["float"] = (picture(22, labels=round_objects(22)), round_objects(22).astype(np.float32))
    items["copy"] = (items["i6"][0], items["i6"][1])
    torn = round_objects(23).copy()
    torn[1:4, 1:6] = torn.max()
    items["torn"] = (picture(23, labels=torn), torn)
    names = [n for n in items if n not in ("i5", "i6")]
    root = write(tmp_path / "data", items, {"train": names, "val": ["i5", "i0"], "test": ["i6"]}, axes="YX", masks="YX")
    (root / "images" / "i3.tif").write_bytes(b"rubbish")
    (root / "weights.csv").write_text("name,weight\ni3,2\ni4,3\n")
    before, folder = tree(root), tmp_path / "fixed"
    found = check(root)
    assert found.errors
    done = repair(found, folder, split_pieces=True)
    assert tree(root) == before
    again = check(folder)
    assert again.errors == ()
    assert set(codes(again)) == {"no-spacing"}
    splits = {s: sorted(n) for s, n in json.loads((folder / "splits.json").read_text()).items()}
    assert splits == {"train": ["float", "i1", "i2", "i4", "torn", "wide"], "val": ["i0", "i5"], "test": ["i6"]}
    assert done["images"] == 9
    data = io.open_dataset(folder)
    assert {item.name for item in data.items if item.weight != 1} == {"i4"}
    assert {data.image(item).dtype for item in data.items} == {np.dtype(np.uint16)}
    for item in data.items:
        assert (data.image(item).read()[0] == items[item.name][0]).all()
    assert json.loads((folder / "repairs.json").read_text())["from"] == str(root)


def test_all_pieces_of_a_semantic_mask_become_objects(tmp_path: Path) -> None:
    labels = round_objects(0)
    labels[2, 2] = 77
    root = write(tmp_path / "data", {"a": (picture(0), (labels > 0).astype(np.uint8) * 255)})
    repair(check(root), tmp_path / "fixed", split_pieces=True)
    mended = tifffile.imread(tmp_path / "fixed" / "masks" / "a.tif")
    assert Instances.from_labels(mended) == Instances.from_labels(labels)


def test_pieces_stay_together_unless_asked(tmp_path: Path) -> None:
    torn = round_objects(0).copy()
    torn[2, 2] = 3
    root = write(tmp_path / "data", {"a": (picture(0), torn)})
    repair(check(root), tmp_path / "fixed")
    assert tree(tmp_path / "fixed" / "masks") == tree(root / "masks")


def test_a_repaired_copy_never_lands_on_anything(tmp_path: Path) -> None:
    root = write(tmp_path / "data", healthy(1))
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", root / "inside"):
        with pytest.raises(UsageError):
            target(folder, root)


def test_what_is_no_data_set_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        check(tmp_path)
    with pytest.raises(InputError, match="no such data set folder"):
        check(tmp_path / "nowhere")
    write(tmp_path, healthy(2), {"train": ["i0", "i1"]})
    with pytest.raises(UsageError, match="did you mean 'train'"):
        check(f"{tmp_path}:tain")


def test_one_split_is_checked_alone(tmp_path: Path) -> None:
    items = healthy(3)
    items["i2"] = (items["i2"][0], np.zeros((80, 90), np.uint8))
    root = write(tmp_path, items, {"train": ["i0", "i1"], "test": ["i2"]})
    assert "empty-mask" not in codes(check(f"{root}:train"))
    assert "empty-mask" in codes(check(f"{root}:test"))


def test_the_report_is_plain_json(tmp_path: Path) -> None:
    items = healthy(3)
    items["i2"] = (items["i2"][0], None)
    document = json.loads(json.dumps(check(write(tmp_path, items)).to_json()))
    assert document["usable"] is False
    assert document["findings"][0]["where"] == [{"image": "i2"}]


@pytest.mark.slow
def test_the_defects_of_real_nuclei_are_found() -> None:
    found = check(FOLDER / "dsb2018")
    # Objects in several pieces are those that SciPy counts in the files.
    split = {}
    for path in (FOLDER / "dsb2018" / "masks").glob("*.tif"):
        mask = tifffile.imread(path)
        ids = [k for k in np.unique(mask[mask > 0]) if ndimage.label(mask == k)[1] > 1]
        split |= {path.stem: tuple(ids)} if ids else {}
    assert sum(map(len, split.values())) >= 9
    pieces = next(f for f in found.findings if f.code == "pieces")
    assert {place.image: place.ids for place in pieces.where} == split
    # Seen by eye: both images show the same cells, and the one is in `train`, the other in `test`.
    same = next(f for f in found.findings if f.code == "same-image")
    assert [place.image[:8] for place in same.where] == ["cb4df20a"]
    assert "20b20ab0" in same.where[0].detail


def test_grey_images_among_stained_ones_are_found() -> None:
    found = check(FOLDER / "dsb2018_color")
    grey = [p.stem for p in (FOLDER / "dsb2018_color" / "images").glob("*.tif") if tifffile.imread(p).ndim == 2]
    assert sorted(codes(found)["grey-among-colour"]) == sorted(grey)
    assert len(grey) == 2
    assert not found.errors
