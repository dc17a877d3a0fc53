from __future__ import annotations

import ast
import io
import os
import pickle
import stat
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import packages
from toolkit.errors import InputError, ModelError
from toolkit.registry.gate import archive, code, graph, tensors, yaml
from toolkit.registry.gate.process import Child

ROOT = Path(__file__).resolve().parents[3]
READERS = {
    "torch.load", "torch.jit.load", "jit.load", "onnx.load", "onnx.load_model", "onnx.load_model_from_string",
    "onnxruntime.InferenceSession", "zipfile.ZipFile", "ZipFile", "pickle.load", "pickle.loads", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "marshal.loads", "eval", "exec", "spec_from_file_location",
}  # fmt: skip


@pytest.mark.slow
def test_no_module_outside_the_gate_reads_foreign_bytes() -> None:
    found = []
    sources = [*(ROOT / "toolkit").rglob("*.py"), *(ROOT / "plugins").glob("*/toolkit_*/**/*.py")]
    for path in sources:
        # The graph that an export has just written is not foreign; the gate reads YAML as recipes are read; zips of
        # outlines are no models, nothing of them is unpacked, and `rois.py` only writes one.
        if "gate" in path.parts or path.name in ("to_onnx.py", "plain_yaml.py", "contours.py", "rois.py"):
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))) if isinstance(node, ast.Call)]
        names = [(path.name, node.lineno, ast.unparse(node.func)) for node in calls]
        found += [name for name in names if name[2] in READERS]
    assert found == []


def test_a_zip_and_a_folder_of_the_same_files_have_one_digest(tmp_path: Path) -> None:
    files = {"rdf.yaml": b"a: 1", "inner/x.npy": b"123"}
    packages.zipped(tmp_path / "a.zip", files)
    for name, data in files.items():
        target = tmp_path / "folder" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    zipped, folder = (archive.open_package(tmp_path / name) for name in ("a.zip", "folder"))
    assert zipped.digest == folder.digest
    assert zipped.read("inner/x.npy") == folder.read("inner/x.npy") == b"123"
    (tmp_path / "folder" / "rdf.yaml").write_bytes(b"a: 2")
    assert archive.open_package(tmp_path / "folder").digest != zipped.digest


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "C:x", "a//b", "./a", "a\nb", "a/."])
def test_a_name_that_could_leave_the_package_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="file name that is refused"):
        archive.open_package(packages.zipped(tmp_path / "a.zip", {name: b"x"}))


def test_names_that_a_file_system_may_take_for_one_are_refused(tmp_path: Path) -> None:
    for number, (first, second) in enumerate([("a.py", "A.py"), ("é", "e\u0301")]):
        with pytest.raises(ModelError, match="two files of one name"):
            archive.open_package(packages.zipped(tmp_path / f"{number}.zip", {first: b"1", second: b"2"}))


def test_a_link_in_a_zip_or_a_folder_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="link"):
        archive.open_package(tmp_path / "a.zip")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").symlink_to("/etc/passwd")
    with pytest.raises(ModelError, match="plain files"):
        archive.open_package(tmp_path / "folder")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unpacks to far more"):
        archive.open_package(packages.zipped(tmp_path / "a.zip", {"x": b"\0" * 2**24}))
    assert archive.open_package(packages.zipped(tmp_path / "b.zip", {"x": b"\0" * 2**20})).sizes["x"] == 2**20


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    whole = packages.zipped(tmp_path / "a.zip", {"x": os.urandom(100), "y": os.urandom(100)}).read_bytes()
    start = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 1)
    forged = bytearray(whole)
    forged[start + 42 : start + 46] = (10).to_bytes(4, "little")
    (tmp_path / "b.zip").write_bytes(forged)
    with pytest.raises(ModelError, match="overlap"):
        archive.open_package(tmp_path / "b.zip")


def test_a_file_that_changed_since_it_was_hashed_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    files = archive.open_package(tmp_path)
    assert files.hashes == {"x": packages.sha256(b"1")}
    (tmp_path / "x").write_bytes(b"2")
    with pytest.raises(ModelError, match="sha256"):
        files.read("x")


