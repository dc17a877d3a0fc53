"""Packages whose ONNX graph asks for too much, or gives something else than an image: name → zip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tests import packages
from tests.battery.bent import edited, nothing

Case = tuple[str, bytes]


def graphs() -> dict[str, bytes]:
    cases = (*_sizes(), *_loops(), *_outputs(), *_inputs(), *_functions(), *_tensors(), *_odd())
    return {f"ONNX: {name}": edited("onnx", nothing, net__onnx=graph) for name, graph in cases}


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str] = ("out",), **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, list(inputs), list(outputs), **attributes)


def _value(name: str, value: Any, dtype: Any = np.int64) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array(value, dtype), name)


def _info(name: str = "in", shape: Any = ("b", 1, "y", "x"), kind: int = 1) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    nodes: Sequence[Any],
    initial: Sequence[Any] = (),
    inputs: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    opsets: dict[str, int] | None = None,
    functions: Sequence[Any] = (),
    change: Callable[[Any], object] = lambda model: None,
) -> bytes:
    from onnx import helper

    kept = [_value("weight", [[[[2.0]]]], np.float32), _value("bias", [-0.5], np.float32)]
    graph = helper.make_graph(list(nodes), "net", [_info()] if inputs is None else list(inputs),
                              list(outputs or [_info("out")]), [*kept, *initial])  # fmt: skip
    made = [helper.make_opsetid(*entry) for entry in (opsets or {"": 18}).items()]
    model = helper.make_model(graph, opset_imports=made, ir_version=9, functions=list(functions))
    change(model)
    return model.SerializeToString()


def _summed(*nodes: Any) -> list[Any]:
    """The sum of `big`, added to the input."""
    return [*nodes, _node("ReduceSum", ["big"], ["s"], keepdims=0), _node("Add", ["in", "s"])]


def _sizes() -> Iterator[Case]:
    for size in ([10**6, 10**6], [800_000_000]):
        yield f"zeros of {size}", _model(_summed(_node("ConstantOfShape", ["n"], ["big"])), [_value("n", size)])
    yield "tiles", _model(_summed(_node("Tile", ["in", "n"], ["big"])), [_value("n", [1, 1, 10**5, 10**5])])
    ends = [_value(n, v, np.float32) for n, v in (("a", 0.0), ("b", 1e11), ("c", 1.0))]
    yield "a range", _model(_summed(_node("Range", ["a", "b", "c"], ["big"])), ends)
    scales = [_value("n", [1, 1, 1e4, 1e4], np.float32)]
    yield "enlarged", _model(_summed(_node("Resize", ["in", "", "n"], ["big"])), scales)
    outer = _node("Einsum", ["in"] * 3, ["big"], equation="abcd,efgh,ijkl->bcdfghjkl")
    yield "an outer product", _model(_summed(outer))
    yield "a shape that lies", _model([_node("Reshape", ["in", "n"])], [_value("n", [-1, 0, 0, 0, 0, 0])])
    yield "an index beyond", _model([_node("Gather", ["in", "n"], axis=3)], [_value("n", [10**9])])


def _loops() -> Iterator[Case]:
    from onnx import TensorProto, helper

    def body(*more: Any) -> Any:
        return helper.make_graph(
            [_node("Identity", ["ci"], ["co"]), *more], "body",
            [_info("it", [], TensorProto.INT64), _info("ci", [], TensorProto.BOOL), _info("xi", None)],
            [_info("co", [], TensorProto.BOOL), _info("xo", None)],
        )  # fmt: skip

    same, doubled = body(_node("Identity", ["xi"], ["xo"])), body(_node("Concat", ["xi", "xi"], ["xo"], axis=1))
    ever = [_value("m", 2**62), _value("t", True, bool)]
    yield "a loop for ever", _model([_node("Loop", ["m", "t", "in"], body=same)], ever)
    folded = [_node("Loop", ["m", "t", "bias"], ["l"], body=same), _node("Add", ["in", "l"])]
    yield "a loop over constants for ever", _model(folded, ever)
    grows = _summed(_node("Loop", ["m", "t", "in"], ["big"], body=doubled))
    yield "a loop that doubles", _model(grows, [_value("m", 64), _value("t", True, bool)])


def _outputs() -> Iterator[Case]:
    from onnx import TensorProto, helper

    newer = {"FLOAT8E4M3FN": 19, "INT4": 21}
    for kind in ("STRING", "INT64", "BOOL", "BFLOAT16", "DOUBLE", "FLOAT16", *newer):
        number = getattr(TensorProto, kind)
        node, info = _node("Cast", ["in"], to=number), _info("out", None, number)
        yield f"gives {kind}", _model([node], outputs=[info], opsets={"": newer.get(kind, 18)})
    sequence = helper.make_tensor_sequence_value_info("out", 1, None)
    yield "gives a sequence", _model([_node("SequenceConstruct", ["in"])], outputs=[sequence])
    tensor = helper.make_tensor_type_proto(1, None)
    perhaps = helper.make_value_info("out", helper.make_optional_type_proto(tensor))
    yield "gives nothing", _model([_node("Optional", [], type=tensor)], outputs=[perhaps])
    yield "gives one number", _model([_node("ReduceSum", ["in"], keepdims=0)], outputs=[_info("out", [])])
    mapping = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(1, []))
    maps = helper.make_value_info("out", helper.make_sequence_type_proto(mapping))
    zipped = _node("ZipMap", ["r"], domain="ai.onnx.ml", classlabels_int64s=list(range(64)))
    yield "gives a table", _model([_node("Reshape", ["in", "n"], ["r"]), zipped], [_value("n", [-1, 64])],
                                  outputs=[maps], opsets={"": 18, "ai.onnx.ml": 3})  # fmt: skip


def _inputs() -> Iterator[Case]:
    from onnx import TensorProto, helper

    yield "takes nothing", _model([_node("Identity", ["weight"])], inputs=[])
    yield "takes two images", _model([_node("Add", ["in", "other"])], inputs=[_info(), _info("other")])
    several = helper.make_tensor_sequence_value_info("in", 1, None)
    yield "takes a sequence", _model([_node("SequenceAt", ["in", "z"])], [_value("z", 0)], inputs=[several])
    text = [_node("StringNormalizer", ["in"], ["s"]), _node("Identity", ["weight"])]
    yield "takes text", _model(text, inputs=[_info(kind=TensorProto.STRING)])
    yield "takes five axes", _model([_node("Identity", ["in"])], inputs=[_info(shape=[1, 1, 1, 64, 64])])


def _functions() -> Iterator[Case]:
    from onnx import helper

    def calls(domain: str, name: str, *called: Any) -> Any:
        used = [helper.make_opsetid("", 18), helper.make_opsetid(domain, 1)]
        return helper.make_function(domain, name, ["a"], ["b"], called, used)

    for domain in ("evil", "com.microsoft"):
        own = calls(domain, "F", _node("F", ["a"], ["b"], domain=domain))
        node = _node("F", ["in"], domain=domain)
        yield f"a function that calls itself in {domain}", _model([node], opsets={"": 18, domain: 1}, functions=[own])
    used = [helper.make_opsetid("", 18)]
    plain = helper.make_function("ai.onnx", "F", ["a"], ["b"], [_node("F", ["a"], ["b"], domain="ai.onnx")], used)
    yield "a function that calls itself in ai.onnx", _model(
        [_node("F", ["in"], domain="ai.onnx")], opsets={"": 18, "ai.onnx": 18}, functions=[plain])  # fmt: skip
    where = "com.microsoft"
    twice = [calls(where, "F0", _node("Relu", ["a"], ["b"]))]
    for k in range(1, 26):
        steps = [_node(f"F{k - 1}", [a], [b], domain=where) for a, b in (("a", "m"), ("m", "b"))]
        twice.append(calls(where, f"F{k}", *steps))
    yield "functions that call each other 2^25 times", _model(
        [_node("F25", ["in"], domain=where)], opsets={"": 18, where: 1}, functions=twice)  # fmt: skip
    context = _node("EPContext", ["in"], domain=where, ep_cache_context="/etc/passwd", embed_mode=0, source="CPU",
                    main_context=1)  # fmt: skip
    yield "a context in a file", _model([context], opsets={"": 18, where: 1})
    branch = helper.make_graph([_node("Identity", ["in"], ["o0"])], "g0", [], [_info("o0", None)])
    for k in range(1, 12):
        step = _node("If", ["c"], [f"o{k}"], then_branch=branch, else_branch=branch)
        branch = helper.make_graph([step], f"g{k}", [], [_info(f"o{k}", None)])
    both = _node("If", ["c"], then_branch=branch, else_branch=branch)
    yield "branches of branches", _model([both], [_value("c", True, bool)])


def _tensors() -> Iterator[Case]:
    from onnx import SparseTensorProto, TensorProto

    def lying(*dims: int) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            model.graph.initializer.append(TensorProto(name="lie", data_type=1, dims=dims, raw_data=b"1234"))

        return change

    def sparse(size: int, at: list[int]) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            values, places = _value("lie", np.ones(2), np.float32), _value("at", at)
            model.graph.sparse_initializer.append(SparseTensorProto(values=values, indices=places, dims=[size]))

        return change

    added = [_node("Add", ["in", "lie"])]
    for size in (2**40, -1):
        yield f"a tensor of size {size}", _model(added, change=lying(size))
    yield "a sparse tensor beyond itself", _model(added, change=sparse(4, [10**9, -5]))
    yield "a sparse tensor of size 2^40", _model(added, change=sparse(2**40, [1, 2]))
    for name, where in (
        ("in a folder", {"location": "."}), ("before a file", {"location": "in.npy", "offset": -4, "length": 4}),
        ("of a length that is text", {"location": "in.npy", "length": "0x4"}),
    ):  # fmt: skip
        yield f"data {name}", packages.onnx_graph(external=where)


def _odd() -> Iterator[Case]:
    from onnx import TensorProto

    training = [_value("r", 0.5, np.float32), _value("t", True, bool)]
    yield "trains", _model([_node("Dropout", ["in", "r", "t"])], training)
    yield "rolls dice", _model([_node("RandomNormalLike", ["in"])])
    cast = [_node("Cast", ["in"], ["a"], to=TensorProto.INT32), _node("Div", ["a", "z"], ["d"]),
            _node("Cast", ["d"], to=1)]  # fmt: skip
    yield "divides by zero", _model(cast, [_value("z", 0, np.int32)])
    names = ["in", *(f"t{i}" for i in range(1, 20000)), "out"]
    yield "20 000 nodes", _model([_node("Relu", [a], [b]) for a, b in pairwise(names)])
    yield "in another format", b"\x20\0\0\0ORTM" + b"\0" * 200

    def settings(model: Any) -> None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "ort_config", '{"session_options": {"custom_op_library": "x.so"}}'

    yield "settings of its own", _model([_node("Identity", ["in"])], change=settings)
