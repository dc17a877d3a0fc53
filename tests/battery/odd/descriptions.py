"""Descriptions of a good ONNX package with one odd value: name → zip. All else is as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.battery.bent import edited

NAN, INFINITE = float("nan"), float("inf")
ESCAPES = "\x1b]0;pwned\x07\x1b[31mevil\u202e"
TEXTS = (ESCAPES, "../../../x", "MIT [/b]", "x\nerror: y")
SPACE = ("inputs/0/axes/2", "inputs/0/axes/3")
MADE = ("outputs/0/axes/2", "outputs/0/axes/3")


def put(plain: Any, path: str, value: Any) -> None:
    """Set what is at a path of keys and indices."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    for part in parents:
        plain = plain[part]
    plain[last] = value


def _all(path_values: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def change(plain: dict[str, Any]) -> None:
        for path, value in path_values.items():
            put(plain, path, value)

    return change


def _own(**change: Any) -> dict[str, Any]:
    """What this toolkit might have written into a package, with something else in it."""
    return {"config": {"toolkit": {"schema": "toolkit.package/1", "owner": None, "recipe": {}, "plugins": {},
                                   "weights": {"source": "net.onnx", "sha256": "0"}, **change}}}  # fmt: skip


def _recipe(**change: Any) -> dict[str, Any]:
    return _own(recipe={"schema": "toolkit.recipe/1", "name": "a", **change})


def _affinities(offsets: Any) -> dict[str, Any]:
    axis = {"type": "channel", "channel_names": ["affinity_a", "affinity_b"]}
    return {"outputs/0/id": "affinities", "outputs/0/axes/1": axis, "config": {"offsets": offsets}}


def _before(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"inputs/0/preprocessing": [{"id": name, "kwargs": kwargs}]}


def _after(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"outputs/0/postprocessing": [{"id": name, "kwargs": kwargs}]}


SIZES = (
    -16, 0, 10**9, 2**63, {"min": -100, "step": 16}, {"min": 10**9, "step": 1}, {"min": 1, "step": 10**9},
    {"min": 0, "step": 0}, {"min": 16, "step": -16}, "64", [64], True, 1.5, {"tensor_id": "raw", "axis_id": "y"},
    {"tensor_id": "nope", "axis_id": "q"}, {"min": "a", "step": "b"}, NAN,
)  # fmt: skip
DTYPES = ("load", "complex64", "quint8", "bfloat16", "float8_e4m3fn", "float128", ["float32"], 5, None, "__class__")


def _odd() -> Iterator[tuple[str, dict[str, Any]]]:
    for value in ([1], "x", 5):
        yield f"config is {value!r}", {"config": value}
    for value in ("x", {}, [1]):
        yield f"config.toolkit is {value!r}", {"config": {"toolkit": value}}
    for owner in (["x"], 5, {}, "\x1b[31m"):
        yield f"an owner that is {owner!r}", _own(owner=owner)
    yield "an empty recipe", _own()
    yield "a plugin whose name is a path", _own(plugins={"../../x": 1})
    yield "a recipe of numbers", _recipe(network=5, loss=5, postprocess=5)
    yield "a recipe whose kinds are lists", _recipe(network={"kind": ["a"]}, loss={"kind": {}})
    yield "a recipe without a name", _recipe(name=None)
    for offsets in ([["a", "b"], ["c", "d"]], [[NAN, 1], [1, INFINITE]], [[10**12, 0], [0, 10**12]], 7, [[1]]):
        yield f"offsets {offsets}", _affinities(offsets)
    for size in SIZES:
        yield f"input size {size!r}", {f"{axis}/size": size for axis in SPACE}
    for halo in (10**9, -5, "a", NAN):
        yield f"a halo of {halo!r}", {f"{axis}/halo": halo for axis in MADE}
    for scale in (0, -1, 1e-300, INFINITE, "a"):
        yield f"a scale of {scale!r}", {f"{axis}/scale": scale for axis in SPACE}
    yield (
        "an offset beyond the image",
        {f"{axis}/size": {"tensor_id": "raw", "axis_id": "y", "offset": -2 * 10**9} for axis in MADE},
    )
    for count in (0, 20000):
        yield f"{count} channels", {"inputs/0/axes/1/channel_names": [f"c{i}" for i in range(count)]}
    yield "an axis of an unknown type", {"inputs/0/axes/0": {"type": "evil", "id": "q"}}
    yield "an image of one axis", {"inputs/0/axes": [{"type": "space", "id": "y", "size": 64}]}
    yield "axes that are a mapping", {"inputs/0/axes": {"a": 1}}
    yield "inputs that are text", {"inputs": "abc"}
    yield "weights that are a list", {"weights": [1]}
    yield "weights of an unknown kind", {"weights": {"evil": {"source": "net.onnx"}}}
    for source in (["a"], "/etc/passwd", "../../../../etc/passwd", "file:///etc/passwd", r"\\evil\share\x", "", None):
        yield f"weights at {source!r}", {"weights/onnx/source": source, "weights/onnx/sha256": None}
    yield "weights that are their own parents", {"weights/onnx/parent": "onnx"}
    for digest in (5, ["a"], "0" * 64):
        yield f"a sha256 that is {digest!r}", {"weights/onnx/sha256": digest}
    for version in ([0, 5], "0.5evil", None, 0.5):
        yield f"format version {version!r}", {"format_version": version}
    for kind in (["model"], ESCAPES):
        yield f"of type {kind!r}", {"type": kind}
    for key in ("name", "license", "description", "version"):
        for value in (*TEXTS, "a" * 100_000):
            yield f"{key} {value[:40]!r}", {key: value}
        yield f"{key} that is a list", {key: ["a"]}
    yield "a tensor with escapes in its name", {"inputs/0/id": ESCAPES}
    yield "an operation that is code", _before("__import__")
    yield "arguments that are a list", {"inputs/0/preprocessing": [{"id": "clip", "kwargs": [1]}]}
    for dtype in DTYPES:
        yield f"input of type {dtype!r}", _before("ensure_dtype", dtype=dtype)
        yield f"output of type {dtype!r}", _after("ensure_dtype", dtype=dtype)
    yield "input of unsigned numbers, normalised", {
        "inputs/0/preprocessing": [{"id": "ensure_dtype", "kwargs": {"dtype": "uint32"}},
                                   {"id": "zero_mean_unit_variance"}]}  # fmt: skip
    for low in (-1e9, "a", NAN, [1], True):
        yield f"percentile {low!r}", _before("scale_range", min_percentile=low)
    for axes in (5, "evil", ["q"], [[]]):
        yield f"normalised over {axes!r}", _before("zero_mean_unit_variance", axes=axes)
    yield "an eps that is text", _before("zero_mean_unit_variance", eps="x")
    yield "a gain of lists", _before("scale_linear", gain=[[1, [2]]])
    yield "65 536 bounds", _before("clip", min=[0] * 65536, max=1)
    yield "bounds that broadcast", _before("clip", min=[[[[0]] * 3000]], max=1)
    yield "softmax over nothing", _after("softmax", axis="evil")
    yield "10 000 operations", {"outputs/0/postprocessing": [{"id": "sigmoid"}] * 10000}
    yield "scaled like a tensor that is not there", _after("scale_mean_variance", reference_tensor="evil")


RUN = {
    "config.toolkit is 'x'", "config.toolkit is [1]", "offsets 7", "offsets [[1]]", "input size '64'",
    "input size True", "input size 1.5", "input size {'tensor_id': 'raw', 'axis_id': 'y'}",
    "input size {'tensor_id': 'nope', 'axis_id': 'q'}", "a scale of 0", "weights that are their own parents",
    "format version '0.5evil'", "format version 0.5", "a tensor with escapes in its name", "normalised over 'evil'",
    "normalised over ['q']", "normalised over [[]]", "no sha256", "a sha256 in capitals",
    *(f"{key} {value!r}" for key in ("name", "license", "description", "version") for value in TEXTS),
    *(f"{key} that is a list" for key in ("name", "license", "description", "version")), f"description {'a' * 40!r}",
}  # fmt: skip
"""Those that run all the same: what is odd changes nothing, or says what it must."""


def descriptions() -> dict[str, bytes]:
    made = {name: edited("onnx", _all(change)) for name, change in _odd()}
    made["inputs twice"] = edited("onnx", lambda plain: plain.update(inputs=plain["inputs"] * 2))
    made["two outputs of one"] = edited("onnx", lambda p: p["outputs"].append({**p["outputs"][0], "id": "second"}))
    made["no sha256"] = edited("onnx", lambda plain: plain["weights"]["onnx"].pop("sha256"))
    upper = edited("onnx", lambda p: p["weights"]["onnx"].update(sha256=p["weights"]["onnx"]["sha256"].upper()))
    return made | {"a sha256 in capitals": upper}