def test_an_absent_package_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model package"):
        archive.open_package(tmp_path / "none.zip")


def test_yaml_is_read_as_version_1_2() -> None:
    text = b"%YAML 1.2\n---\na: 1e-6\nb: [y, x, yes, on]\nc: -.inf\nd:\ne: 2019-12-11T12:22:32Z\nf: 017\n"
    found = yaml.parse(text, "here")
    assert found == {
        "a": 1e-6,
        "b": ["y", "x", "yes", "on"],
        "c": -np.inf,
        "d": None,
        "e": "2019-12-11T12:22:32Z",
        "f": 17,
    }


@pytest.mark.parametrize(
    "text",
    [b"a: &x 1\nb: *x", b"a: !!python/object/apply:os.system [ls]", b"- 1", b"a: 1\na: 2", b"[" * 5000, b"\xff\xfe\x00",
     b"a: !x 1", b"? [1]\n: 2", b"a: " + b"1" * 2**20, b"a: {b: [}", b"", b"a: !!binary x", b"a: 1\n---\nb: 2",
     b"{" * 70 + b"}" * 70],
)  # fmt: skip
def test_yaml_that_is_not_small_plain_data_is_refused(text: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(ModelError):
        yaml.parse(text, "here")
    assert time.monotonic() - began < 5


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=10
        ),
    )
)
def test_yaml_gives_back_what_was_written(data: dict) -> None:
    import yaml as written

    # Quoted: the library writes YAML 1.1, in which a plain 0E0 is text; we read YAML 1.2, in which it is a number.
    assert yaml.parse(written.safe_dump(data, default_style='"').encode(), "here") == data


class Evil:
    def __reduce__(self) -> tuple:
        return (os.system, ("exit 3",))


@pytest.mark.parametrize(
    "made",
    [
        packages.pt({"a": Evil()}),
        pickle.dumps({"a": torch.zeros(1)}),
        packages.pt({"a": torch.zeros(2, 2).to_sparse()}),
        packages.pt({1: torch.zeros(2)}),
        packages.pt({"a": 3}),
        packages.pt(torch.nn.Linear(1, 1)),
        packages.pt({"a": torch.zeros(2, dtype=torch.complex64)}),
        packages.torchscript(),
        b"",
        b"PK\x03\x04",
    ],
)
def test_what_is_no_plain_state_dict_is_refused(made: bytes) -> None:
    with pytest.raises(ModelError):
        tensors.state_dict(made, "here")


def test_state_dicts_of_old_and_new_files_are_read() -> None:
    stream = io.BytesIO()
    torch.save(packages.state_dict(), stream, _use_new_zipfile_serialization=False)
    for data in (
        packages.pt(packages.state_dict()),
        stream.getvalue(),
        packages.pt({"state_dict": packages.state_dict()}),
    ):
        found = tensors.state_dict(data, "here")
        assert found.keys() == {"conv.weight", "conv.bias"}
        assert float(found["conv.weight"]) == packages.WEIGHT


def test_arrays_whose_header_lies_are_refused() -> None:
    made = packages.npy(np.arange(6.0).reshape(2, 3))
    assert np.array_equal(tensors.array(made, "here"), np.arange(6.0).reshape(2, 3))
    assert np.array_equal(tensors.array(packages.npy(np.asfortranarray(np.eye(3))), "here"), np.eye(3))
    for bad in (
        made[:-1],
        made + b"x",
        made.replace(b"(2, 3)", b"(9, 3)"),
        packages.npy(np.array(["a"])),
        b"\x93NUMPY",
    ):
        with pytest.raises(ModelError, match="array is damaged"):
            tensors.array(bad, "here")


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", ""])
def test_a_graph_reads_no_file_outside_its_package(location: str) -> None:
    def read(name: str) -> bytes:
        raise ModelError("the package lacks a file that it names", name)

    made = packages.onnx_graph(external={"location": location, "offset": 0, "length": 4})
    with pytest.raises(ModelError, match="lacks a file"):
        graph.load(made, read, "here", ["CPUExecutionProvider"])


