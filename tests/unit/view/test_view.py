from __future__ import annotations

import http.client
import json
import re
import shutil
import threading
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.view.looked_at import discs, result
from toolkit import view
from toolkit.cli import main
from toolkit.errors import InputError, UsageError
from toolkit.registry.package import file_digest
from toolkit.values.image import Image
from toolkit.values.instances import Instances
from toolkit.view.answers import Answers, answer
from toolkit.view.codes import channels, coded
from toolkit.view.embedded import whole
from toolkit.view.found import chosen, other, results, truth
from toolkit.view.levels import pyramid
from toolkit.view.page import PARTS, SCRIPT, page
from toolkit.view.painted import Painted
from toolkit.view.pyramid import ACROSS, Cut, Pyramid
from toolkit.view.scene import Scene, scene
from toolkit.view.serve import served
from toolkit.view.table import matched, table

HOSTILE = "</script><img src=x onerror=alert(1)>"


def shown(folder: Path, shape: tuple[int, ...] = (300, 400), count: int = 40, **more: object) -> Scene:
    out, _ = result(folder, discs(shape, count, 1), **more)  # type: ignore[arg-type]
    return scene(results(out)[0])


def unpacked(data: bytes | None, dtype: str) -> np.ndarray:
    assert data is not None
    return np.frombuffer(zlib.decompress(data), dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_tile_of_ids_is_what_the_layers_hold_in_any_plane_and_at_any_coarseness(axis: int) -> None:
    objects = discs((24, 40, 50), 30, 2, 9)
    layers = objects.layers()
    painted = Painted(objects)
    assert painted.layers == len(layers) > 1
    rows, columns = ACROSS[axis]
    for step in (1, 2, 4):
        cut = Cut(axis, 7, (step, step), (-1, 2), (12, 9))
        expected = np.zeros((len(layers), 12, 9), np.uint32)
        for i in range(12):
            for j in range(9):
                where = [7, 7, 7]
                where[rows], where[columns] = (i - 1) * step, (j + 2) * step
                if all(0 <= w < n for w, n in zip(where, objects.shape, strict=True)):
                    expected[:, i, j] = layers[(slice(None), *where)]
        assert np.array_equal(painted.read(cut), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2), st.sampled_from([1, 2, 4]), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_a_tile_of_a_picture_is_the_mean_of_its_voxels(axis: int, step: int, row: int, column: int, flat: bool) -> None:
    shape = (1, 19, 23) if flat else (11, 19, 23)
    voxels = np.random.default_rng(5).integers(0, 1000, (2, *shape)).astype(np.uint16)
    image = Image.from_array(voxels[:, 0], "CYX") if flat else Image.from_array(voxels, "CZYX")
    at = min(3, shape[axis] - 1)
    rows, columns = ACROSS[axis]
    size = [min(3, max(0, -(-shape[a] // step) - low)) for a, low in ((rows, row), (columns, column))]
    if not all(size):
        return
    found = Pyramid([(image, (1, 1, 1))]).read(Cut(axis, at, (step, step), (row, column), (size[0], size[1])))
    plane = np.moveaxis(voxels, (1 + axis, 1 + rows, 1 + columns), (1, 2, 3))[:, at]
    for i in range(size[0]):
        for j in range(size[1]):
            part = plane[:, (row + i) * step : (row + i + 1) * step, (column + j) * step : (column + j + 1) * step]
            assert found[:, i, j] == pytest.approx(part.mean((1, 2)), rel=1e-5)


def test_a_large_plane_is_seen_through_an_overview_that_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.view.pyramid.MOST", 5000)
    smooth = np.add.outer(np.arange(600), np.arange(500)).astype(np.float32)
    seen = Pyramid([(Image.from_array(smooth), (1, 1, 1))])
    tile = seen.read(Cut(0, 0, (16, 16), (2, 1), (20, 20)))[0]
    expected = smooth[32:352, 16:336].reshape(20, 16, 20, 16).mean((1, 3))
    assert np.abs(tile - expected).max() < 2, "a slope, of which every other voxel is looked at"
    assert seen._views.keys() == {(0, 0)}


def test_the_levels_of_a_file_are_used(tmp_path: Path) -> None:
    fine = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=3)
    for name, data in (("0", fine), ("1", np.full((32, 48), 7, np.uint16))):
        group.create_array(name, data=data, dimension_names=["y", "x"])
    axes = [{"name": c, "type": "space"} for c in "yx"]
    scales = [[{"type": "scale", "scale": [s, s]}] for s in (1.0, 2.0)]
    datasets = [{"path": str(n), "coordinateTransformations": scales[n]} for n in range(2)]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    levels, _ = pyramid(tmp_path / "a.zarr", None, None)
    assert [by for _, by in levels.levels] == [(1, 1, 1), (1, 2, 2)]
    assert (levels.read(Cut(0, 0, (2, 2), (0, 0), (4, 4))) == 7).all()
    assert (levels.read(Cut(0, 0, (1, 1), (0, 0), (4, 4)))[0] == fine[:4, :4]).all()


def test_eight_bits_keep_pictures_as_they_are_and_dim_objects_apart() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    seen = Pyramid([(Image.from_array(picture, "CYX"), (1, 1, 1))])
    assert np.array_equal(coded(picture.astype(np.float32), channels(seen, ())), picture)
    wide = np.zeros((1, 100, 100), np.uint16)
    wide[0, :50], wide[0, 0, 0] = 300, 20000
    wide[0, 1, :99] = 20000
    (channel,) = channels(Pyramid([(Image.from_array(wide, "CYX"), (1, 1, 1))]), ("DAPI",))
    assert channel.name == "DAPI"
    codes = coded(np.array([[[200.0, 300.0, 400.0]]], np.float32), [channel])
    assert np.diff(codes.astype(int)).min() >= 3


def test_the_table_of_the_run_is_shown_and_where_it_is_gone_that_of_the_objects(tmp_path: Path) -> None:
    objects = discs((120, 140), 20, 3)
    out, _ = result(tmp_path, objects)
    full = table(out / "cells.objects.csv", objects, {})
    assert {"id", "score", "area_px", "class", "mean_0"} <= full.columns.keys()
    assert "area_um2" not in full.columns, "what is known of no object is no column"
    assert full.columns["area_px"] == pytest.approx(objects.sizes)
    order = list(full.columns)
    assert order.index("area_px") < order.index("mean_0") < order.index("min_y"), "what the picture shows comes last"
    own = table(None, objects, {})
    assert own.columns["centroid_x"] == pytest.approx(objects.centroids[:, 1], rel=1e-4)
    other_objects = objects.select(np.arange(3))
    assert list(table(out / "cells.objects.csv", other_objects, {}).columns) == list(own.columns)


def test_partners_are_those_with_the_largest_iou() -> None:
    labels = np.zeros((10, 30), np.int32)
    labels[:, :10], labels[:, 10:20] = 1, 2
    others = np.zeros_like(labels)
    others[:, 2:10], others[:, 10:13], others[:, 13:20] = 1, 2, 3
    a, b = Instances.from_labels(labels), Instances.from_labels(others)
    found = matched(a, b)
    assert found["match"].tolist() == [1, 3]
    assert found["iou"] == pytest.approx([0.8, 0.7])
    assert matched(b, a)["match"].tolist() == [1, 2, 2]
    assert matched(a, Instances.empty(a.shape))["match"].tolist() == [0, 0]


@contextmanager
def running(seen: Scene) -> Iterator[tuple[int, str]]:
    with served(seen) as (server, address):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], address.rstrip("/").rpartition("/")[2]
        finally:
            server.shutdown()
            thread.join()


def ask(port: int, path: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": host} if host else {})
    said = connection.getresponse()
    found = said.status, said.read(), dict(said.getheaders())
    connection.close()
    return found


def test_the_server_answers_only_to_its_own_name_and_whoever_knows_the_token(tmp_path: Path) -> None:
    with running(shown(tmp_path)) as (port, token):
        status, html, headers = ask(port, f"/{token}/")
        assert status == 200
        assert b"<!DOCTYPE html>" in html
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert ask(port, f"/{token}/", f"localhost:{port}")[0] == 200
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
            assert ask(port, f"/{token}/", host)[0] == 403
        for path in ("/", "/x/", f"/{token[:-1]}/", f"/{token}", "//", f"/{token}/../", f"/{token}/picture/0",
                     f"/{token}/picture/0/0/0/0/0/99", f"/{token}/picture/-1/0/0/0/0/0", f"/{token}/labels/5/0/0/0/0/0",
                     f"/{token}/../../etc/passwd", f"/{token}/table/²"):  # fmt: skip
            assert ask(port, path.replace("²", "%C2%B2"))[0] == 404, path
        assert ask(port, f"/{token}/", method="POST")[0] == 501
        # What is no address of a browser is answered, too.
        for line in (f"{token}", "*", f"http://127.0.0.1:{port}/{token}/", "a/b", f"/{'%00'}{token}/", "/" * 5000):
            assert ask(port, line)[0] == 404, line
    with running(shown(tmp_path)) as (_, another):
        assert another != token


def test_tiles_come_over_the_wire_as_they_are(tmp_path: Path) -> None:
    seen = shown(tmp_path)
    with running(seen) as (port, token):
        codes = unpacked(ask(port, f"/{token}/picture/0/0/0/0/1/1")[1], "u1").reshape(2, 44, 144)
        cut = Cut(0, 0, (1, 1), (256, 256), (44, 144))
        assert np.array_equal(codes, coded(seen.pictures[0].pyramid.read(cut), list(seen.pictures[0].channels)))
        ids = unpacked(ask(port, f"/{token}/labels/0/0/0/0/1/1")[1], "<u4").reshape(-1, 46, 146)
        assert np.array_equal(ids[:, 1:-1, 1:-1][:, :, :], seen.sides[0].painted.instances.layers()[:, 256:, 256:])
        columns = unpacked(ask(port, f"/{token}/table/0")[1], "<f4").reshape(len(seen.sides[0].about()["columns"]), -1)
        assert columns[0].tolist() == list(range(1, len(seen.sides[0].painted.instances) + 1))


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    seen = shown(tmp_path)
    with served(seen) as (server, _):
        port = server.server_address[1]
        with pytest.raises(UsageError, match=f"port is in use: --port {port}"), served(seen, port):
            raise AssertionError


def test_what_is_no_result_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, why in ((tmp_path / "none", "no such folder"), (tmp_path, "no result of a run")):
        with pytest.raises(InputError, match=why):
            results(path)
        assert main(["view", str(path)]) == 5
    assert "error: this is no result of a run" in capsys.readouterr().err
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="record of this result is damaged"):
        results(tmp_path)
    out, _ = result(tmp_path, discs((40, 50), 3, 1))
    with pytest.raises(InputError, match=r"no such image.*cells"):
        chosen(results(out), "cell")
    far, _ = result(tmp_path, discs((41, 50), 3, 1), "other", out="other.seg")
    with pytest.raises(InputError, match="objects of an image of"):
        scene(results(out)[0], [other(far, "cells")])


def test_of_an_image_that_is_gone_or_has_changed_the_copy_is_shown_with_a_note(tmp_path: Path) -> None:
    out, voxels = result(tmp_path, discs((60, 70), 6, 1))
    image = tmp_path / "cells.tif"
    moved = image.rename(tmp_path / "elsewhere.tif")
    seen = scene(results(out)[0])
    assert np.array_equal(seen.pictures[0].pyramid.read(Cut(0, 0, (1, 1), (0, 0), (60, 70))), voxels)
    assert seen.notes[0].startswith("a copy of the image is shown: no such file")
    assert str(image) in seen.notes[0]
    result(tmp_path, discs((61, 70), 6, 1), "b", out="b.seg")
    (tmp_path / "b.tif").rename(image)
    assert "another shape" in scene(results(out)[0]).notes[0]
    moved.replace(image)
    assert not scene(results(out)[0]).notes
    record = json.loads((out / "run.json").read_text())
    record["images"][0]["sha256"] = file_digest(image)
    (out / "run.json").write_text(json.dumps(record))
    assert not scene(results(out)[0]).notes
    tifffile.imwrite(image, voxels[:, ::-1], metadata={"axes": "CYX"}, ome=True)
    seen = scene(results(out)[0])
    assert "a copy of the image is shown: it is another image than the one" in seen.notes[0]
    assert np.array_equal(seen.pictures[0].pyramid.read(Cut(0, 0, (1, 1), (0, 0), (60, 70))), voxels)


def test_without_image_and_copy_the_objects_are_shown_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.io.zarrimage.COPIED", 0)
    out, _ = result(tmp_path, discs((60, 70), 6, 1))
    (tmp_path / "cells.tif").unlink()
    seen = scene(results(out)[0])
    assert (len(seen.pictures), len(seen.sides)) == (0, 1)
    assert seen.notes[0].startswith("the image is not shown: no such file")
    (out / "run.json").unlink()
    assert scene(results(out)[0]).notes == ("no record says which image this was",)


def test_a_result_is_found_by_its_folder_its_zarr_and_without_a_record(tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((60, 70), 6, 1))
    whole_run, one = results(out), results(out / "cells.zarr")
    assert whole_run == one
    assert one[0].image == tmp_path / "cells.tif"
    (out / "run.json").unlink()
    (bare,) = results(out)
    assert bare.name == "cells"
    assert (len(scene(bare).pictures), scene(bare).notes) == (1, ()), "its copy of the image is shown"


def test_an_image_whose_objects_are_damaged_is_not_passed_over(tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((60, 70), 6, 1))
    shutil.rmtree(out / "cells.zarr" / "instances")
    (one,) = results(out)
    with pytest.raises(InputError, match="cells"):
        scene(one)


def test_truth_and_another_run_are_set_beside_a_result(tmp_path: Path) -> None:
    objects = discs((60, 70), 6, 1)
    out, _ = result(tmp_path, objects)
    theirs, _ = result(tmp_path, objects.select(np.arange(2)), out="other.seg")
    (first,) = results(out)
    for beside in (other(theirs, "cells"), other(theirs / "cells.labels.tif", "cells"),
                   truth(str(theirs / "cells.labels.tif"), first), truth(str(theirs), first)):  # fmt: skip
        seen = scene(first, [beside])
        assert [len(side.painted.instances) for side in seen.sides] == [6, 2]
        assert seen.sides[1].table.columns["iou"] == pytest.approx([1, 1])
        assert (seen.sides[0].table.columns["match"] > 0).sum() >= 2


def test_a_page_of_its_own_holds_every_voxel_and_asks_nobody(tmp_path: Path) -> None:
    objects = discs((300, 400), 40, 1)
    out, _ = result(tmp_path, objects)
    html = whole(scene(results(out)[0]))
    assert "connect-src" not in html.partition("</head>")[0]
    blocks = dict(re.findall(r'<script type="text/plain" id="data-([\w-]+)">([^<]*)</script>', html))
    assert blocks.keys() == {"picture-0", "labels-0", "table-0"}
    ids = unpacked(b64decode(blocks["labels-0"]), "<u4").reshape(-1, 300, 400)
    assert np.array_equal(ids, objects.layers())


def test_a_page_stays_small_by_showing_fewer_voxels_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.view.embedded.MOST", 60_000)
    objects = discs((300, 400), 40, 1)
    out, _ = result(tmp_path, objects)
    html = whole(scene(results(out)[0]))
    about = json.loads(re.findall(r'id="scene">(.*?)</script>', html)[0])
    factor = about["factor"][1]
    assert factor in (2, 4)
    assert f"1 of {factor**2} voxels" in about["notes"][0]
    assert about["shape"] == [1, 300 // factor, 400 // factor]
    blocks = dict(re.findall(r'id="data-([\w-]+)">([^<]*)</script>', html))
    ids = unpacked(b64decode(blocks["labels-0"]), "<u4").reshape(-1, *about["shape"][1:])
    assert np.array_equal(ids, objects.layers()[:, ::factor, ::factor])


@pytest.mark.slow
def test_a_page_of_1024_pixels_squared_has_less_than_5_mb(tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((1024, 1024), 60, 1, 60), channels=3)
    assert len(whole(scene(results(out)[0])).encode()) < 5_000_000


def test_a_table_with_more_rows_than_objects_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects, read = discs((60, 60), 3, 1), []
    path = tmp_path / "a.objects.csv"
    path.write_text("id,score\n" + "1,1\n" * 10**5)

    def counted(stream: Iterator[str]) -> Iterator[list[str]]:
        for line in stream:
            read.append(line)
            yield line.split(",")

    monkeypatch.setattr("toolkit.view.table.csv.reader", counted)
    assert table(path, objects, {}).columns.keys() > {"id", "score", "area_px"}
    assert len(read) == len(objects) + 2


def test_voxels_of_no_size_and_a_record_that_leads_elsewhere_are_sentences(tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((60, 60), 3, 1))
    meta = out / "cells.zarr" / "instances" / "zarr.json"
    about = json.loads(meta.read_text())
    for size in ([0.0, 1.0], [1e-300, 1.0], [float("nan")] * 2, [1.0] * 9, ["x", 1]):
        about["attributes"]["voxel_size_um"] = size
        meta.write_text(json.dumps(about))
        with pytest.raises(InputError):
            scene(results(out)[0])
    record = json.loads((out / "run.json").read_text())
    for file in ("../cells.zarr", str(out / "cells.zarr"), "cells.zarr/../../x.zarr"):
        record["images"][0]["files"] = [file]
        (out / "run.json").write_text(json.dumps(record))
        with pytest.raises(InputError, match="record of this result is damaged"):
            results(out)


def test_names_with_markup_end_no_element(tmp_path: Path) -> None:
    seen = shown(tmp_path)
    hostile = Scene(HOSTILE, seen.shape, seen.voxel_size, True, "", seen.pictures, seen.sides, [HOSTILE])
    html = page(hostile)
    assert "<img" not in html
    assert html.count("</script>") == 2
    assert json.loads(re.findall(r'id="scene">(.*?)</script>', html)[0])["name"] == HOSTILE


def test_frames_are_planes_and_volumes_have_voxels_of_their_size(tmp_path: Path) -> None:
    seen = shown(tmp_path, (12, 40, 50), 8, channels=1)
    assert (seen.shape, seen.along, seen.levels) == ((12, 40, 50), "z", 1)
    flat = shown(tmp_path, (700, 900), 8, name="flat", out="flat.seg")
    assert (flat.shape, flat.along, flat.levels) == ((1, 700, 900), "", 3)
    data = answer(Answers(flat), ["picture", "0", "0", "0", "2", "0", "0"])
    assert len(unpacked(data, "u1")) == 2 * 175 * 225


def test_the_command_writes_a_page_and_replaces_no_folder(tmp_path: Path) -> None:
    out, _ = result(tmp_path, discs((60, 70), 6, 1))
    assert main(["view", str(out), "-o", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["view", str(out), "-o", str(tmp_path / "a.html")]) == 0, "a page of ours is replaced"
    (tmp_path / "folder").mkdir()
    assert main(["view", str(out), "-o", str(tmp_path / "folder")]) == 2
    for path in (out / "run.json", tmp_path / "cells.tif"):
        before = path.read_bytes()
        assert main(["view", str(out), "-o", str(path)]) == 2
        assert path.read_bytes() == before
    assert main(["view", str(out), "--with", str(out), "--truth", str(out)]) == 2


def test_the_script_names_nothing_twice() -> None:
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", SCRIPT, re.MULTILINE)
    assert len(names) > 60
    assert len(set(names)) == len(names)
    parts = [path for path in (Path(view.__file__).parent / "parts").iterdir() if path.suffix == ".js"]
    assert {path.stem for path in parts} == set(PARTS)
    assert all(len(path.read_text("utf8").splitlines()) <= 250 for path in parts)
    assert "import " not in SCRIPT
    assert "innerHTML" not in SCRIPT
    assert "eval(" not in SCRIPT
