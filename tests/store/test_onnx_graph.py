"""What a run of an ONNX file can cost: files that grow in every way that was thought of, and honest models."""

import ast
import warnings

import numpy as np
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from mlops_lab.store import safety
from mlops_lab.store.safety import allowed
from mlops_lab.store.safety.onnx_file import _functions
from mlops_lab.store.safety.onnx_graph import cost, operators
from mlops_lab.store.safety.onnx_graph.numbers import of_tensor
from mlops_lab.store.safety.protobuf import Message
from mlops_lab.store.safety.report import AuditRefusal

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def node(operator, inputs, outputs, **more):
    return helper.make_node(operator, inputs.split(",") if inputs else [], outputs.split(","), **more)


def nodes_of(text):
    """Return the nodes of lines such as ``Concat a,b > c axis=0``."""
    found = []
    for line in filter(str.strip, text.replace(";", "\n").splitlines()):
        before, after = line.split(" > ")
        operator, *inputs = before.split()
        outputs, *attributes = after.split()
        more = {name: ast.literal_eval(value) for name, value in (each.split("=") for each in attributes)}
        found.append(node(operator, "".join(inputs), outputs, **more))
    return found


def info(name, shape=None, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes, shape=(None, 8), kind=FLOAT, opset=17, functions=(), more=(), **constants):
    """Return a file of nodes from x to y, with constants: whole numbers, or float32 where one is a fraction."""
    held = []
    for name, numbers in constants.items():
        array = np.asarray(numbers)
        held.append(numpy_helper.from_array(array.astype("float32") if array.dtype.kind == "f" else array, name))
    nodes = nodes_of(nodes) if isinstance(nodes, str) else nodes
    graph = helper.make_graph(nodes, "g", [info("x", shape, kind), *more], [info("y")], held)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8).SerializeToString()


def added(nodes, **more):
    """Return a file that adds the sum of ``e`` to its input."""
    return model(f"{nodes}; ReduceSum e > r keepdims=0; Add x,r > y", **more)


def body(nodes, carried, answered, scanned=(), iteration=True):
    """Return the graph inside a loop."""
    first = [info("i", [], INT64), info("go", [], TensorProto.BOOL)] if iteration else []
    ends = [*([info("go", [], TensorProto.BOOL)] if iteration else []), *[info(name) for name in answered]]
    return helper.make_graph(nodes_of(nodes), "body", [*first, *[info(n) for n in (*carried, *scanned)]], ends)


def loop(steps, nodes, more="", **constants):
    """Return a file with a loop that carries ``v`` from x to y, or to z, from which ``more`` makes y."""
    looped = node("Loop", "steps,,x", "z" if more else "y", body=body(nodes, ["v"], ["z"]))
    return model([looped, *nodes_of(more)], steps=steps, **constants)


def repeated(line, times):
    """Return a line again and again; ``#`` stands for its number and ``@`` for the one before."""
    return "\n".join(line.replace("#", str(number + 1)).replace("@", str(number)) for number in range(times))


def filled_by_caller():
    """Return a function whose constant is an attribute of its call."""
    constant = helper.make_node("Constant", [], ["s"])
    constant.attribute.append(AttributeProto(name="value_ints", ref_attr_name="sizes", type=AttributeProto.INTS))
    inside = [constant, *nodes_of("ConstantOfShape s > c; ReduceSum c > r keepdims=0; Add a,r > b")]
    return helper.make_function("own", "Fill", ["a"], ["b"], inside, [helper.make_opsetid("", 17)], ["sizes"])


