"""Draft ``allowed.json``, the audit's allow-list, from the installed packages.

Run it after an upgrade, read the difference, and keep only what you would let a stranger's file name::

    python tools/allowed_names.py > /tmp/allowed.json && diff /tmp/allowed.json mlops_lab/store/safety/allowed.json
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import warnings
from typing import Any

PUBLIC = [
    "layers",
    "initializers",
    "regularizers",
    "constraints",
    "optimizers",
    "optimizers.schedules",
    "losses",
    "metrics",
    "dtype_policies",
]  # fmt: skip
PUBLIC += ["quantizers", "random"]
ABSTRACT = {"InputSpec", "Layer", "Wrapper", "Initializer", "Regularizer", "Constraint", "Optimizer", "OptimizerMap"}
ABSTRACT |= {"MultiOptimizer"}
ABSTRACT |= {"Loss", "Metric", "Quantizer", "QuantizationConfig", "LearningRateSchedule"}
# They hold code, files or functions of their own, so they never go on the list.
DANGEROUS = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup", "IntegerLookup"}
DANGEROUS |= {"TextVectorization", "MeanMetricWrapper"}
# Operations of functional models that take functions as arguments.
HIGHER_ORDER = {
    "AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "Switch", "VectorizedMap", "WhileLoop", "JVP",
}  # fmt: skip
# What Keras 2.15 and early Keras 3 call things that today's Keras calls otherwise.
OLDER = {
    "keras.layers": ["RandomHeight", "RandomWidth", "SyncBatchNormalization", "ThresholdedReLU"],
    "keras.mixed_precision": ["LossScaleOptimizer", "Policy"],
    "keras.src.engine.functional": ["Functional"],
    "keras.src.engine.sequential": ["Sequential"],
    "keras.src.models.functional": ["Functional"],
    "keras.src.models.sequential": ["Sequential"],
    "keras.models": ["Functional", "Sequential"],
    "keras": ["DTypePolicy", "FloatDTypePolicy", "Sequential"],
}
METRIC_FUNCTIONS = [
    "accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
]  # fmt: skip
# What TensorFlow graphs of Keras exports are made of: arithmetic and plumbing. No files, no Python, no network.
TENSORFLOW = [
    "Abs", "Acos", "Acosh", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "ArgMin", "AsString", "Asin",
    "Asinh", "Assert", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "Atan", "Atan2",
    "Atanh", "AvgPool", "AvgPool3D", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "BatchToSpaceND",
    "Betainc", "BiasAdd", "BiasAddV1", "Bincount", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BroadcastArgs",
    "BroadcastTo", "Bucketize", "Cast", "Ceil", "CheckNumerics", "ClipByValue", "Concat", "ConcatOffset",
    "ConcatV2", "Const", "Conv", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2", "Cos",
    "Cosh", "Cross", "Cumprod", "Cumsum", "CumulativeLogsumexp", "DenseBincount", "DepthToSpace",
    "DepthwiseConv2dNative", "DisableCopyOnRead", "Diag", "DiagPart", "Digamma", "Div", "DivNoNan", "Einsum",
    "Elu", "EluGrad", "EnsureShape", "Equal", "Erf", "Erfc", "Erfinv", "Exp", "ExpandDims", "Expm1",
    "ExtractImagePatches", "Fill", "Floor", "FloorDiv", "FloorMod", "FusedBatchNorm", "FusedBatchNormV2",
    "FusedBatchNormV3", "Gather", "GatherNd", "GatherV2", "Greater", "GreaterEqual", "HSVToRGB", "Identity",
    "IdentityN", "If", "ImageProjectiveTransformV2", "ImageProjectiveTransformV3", "InTopKV2", "Inv",
    "Invert", "InvertPermutation", "IsFinite", "IsInf", "IsNan", "L2Loss", "LRN", "LeakyRelu", "LeftShift",
    "Less", "LessEqual", "Lgamma", "LinSpace", "Log", "Log1p", "LogSoftmax", "LogicalAnd", "LogicalNot",
    "LogicalOr", "MatMul", "MatrixBandPart", "MatrixDiag", "MatrixDiagPart", "MatrixDiagV3", "Max", "MaxPool",
    "MaxPool3D", "MaxPoolV2", "Maximum", "Mean", "Min", "Minimum", "MirrorPad", "Mod", "Mul", "MulNoNan",
    "Multinomial", "Neg", "NextAfter", "NoOp", "NonMaxSuppressionV3", "NonMaxSuppressionV4",
    "NonMaxSuppressionV5", "NotEqual", "OneHot", "OnesLike", "Pack", "Pad", "PadV2", "ParallelConcat",
    "PartitionedCall", "Placeholder", "PlaceholderWithDefault", "Pow", "PreventGradient", "Prod", "Qr",
    "QuantizeAndDequantizeV2", "RFFT", "RGBToHSV", "RandomGamma", "RandomShuffle", "RandomStandardNormal",
    "RandomUniform", "RandomUniformInt", "Range", "Rank", "ReadVariableOp", "Real", "RealDiv", "Reciprocal",
    "Relu", "Relu6", "Reshape", "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor",
    "ResourceGather", "ResourceGatherNd", "Reverse", "ReverseSequence", "ReverseV2", "RightShift", "Rint",
    "Roll", "Round", "Rsqrt", "ScatterNd", "SegmentMax", "SegmentMean", "SegmentMin", "SegmentProd",
    "SegmentSum", "Select", "SelectV2", "Selu", "Shape", "ShapeN", "Sigmoid", "Sign", "Sin", "Sinh", "Size",
    "Slice", "Snapshot", "Softmax", "Softplus", "Softsign", "SpaceToBatchND", "SpaceToDepth", "Split",
    "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze", "StatefulPartitionedCall",
    "StatefulRandomBinomial", "StatefulStandardNormalV2", "StatefulUniform", "StatefulUniformInt",
    "StatelessIf", "StatelessMultinomial", "StatelessRandomGetAlg", "StatelessRandomGetKeyCounter",
    "StatelessRandomGetKeyCounterAlg", "StatelessRandomNormal", "StatelessRandomNormalV2",
    "StatelessRandomUniform", "StatelessRandomUniformInt", "StatelessRandomUniformIntV2",
    "StatelessRandomUniformV2", "StatelessTruncatedNormalV2", "StatelessWhile", "StaticRegexFullMatch",
    "StopGradient", "StridedSlice", "StringJoin", "Sub", "Sum", "Switch", "Tan", "Tanh", "TensorListConcatV2",
    "TensorListElementShape", "TensorListFromTensor", "TensorListGather", "TensorListGetItem",
    "TensorListLength", "TensorListPopBack", "TensorListPushBack", "TensorListReserve", "TensorListResize",
    "TensorListSetItem", "TensorListStack", "TensorScatterAdd", "TensorScatterUpdate",
    "TensorStridedSliceUpdate", "Tile", "TopK", "TopKV2", "Transpose", "TruncateDiv", "TruncateMod",
    "TruncatedNormal", "Unpack", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd",
    "UnsortedSegmentSum", "VarHandleOp", "VarIsInitializedOp", "VariableShape", "Where", "While", "Xdivy",
    "Xlog1py", "Xlogy", "ZerosLike", "Zeta", "Merge", "Enter", "Exit", "NextIteration", "LoopCond",
    "ControlTrigger",
]  # fmt: skip
SKOPS_LOADERS = [
    "BytearrayNode", "BytesNode", "CachedNode", "ConstructorFromReduceNode", "DTypeNode", "DefaultDictNode",
    "DictNode", "FunctionNode", "JsonNode", "ListNode", "LossNode", "MaskedArrayNode", "MethodNode",
    "NdArrayNode", "ObjectNode", "PartialNode", "RandomGeneratorNode", "RandomStateNode", "SetNode",
    "SliceNode", "SparseMatrixNode", "TreeNode", "TupleNode", "TypeNode",
]  # fmt: skip
SKOPS_TYPES = [
    "builtins.dict", "builtins.list", "builtins.tuple", "builtins.set", "builtins.slice", "builtins.str",
    "builtins.int", "builtins.float", "builtins.bool", "builtins.bytes", "builtins.bytearray",
    "builtins.NoneType", "collections.OrderedDict", "collections.defaultdict", "numpy.ndarray",
    "numpy.matrix", "numpy.dtype", "numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray",
    "numpy.random.RandomState", "numpy.random.mtrand.RandomState", "numpy.random.Generator",
    "numpy.random._generator.Generator", "scipy.sparse._csr.csr_matrix", "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._coo.coo_matrix", "scipy.sparse._csr.csr_array", "sklearn.utils._bunch.Bunch",
    # An MLP keeps its optimizer: numbers only, though skops asks for a word of trust.
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
]  # fmt: skip


def keras_part() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the classes by module, and the functions and activations."""
    import keras
    from keras.src import activations, losses
    from keras.src.ops.operation import Operation

    classes: dict[str, list[str]] = {}
    for part in PUBLIC:
        module: Any = keras
        for name in part.split("."):
            module = getattr(module, name)
        names = {name for name in dir(module) if inspect.isclass(getattr(module, name)) and not name.startswith("_")}
        classes[f"keras.{part}"] = sorted(names - ABSTRACT - DANGEROUS)
    for part in ("numpy", "nn", "math", "core", "image", "linalg", "einops"):
        module = importlib.import_module(f"keras.src.ops.{part}")
        found = [
            n for n, c in vars(module).items() if inspect.isclass(c) and issubclass(c, Operation) and c is not Operation
        ]
        classes[module.__name__] = sorted(
            n for n in found if vars(module)[n].__module__ == module.__name__ and n not in HIGHER_ORDER
        )
    for module_name, names_of_old in OLDER.items():
        classes[module_name] = sorted({*classes.get(module_name, []), *names_of_old})
    loss_names = [name for name, thing in losses.ALL_OBJECTS_DICT.items() if inspect.isfunction(thing)]
    words = sorted(activations.ALL_OBJECTS_DICT)
    return classes, {"activations": words, "functions": sorted({*words, *loss_names, *METRIC_FUNCTIONS})}


