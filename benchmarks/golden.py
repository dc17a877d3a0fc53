"""Make tests/golden: the real data and published results that the tests read, cut small.

    python benchmarks/golden.py [--shared FOLDER]

Images and masks are CC0; of the arrays that published programs gave, only those that a test looks at are kept. An array
that several results share lies once, in the file whose name begins theirs. tests/golden/README.md says whence all came.
"""

from __future__ import annotations

import argparse
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
ARRAYS = {
    "ap_dsb_stardist": "*",
    "cac_embedding_affinity": "labels embedding weight affs entropy loss grad affs_bgFalse affs_bgTrue params",
    "cac_fragments_voi_arand": "affs fragments gt voi arand",
    "cpv_label_3class_*": "params logits pred_cpv cp seeds ws_fg ws_fg_dil",
    "cpv_label_affinities": "params affs pred_fg seeds ws_fg ws_fg_dil",
    "cpv_label_gauss": "params gauss markers",
    "cpv_label_sdt_14": "params sdt seeds ws_fg ws_fg_dil",
    "cpv_targets": "labels threeclass sdt_tanh affs fgbg gt_centers gaussian cpv crop_offset cpv_crop",
    "embedseg_2d_case*": "params prediction instances",
    "embedseg_3d_case1": "params prediction instances",
    "embedseg_apdsb_one_hot": "*",
    "embedseg_centers_norm": "labels2d labels3d image norm_* medoid* centroid* approximate_medoid*",
    "embedseg_loss_2d": "*",
    "embedseg_tta": "x2 x3 w2 w3 b2 b3 tta2d tta3d_mean",
    "ppp_2d_*": "*",
    "ppp_3d_3x3x3": "*",
    "ppp_paper_*": "*",
}
"""Published results, and which of their arrays are kept."""
PLANE = 7
"""Of arrays `(…, Z, Y, X)` of volumes that are large and random, this plane alone is kept: what they were computed from
is drawn again by torch with seed 0, vectors first."""
PLANES = ("embedding", "weight", "affs", "entropy", "grad", "affs_bgFalse", "affs_bgTrue")
GROUPS = ("cpv_label_3class", "embedseg_2d_case1", "embedseg_2d_case3", "ppp_2d", "ppp_paper_2d")
"""Results of the same input."""
NUCLEI = (
    "cb4df20a83b2f38b394c67f1d9d4aef29f9794d5345da3576318374ec3a11490",  # the same field as one of `test`
    "16c3d5935ba94b720becc24b7a05741c26149e221e3401924080f41e2f891368",  # masks in several pieces
    "00071198d059ba7f5914a526d124d28e6d010c92466da21d4a04cd5413362552",
    "91cc2e0d4d6e2c1ad59a8d63bcbe3e2ea8bc7f8e642e942a0113450181e73379",
    "a246bcaa64af48ee5ca181cd594c0fc43466e7614406eb8bc01199a16ebc95d0",
)
STAINED = (
    "af576e8ec3a8d0b57eb6a311299e9e4fd2047970d3dd9d6f52e54ea6a91109da",
    "a08166d91d2cca263d2dd52764dc25c9c582b7a5ece2b802749fa4be33187c49",
    "4ae4f936a9ade472764dad80f60f7168e4be067aa66ce9d06d60ebe34951dca4",
    "091944f1d2611c916b98c020bd066667e33f4639159b2a92407fe5a40788856d",  # grey
    "1b44d22643830cd4f23c9deadb0bd499fb392fb2cd9526d81547d93077d983df",  # grey
)
SETS = {"dsb2018": ("test", 20, NUCLEI), "dsb2018_color": ("", 0, STAINED), "bbbc039": ("test", 1, ())}
"""Data set: the first so many images of a split, and others."""
CROP = (256, 320)


def arrays(shared: Path) -> None:
    """The published results."""
    kept = {}
    for pattern, wanted in ARRAYS.items():
        for file in sorted(shared.glob(f"oracles/{pattern}.npz")):
            with np.load(file) as data:
                names = [n for n in data.files if any(Path(n).match(w) for w in wanted.split())]
                kept[file.stem] = {n: data[n] for n in names}
    if (cac := kept.get("cac_embedding_affinity")) is not None:
        cac.update({name: cac[name][..., PLANE, :, :] for name in PLANES})
    for group in GROUPS:
        members = [found for name, found in kept.items() if name.startswith(f"{group}_")]
        common = {}
        for key in sorted(set().union(*members)):
            having = [found[key] for found in members if key in found]
            if len(having) > 1 and all(np.array_equal(having[0], other) for other in having[1:]):
                common[key] = having[0]
        for found in members:
            for key in common:
                found.pop(key, None)
        kept[group] = common
    for name, found in sorted(kept.items()):
        target = GOLDEN / "published" / f"{name}.npz"
        np.savez_compressed(target, **found)


def images(shared: Path) -> None:
    """A few images and masks of each set, as data sets."""
    for name, (split, count, more) in SETS.items():
        source, target = shared / "data" / name, GOLDEN / name
        splits = json.loads((source / "splits.json").read_text())
        chosen = {*splits.get(split, [])[:count], *more}
        few = {key: [i for i in ids if i in chosen] for key, ids in splits.items()}
        for folder in ("images", "masks"):
            (target / folder).mkdir(parents=True)
            for image in sorted(chosen):
                array = tifffile.imread(source / folder / f"{image}.tif")
                if name == "dsb2018_color":
                    array = array[: CROP[0], : CROP[1]]
                colour = {"photometric": "rgb"} if array.ndim == 3 else {}
                tifffile.imwrite(target / folder / f"{image}.tif", array, compression="zlib", predictor=True, **colour)
        (target / "splits.json").write_text(json.dumps({k: v for k, v in few.items() if v}, indent=1) + "\n")
        shutil.copyfile(source / "meta.json", target / "meta.json")


def package(shared: Path) -> None:
    """A model of the zoo in both formats: one archive, since all but the descriptions are the same files."""
    target = GOLDEN / "nuclei-broad-onnx.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for version in ("0_4", "0_5"):
            with zipfile.ZipFile(shared / "data" / "zoo" / f"nuclei-broad-onnx-v{version}.zip") as source:
                for name in sorted(set(source.namelist()) - set(archive.namelist())):
                    archive.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)


def descriptions(shared: Path) -> None:
    """What the models of the collection say of themselves: name, kinds of weights, licence."""
    every = json.loads((shared / "data" / "bioimageio_index" / "all_rdfs.json").read_text())
    models = {m["_path"].split("/")[2]: m for m in every if m.get("type") == "model"}
    facts = {
        name: {
            "name": " ".join(model["name"].split()),
            "weights": sorted(kind for kind, weights in (model.get("weights") or {}).items() if weights),
            "licence": str(model.get("license") or "unknown"),
        }
        for name, model in sorted(models.items())
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(f)}" for name, f in facts.items())
    (GOLDEN / "collection.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    shared = parser.parse_args().shared
    for name in ("published", *SETS):
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
    (GOLDEN / "published").mkdir(parents=True)
    for make in (arrays, images, package, descriptions):
        make(shared)


if __name__ == "__main__":
    main()