LOOK_UP = "Cast x > p to=7; Gather table,p > s; ConstantOfShape s > e"
SIZES = np.append(np.ones(1000, "int64"), 10**9)
IMAGE = (1, 3, 8, 8)
REGION = "coordinate_transformation_mode='tf_crop_and_resize'"
# What answers with more values than fit in memory, though each of its nodes is small.
GROWING = {
    # Constants that grow a little at each step, before the input is asked for.
    "constant repeated": lambda: added(repeated("Tile t@,by > t#", 8) + "; Identity t8 > e", t0=[[1.5]], by=[16, 1]),
    "constant joined": lambda: added(
        "ConstantOfShape s > c0;" + repeated("Concat c@,c@ > c# axis=0", 12) + "; Identity c12 > e", s=[10_000, 10]
    ),
    "constants kept": lambda: model(
        repeated("ConstantOfShape s > c#", 20) + f"; Sum {','.join(f'c{n}' for n in range(1, 21))} > y", s=[8000, 8000]
    ),
    "constants folded": lambda: added(
        repeated("ConstantOfShape s > c#; Add x,c# > d#", 20) + "; Add x,x > e", s=[8000, 8000]
    ),
    "numbers of a range": lambda: added("Range zero,many,one > n; Cast n > e to=1", zero=0, many=10**9, one=1),
    "sizes multiplied": lambda: added(
        "Mul a,a > b; Mul b,b > c; Concat c,c > s axis=0; ConstantOfShape s > e", a=[100]
    ),
    "sizes filled": lambda: added("ConstantOfShape n > z; Add z,a > s; Expand one,s > e", n=[4], a=[500], one=[1.5]),
    "sizes repeated": lambda: added("Tile a,n > s; ConstantOfShape s > e", a=[500], n=[4]),
    "sizes summed": lambda: added("ReduceSum a > s; ConstantOfShape s > e", a=np.full(60, 10**7)),
    "sizes raised": lambda: added("Pow a,b > s; ConstantOfShape s > e", a=[1000], b=4),
    "sizes raised to a fraction": lambda: added(
        "Pow a,b > p; Mul p,c > q; Cast q > s to=7; ConstantOfShape s > e", a=[2.0**60], b=1.5, c=[2.0**-56]
    ),
    "a quotient of what is beyond all bounds": lambda: added(
        "Div a,b > c; Cast c > s to=7; ConstantOfShape s > e", a=[2.0**126], b=[2.0**92]
    ),
    "a difference of numbers that no float holds": lambda: added(
        "Sub a,b > c; Mul c,d > s; ConstantOfShape s > e", a=[2**62 + 511], b=[2**62], d=[10**9]
    ),
    "a quotient of a number that no float holds": lambda: added(
        "Div a,b > c; Sub c,d > m; Mul m,n > s; ConstantOfShape s > e",
        a=[2**62 - 1], b=[2**40], d=[2**22], n=[-(10**9)],
    ),
    "no number from an infinite one": lambda: added(
        "Mul a,a > b; Sin b > c; Cast c > i to=7; Div i,low > s; ConstantOfShape s > e", a=[1e30], low=[-(2**30)]
    ),
    "filled with much": lambda: added(
        "Pad a,pads,v,x > b; ReduceSum b > r keepdims=0; Reshape r,one > s; ConstantOfShape s > e",
        kind=INT64, shape=(1,), opset=18, a=[1], pads=[1, 1], v=10**9, one=[1],
    ),
    "written into a cache": lambda: added(
        "TensorScatter a,b,n > c; ReduceMax c > m keepdims=0; Reshape m,one > s; ConstantOfShape s > e",
        opset=24, a=np.ones((1, 1, 1, 1), "int64"), b=np.full((1, 1, 1, 1), 10**9), n=[0], one=[1],
    ),
    "sizes begun again": lambda: added(
        "Sub a,b > c; Cast c > s to=7; ConstantOfShape s > e",
        a=np.array([0], "uint32"), b=np.array([1], "uint32"),
    ),
    # The sizes of the input times a constant, again and again.
    "shape times constant": lambda: added(
        "Identity x > v0;" + repeated("Shape v@ > s#; Mul s#,c > m#; ConstantOfShape m# > v#", 3) + "; Identity v3 > e",
        c=[20, 20],
    ),
    "shape less a constant": lambda: added(
        "Shape x > s; Gather s,zero > n; Sub n,two > d; Mul d,c > m; ConstantOfShape m > e",
        zero=[0], two=[2], c=[10**9],
    ),
    "shape compared": lambda: added(
        "Shape x > s; Gather s,zero > n; Equal n,five > f; Where f,c,one > m; ConstantOfShape m > e",
        zero=[0], five=[5], c=[10**9], one=[1],
    ),
    "input joined with itself": lambda: model(
        "Identity x > c0;" + repeated("Concat c@,c@,c@,c@ > c# axis=0", 14) + "; ReduceSum c14 > y"
    ),
    "product of matrices": lambda: added("Transpose a > b; MatMul b,a > e", a=np.zeros((1, 10_000), "float32")),
    "product of columns": lambda: added("Gemm a,a > e transB=1", a=np.zeros((10_000, 1), "float32")),
    "product by letters": lambda: model(
        [node("Einsum", "a,a", "e", equation="i,j->ij"), *nodes_of("ReduceSum e > r; Add x,r > y")],
        a=np.zeros(10_000, "float32"),
    ),
    "broadcast": lambda: added("Transpose a > b; Add b,a > e", a=np.zeros((1, 10_000), "float32")),
    # A table of sizes, from which the data chooses.
    "table of two axes": lambda: added(
        "Cast x > p to=7; Gather table,p > rows; Reshape rows,two > s; Expand one,s > e",
        shape=(1,), table=np.array([[1, 1], [10**5, 10**5]]), two=[2], one=[1.5],
    ),
    "large table of two axes": lambda: added(
        "Cast x > p to=7; Gather table,p > rows; Reshape rows,two > s; Expand one,s > e",
        shape=(1,), table=np.append(np.ones((100, 2), "int64"), [[10**5, 10**5]], 0), two=[2], one=[1.5],
    ),
    "large table": lambda: added(LOOK_UP, shape=(1,), table=SIZES),
    "table of fractions": lambda: added(
        LOOK_UP.replace(" > s;", " > f; Cast f > s to=7;"), shape=(1,), table=np.append(np.full(1000, 0.5), 1e9)
    ),
    # Resize in all its spellings.
    "resize of operator set 10": lambda: model(
        "Resize x,scales > y", opset=10, shape=IMAGE, scales=[1.0, 1.0, 1e3, 999.5]
    ),
    "upsample by attribute": lambda: model("Upsample x > y scales=[1.0,1.0,1e3,1e3]", opset=7, shape=IMAGE),
    "resize along axes": lambda: model("Resize x,,scales > y axes=[2,3]", opset=18, shape=IMAGE, scales=[1e3, 999.5]),
    "resize to a region": lambda: model(
        f"Resize x,roi,scales > y {REGION}",
        shape=IMAGE, roi=[0.0, 0.0, -900.5, 0.0, 1.0, 1.0, 900.0, 900.0], scales=[1.0, 1.0, 10.0, 10.5],
    ),
    "resize that keeps the ratio": lambda: model(
        "Resize x,,,sizes > y axes=[2,3] keep_aspect_ratio_policy='not_smaller'",
        opset=18, shape=(1, 1, 1, 10_000), sizes=[10_000, 1],
    ),
    # Whatever else makes much of little.
    "padding": lambda: model("Pad x,pads > y", shape=IMAGE, pads=[0, 0, 5000, 5000] * 2),
    "places for each number": lambda: model("Cast x > p to=7; OneHot p,n,v > y", n=10**8, v=[0.0, 1.5]),
    "strides": lambda: model(
        "ConvTranspose x,w > y strides=[10000,10000]", shape=IMAGE, w=np.zeros((3, 1, 1, 1), "float32")
    ),
    "random numbers": lambda: added("RandomNormal > e shape=[10000,10000]"),
    "a long text repeated": lambda: model("Expand t,s > y", t=np.array(["a" * 100_000], object), s=[1000]),
    "texts joined": lambda: model(
        "Identity x > c0;" + repeated("StringConcat c@,c@ > c#", 40) + "; Identity c40 > y", opset=20, kind=STRING
    ),
    "sequence": lambda: model(
        "SequenceConstruct x > s0;" + repeated("SequenceInsert s@,x > s#", 300) + ";ConcatFromSequence s300 > y axis=0",
        shape=(1000, 1000),
    ),
    "growth by looking up": lambda: loop(9, "Gather v,v > z", "Cast z > y to=1", kind=INT64, shape=(2, 2)),
    "growth by a product": lambda: loop(9, "Unsqueeze v,n > w; Mul w,v > z", shape=(2, 2), n=[0]),
    "function filled by its caller": lambda: model(
        [node("Fill", "x", "y", domain="own", sizes=[10_000, 10_000])], functions=[filled_by_caller()]
    ),
}  # fmt: skip
# What may take for ever.
PROGRAMS = {
    "region by the data": lambda: model(
        f"Resize x,roi,scales > y {REGION}", shape=IMAGE, more=[info("roi", [8])], scales=[1.0, 1.0, 2.5, 2.0]
    ),
    "sizes by the data": lambda: model("Cast x > s to=7; ConstantOfShape s > y", shape=(2,)),
    "steps of any length": lambda: model("Range zero,one,d > y", shape=(), more=[info("d", [])], zero=0.0, one=1.5),
    "a quotient by nothing": lambda: model(
        "NonZero x > n; Shape n > s; Gather s,one > c; Cast c > f to=1; Div half,f > d; Cast d > i to=7; Div i,low > m;"
        "ConstantOfShape m > y",
        one=[1], half=[0.5], low=[-(2**36)],
    ),
    "the root of what may be below nothing": lambda: model(
        "Cast x > p to=7; Gather table,p > g; Sqrt g > d; Cast d > i to=7; Div i,low > m; ConstantOfShape m > y",
        shape=(1,), table=[-4.0, 0.5], low=[-(2**36)],
    ),
    "filled by an attribute": lambda: added(
        "Pad a > b pads=[1,1] value=1e9; ReduceMax b > m; Cast m > s to=7; ConstantOfShape s > e", opset=9, a=[1.5],
    ),
    "a norm over all places": lambda: added(
        "GlobalLpPool a > b p=1; Reshape b,one > c; Cast c > s to=7; ConstantOfShape s > e",
        a=np.ones((1, 1, 10**5), "float32") * 1000, one=[1],
    ),
    "a mean with zeros from beyond the edge": lambda: added(
        "AveragePool a > b kernel_shape=[9] pads=[8,8] count_include_pad=1; Div c,b > d; ReduceMax d > m keepdims=0;"
        "Reshape m,one > n; Cast n > s to=7; ConstantOfShape s > e",
        a=np.ones((1, 1, 99), "float32"), c=[1e7], one=[1],
    ),
    "a quotient by a small share": lambda: added(
        "Softmax a > b; Div c,b > d; ReduceMax d > m; Cast m > s to=7; ConstantOfShape s > e",
        a=np.ones(1000, "float32"), c=[1e6],
    ),
    "a quotient by half a matrix": lambda: added(
        "Trilu a > b; Div c,b > d; ReduceSum d > m keepdims=0; Reshape m,one > n; Cast n > i to=7; Sub i,one > s;"
        "ConstantOfShape s > e",
        a=np.ones((40, 40), "float32"), c=[1.5], one=[1],
    ),
    "a quotient by bytes": lambda: added(
        "DynamicQuantizeLinear a > b,scale,z; Cast b > f to=1; Div c,f > d; ReduceMax d > m; Cast m > i to=7;"
        "Sub i,one > s; ConstantOfShape s > e",
        a=np.append(np.ones(40, "float32"), 1e6), c=[1.5], one=[1],
    ),
    # What is no number, or infinite, becomes the lowest whole number.
    "no number between two": lambda: added(
        "Log x > n; Clip n,zero,one > q; Cast q > i to=7; Div i,low > s; ConstantOfShape s > e",
        shape=(1,), zero=np.array(0, "float32"), one=np.array(1, "float32"), low=[-(2**30)],
    ),
    "infinite in half the bytes": lambda: added(
        "Cast a > h to=10; Cast h > i to=7; Div i,low > s; ConstantOfShape s > e", a=[1e6], low=[-(2**30)]
    ),
    "power of the shape": lambda: model(
        "Shape x > s; Mul s,s > a; Mul a,a > b; Mul b,b > c; Mul c,c > d; ConstantOfShape d > y", shape=(None,)
    ),
    "growth in a loop": lambda: loop(100, "Concat v,v > z axis=0"),
    "growth in a scan": lambda: model(
        [
            node("Scan", "s,x", "z,y", num_scan_inputs=1,
                 body=body("Concat v,row > z axis=0; Neg z > o", ["v"], ["z", "o"], ["row"], False))
        ],
        shape=(100, 8), s=[1.5],
    ),
    "a loop of much work": lambda: loop(1000, "MatMul v,v > z", shape=(4000, 4000)),
    "a chain of much work": lambda: model(
        "Identity x > m0;" + repeated("MatMul m@,m@ > m#", 300) + "; Neg m300 > y", shape=(4000, 4000)
    ),
    "a loop in a loop": lambda: model(
        [node("Loop", "m,,x", "y", body=helper.make_graph(
            [node("Loop", "m,,v", "z", body=body("Neg u > w", ["u"], ["w"]))], "outer",
            [info("i", [], INT64), info("go", [], TensorProto.BOOL), info("v")],
            [info("go", [], TensorProto.BOOL), info("z")],
        ))], m=9000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GROWING)
def test_what_grows_beyond_a_bound_is_refused(name):
    report = safety.inspect(GROWING[name]())
    assert (report.safe, report.bounded, report.runs_code) == (False, False, False), str(report)
    assert report.code == "onnx_giant" and "values" in report.findings[0].message, str(report)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_has_no_bound_is_refused(name):
    report = safety.inspect(PROGRAMS[name]())
    assert (report.safe, report.bounded, report.code) == (False, False, "onnx_unbounded"), str(report)


def test_the_reasons_are_told_apart():
    said = {name: safety.inspect(make()).findings[0].message for name, make in {**GROWING, **PROGRAMS}.items()}
    assert "comes out of the data" in said["sizes by the data"]
    assert "is a power of its input" in said["power of the shape"]
    assert "grow from step to step" in said["growth in a loop"]
    assert "steps" in said["a chain of much work"]
    assert "more than 67,108,864 values" in said["sizes raised"]
    assert "for each value of the input" in said["shape times constant"]
    assert "held at once" in said["constants kept"]


def test_the_lowest_number_is_not_divided_by_minus_one():
    divided = "Div x,by > q; Cast q > y to=1"
    report = safety.inspect(model(divided, kind=INT64, by=[-1]))
    assert (report.code, report.bounded, report.runs_code) == ("onnx_division", True, False)
    for first in ("Div x,one > z", "Pad x,pads > z", "MatMul x,x > z", "BitShift x,one > z direction='LEFT'"):
        report = safety.inspect(
            model(f"{first}; Div z,by > y", kind=INT64, shape=(2, 2), by=[-1], one=[1], pads=[1] * 4)
        )
        assert report.code == "onnx_division", first
    assert safety.inspect(model(divided, kind=INT64, by=[2])).safe
    assert safety.inspect(model("Div x,by > y", by=[-1.0, 0.5] * 4)).safe


def weights(*shape):
    return np.zeros(shape, "float32")


def network():
    """Return a classifier of images as torchvision exports them, with a free batch."""
    nodes, held, before = [], {}, "x"
    for place, (before_channels, channels) in enumerate([(3, 64), (64, 128), (128, 256), (256, 512)]):
        held |= {f"w{place}": weights(channels, before_channels, 3, 3), f"n{place}": weights(channels) + 1}
        held |= {f"v{place}": weights(channels, channels, 3, 3)}
        nodes += [
            node("Conv", f"{before},w{place}", f"a{place}", pads=[1] * 4, strides=[2, 2], kernel_shape=[3, 3]),
            node("BatchNormalization", ",".join([f"a{place}", *[f"n{place}"] * 4]), f"b{place}"),
            node("Relu", f"b{place}", f"c{place}"),
            node("Conv", f"c{place},v{place}", f"d{place}", pads=[1] * 4, kernel_shape=[3, 3]),
            node("Add", f"d{place},c{place}", f"e{place}"),
        ]
        before = f"e{place}"
    nodes += [
        node("MaxPool", before, "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1),
        node("GlobalAveragePool", "p", "q"),
        node("Shape", "q", "s"),
        node("Gather", "s,zero", "batch"),
        node("Concat", "batch,minus", "t", axis=0),
        node("Reshape", "q,t", "f"),
        node("Gemm", "f,w,b", "z", transB=1),
        node("Softmax", "z", "y"),
    ]
    return nodes, {**held, "zero": [0], "minus": [-1], "w": weights(1000, 512), "b": weights(1000)}


def attention():
    """Return an encoder over words, with a free batch and a free length, as PyTorch exports it."""
    nodes = [node("Gather", "words,x", "h0")]
    held = {
        "words": weights(30_000, 256),
        "heads": [4, 64],
        "minus": [-1],
        "zero": 0,
        "one": 1,
        "scale": 8.5,
        "axis": [0],
    }
    for layer in range(4):
        h = f"h{layer}"
        held |= {f"{name}{layer}": weights(256, 256) for name in "qkvo"} | {f"u{layer}": weights(256, 1024)}
        held |= {f"d{layer}": weights(1024, 256), f"g{layer}": weights(256)}
        nodes += [
            node("Shape", h, f"s{layer}"),
            node("Gather", f"s{layer},zero", f"sb{layer}"), node("Unsqueeze", f"sb{layer},axis", f"b{layer}"),
            node("Gather", f"s{layer},one", f"sl{layer}"), node("Unsqueeze", f"sl{layer},axis", f"l{layer}"),
            node("Concat", f"b{layer},l{layer},heads", f"t{layer}", axis=0),
            node("Concat", f"b{layer},l{layer},minus", f"r{layer}", axis=0),
        ]  # fmt: skip
        for name, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            nodes += [
                node("MatMul", f"{h},{name}{layer}", f"{name}a{layer}"),
                node("Reshape", f"{name}a{layer},t{layer}", f"{name}b{layer}"),
                node("Transpose", f"{name}b{layer}", f"{name}c{layer}", perm=order),
            ]
        nodes += [
            node("MatMul", f"qc{layer},kc{layer}", f"m{layer}"), node("Div", f"m{layer},scale", f"n{layer}"),
            node("Softmax", f"n{layer}", f"p{layer}"), node("MatMul", f"p{layer},vc{layer}", f"w{layer}"),
            node("Transpose", f"w{layer}", f"x{layer}", perm=[0, 2, 1, 3]),
            node("Reshape", f"x{layer},r{layer}", f"y{layer}"), node("MatMul", f"y{layer},o{layer}", f"z{layer}"),
            node("Add", f"{h},z{layer}", f"aa{layer}"), node("LayerNormalization", f"aa{layer},g{layer}", f"ab{layer}"),
            node("MatMul", f"ab{layer},u{layer}", f"ac{layer}"), node("Erf", f"ac{layer}", f"ad{layer}"),
            node("MatMul", f"ad{layer},d{layer}", f"ae{layer}"), node("Add", f"ab{layer},ae{layer}", f"h{layer + 1}"),
        ]  # fmt: skip
    nodes += [node("ReduceMean", "h4", "y", axes=[1], keepdims=0)]
    return nodes, held


def upscaled():
    """Return a network that doubles images of any size, joined with what it was."""
    nodes = [
        node("Conv", "x,w", "a", pads=[1] * 4),
        node("Shape", "a", "s"), node("Slice", "s,zero,two", "first"), node("Slice", "s,two,four", "space"),
        node("Mul", "space,double", "wide"), node("Concat", "first,wide", "sizes", axis=0),
        node("Resize", "a,,,sizes", "b"), node("ConvTranspose", "a,t", "c", strides=[2, 2]),
        node("Concat", "b,c", "d", axis=1), node("DepthToSpace", "d", "y", blocksize=2),
    ]  # fmt: skip
    return nodes, {
        "w": weights(64, 3, 3, 3),
        "t": weights(64, 64, 2, 2),
        "zero": [0],
        "two": [2],
        "four": [4],
        "double": [2],
    }


HONEST = {
    "network": lambda: model(network()[0], shape=(None, 3, 224, 224), **network()[1]),
    "network of any size": lambda: model(network()[0], shape=(None, 3, None, None), **network()[1]),
    "attention": lambda: model(attention()[0], shape=(None, None), kind=INT64, **attention()[1]),
    "upscaled": lambda: model(upscaled()[0], shape=(None, 3, None, None), **upscaled()[1]),
    "recurrent": lambda: model(
        "LSTM x,w,r > a,b hidden_size=128; Squeeze b,axis > y",
        shape=(None, None, 64), w=weights(1, 512, 64), r=weights(1, 512, 128), axis=[0],
    ),
    "a counted loop": lambda: loop(100, "Mul v,c > z", c=[0.5]),
    "sizes chosen within a bound": lambda: model(
        "Cast x > p to=7; Clip p,zero,ten > q; ConstantOfShape q > e; ReduceSum e > y", shape=(2,), zero=0, ten=10,
    ),
    "fitted to a side": lambda: model(
        "Shape x > s; Slice s,two,four > w; Cast w > f to=1; ReduceMin f > m keepdims=0; Div side,m > r; Mul f,r > g;"
        "Floor g > h; Cast h > i to=7; Slice s,zero,two > n; Concat n,i > sizes axis=0; Resize x,,,sizes > y",
        shape=(None, 3, None, None), zero=[0], two=[2], four=[4], side=np.array(800, "float32"),
    ),
    "boxes": lambda: model(
        "NonMaxSuppression x,scores,most > n; Cast n > y to=1",
        shape=(1, None, 4), more=[info("scores", [1, 80, None])], most=[100],
    ),
    "scan": lambda: model(
        [
            node("Scan", "s,x", "last,y", num_scan_inputs=1,
                 body=body("Add v,row > z; Neg z > o", ["v"], ["z", "o"], ["row"], False))
        ],
        shape=(None, 8), s=weights(8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_models_pass(name):
    report = safety.inspect(HONEST[name]())
    assert report.safe and report.bounded, str(report)


def test_a_batch_of_any_size_is_followed_through_a_network():
    graph = next(Message(HONEST["network of any size"]()).messages(7))
    given = {value.text(1): cost._declared(value) for value in graph.messages(11)}
    [answer] = cost._graph(graph, given, {}, cost._Run({}), cost._Times())
    assert [size.number for size in answer.dims] == [None, 1000]
    assert answer.dims[0].exact == (("x.0", 1),)


def test_every_operator_has_a_rule():
    names = set(allowed.names("onnx", "")) | set(allowed.names("onnx", "ai.onnx.ml"))
    assert names == operators.RULES.keys() | operators.CONTROL


def held_by(bound, largest):
    return abs(bound.most) * largest**bound.degree * (1 + 1e-5) + 1e-5


def check(answer, actual, largest):
    """Hold what was said of a tensor against the tensor."""
    assert actual.size <= held_by(answer.count, largest)
    if answer.dims is not None:
        assert len(answer.dims) == actual.ndim
        for size, real in zip(answer.dims, actual.shape, strict=True):
            assert real == size.number if size.number is not None else real <= held_by(size, largest)
    if actual.dtype.kind in "iufb" and actual.size:
        numbers = actual.astype(float).ravel()
        if answer.most is not None and np.isfinite(numbers).any():
            assert np.abs(numbers[np.isfinite(numbers)]).max() <= held_by(answer.most, largest)
        for said, real in zip(answer.numbers or (), numbers, strict=False):
            assert said.number is None or np.isclose(said.number, real)


@pytest.mark.slow
def test_the_bounds_hold_for_the_examples_of_the_standard():
    """ONNX comes with examples of every operator, and what they answer; their inputs may be constants, too."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # examples of what overflows
        cases = [case for case in collect_testcases(None) if case.model is not None]
    names = operators.RULES.keys() | operators.CONTROL
    held, refused = 0, 0
    for case in cases:
        if not {each.op_type for each in case.model.graph.node if not each.domain} <= names:
            continue
        parsed = Message(case.model.SerializeToString())
        graph, functions = next(parsed.messages(7)), _functions(parsed)
        for inputs, outputs in case.data_sets:
            sizes = [size for each in inputs if hasattr(each, "shape") for size in each.shape]
            arrays = [each for each in inputs if isinstance(each, np.ndarray)]
            texts = [len(str(text)) for each in arrays if each.dtype.kind in "OU" for text in each.ravel()]
            for constant in (False, True):
                given = {value.text(1): cost._declared(value) for value in graph.messages(11)}
                for value, each in zip(case.model.graph.input, inputs, strict=False):
                    if constant and isinstance(each, np.ndarray) and each.dtype.kind in "iufb":
                        given[value.name] = of_tensor(Message(numpy_helper.from_array(each).SerializeToString()))
                try:
                    answers = cost._graph(graph, given, {}, cost._Run(functions), cost._Times())
                except AuditRefusal:
                    refused += 1
                    continue
                for answer, actual in zip(answers, outputs, strict=False):
                    if isinstance(actual, np.ndarray):
                        check(answer, actual, max([1, *sizes, *texts]))
                        held += 1
    assert held > 3000 and refused < held / 5