def onnx_part() -> dict[str, list[str]]:
    """Return the standard operators by domain."""
    import onnx

    found: dict[str, set[str]] = {}
    for schema in onnx.defs.get_all_schemas():
        if not schema.domain.startswith("ai.onnx.preview"):
            found.setdefault(schema.domain, set()).add(schema.name)
    return {domain: sorted(names) for domain, names in found.items()}


def skops_part() -> dict[str, list[str]]:
    """Return the types that skops trusts by default, and the loaders that build them."""
    from skops.io import _sklearn as losses
    from skops.io import _trusted_types as trusted

    functions = [*trusted.SCIPY_UFUNC_TYPE_NAMES, *trusted.NUMPY_UFUNC_TYPE_NAMES]
    types = [*SKOPS_TYPES, *trusted.SKLEARN_ESTIMATOR_TYPE_NAMES, *trusted.SKLEARN_INTERNAL_TYPE_NAMES]
    types += [*trusted.NUMPY_DTYPE_TYPE_NAMES, *trusted.NUMPY_RANDOM_BIT_GENERATOR_TYPE_NAMES]
    kinds = sorted(f"{kind.__module__}.{kind.__name__}" for kind in losses.ALLOWED_LOSSES)
    return {
        "losses": kinds,
        "types": sorted({*types, *functions}),
        "functions": sorted(functions),
        "loaders": SKOPS_LOADERS,
    }


def draft() -> dict[str, dict[str, list[str]]]:
    """Return the whole list."""
    classes, words = keras_part()
    return {
        "keras": words,
        "keras_classes": classes,
        "onnx": onnx_part(),
        "saved_model": {"operators": sorted(TENSORFLOW)},
        "skops": skops_part(),
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    json.dump(draft(), sys.stdout, indent=1)
    print()