def test_a_graph_with_data_beside_it_runs_on_what_the_package_holds() -> None:
    made = packages.onnx_graph(external={"location": "d", "offset": 4, "length": 4})
    data = {"d": np.array([9.0, 3.0], np.float32).tobytes()}
    found = graph.load(made, data.__getitem__, "here", ["CPUExecutionProvider"])
    assert float(found([np.ones((1, 1, 1, 1), np.float32)])[0].reshape(())) == 3 * 1 + 3
    for wrong in ({"offset": 8}, {"length": 99}, {"offset": -4}):
        bad = packages.onnx_graph(external={"location": "d", "offset": 4, "length": 4, **wrong})
        with pytest.raises(ModelError):
            graph.load(bad, data.__getitem__, "here", ["CPUExecutionProvider"])


def test_a_graph_with_operators_of_its_own_is_refused() -> None:
    with pytest.raises(ModelError, match="operators of its own"):
        graph.load(packages.onnx_graph(opsets={"": 18, "evil": 1}), {}.__getitem__, "here", ["CPUExecutionProvider"])


class Marker:
    """A pickle of it makes a folder when it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def test_without_its_first_layer_the_second_refuses_a_pickle_that_is_code(
    marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "_check_pickle", lambda *_: None)
    with pytest.raises(ModelError):
        tensors.state_dict(packages.pt({"a": Marker(marker)}), "here")
    assert not marker.exists()


@pytest.fixture
def second_layer_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torch executed whatever it reads."""
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **how: load(*args, **{**how, "weights_only": False}))


@pytest.mark.usefixtures("second_layer_open")
@pytest.mark.parametrize(("protocol", "why"), [(2, "names posix.mkdir"), (4, "opcode STACK_GLOBAL")])
def test_no_opcode_is_executed_of_a_pickle_that_names_something_else(protocol: int, why: str, marker: Path) -> None:
    stream = io.BytesIO()
    torch.save({"a": Marker(marker)}, stream, pickle_protocol=protocol)
    with pytest.raises(ModelError, match=why):
        tensors.state_dict(stream.getvalue(), "here")
    assert not marker.exists()


@pytest.mark.usefixtures("second_layer_open")
def test_every_pickle_of_a_legacy_file_is_looked_at(marker: Path) -> None:
    stream = io.BytesIO()
    torch.save({"a": Marker(marker)}, stream, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match="full pickle"):
        tensors.state_dict(stream.getvalue(), "here")
    assert not marker.exists()


def test_only_listed_networks_are_imported_whatever_asks_for_them(marker: Path) -> None:
    with pytest.raises(ModelError, match="not a known network"):
        code.from_library("os", "mkdir", {"path": str(marker)})
    with pytest.raises(ModelError, match="not a known network"):
        code.from_library("monai.networks.nets", "HoVerNet", {})
    assert not marker.exists()


def test_a_network_file_that_nobody_reviewed_is_not_executed(marker: Path) -> None:
    with pytest.raises(ModelError, match="not reviewed"):
        code.from_reviewed(f"import os\nos.mkdir({str(marker)!r})\n".encode(), "Net", {}, "net.py")
    assert not marker.exists()


def test_trusted_code_sees_no_environment_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "secret")
    source = packages.NET + "import os\nif 'SOME_TOKEN' in os.environ:\n    raise SystemExit('it knows the token')\n"
    task = {"kind": "state_dict", "name": "net.py", "callable": "Net", "kwargs": {}, "strict": True}
    child = Child(task, [source.encode(), packages.pt(packages.state_dict())], "net.py")
    (found,) = child([np.ones((1, 1, 2, 2), np.float32)], "cpu")
    assert (found == packages.WEIGHT + packages.BIAS).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "made", [torch.eye(2).to_sparse(), torch.zeros(2, dtype=torch.complex64), torch.zeros(2, device="meta"), 3]
)
def test_a_tensor_that_is_not_dense_is_refused_whatever_let_it_pass(made: object) -> None:
    with pytest.raises(ModelError, match="the state dict holds something that is no"):
        tensors._dense(made, 10**6, "here")
