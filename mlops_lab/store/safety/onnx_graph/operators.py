"""Which rule holds for which ONNX operator, and how many steps it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from mlops_lab.store.safety.onnx_graph import models, moving, rules, values, windows
from mlops_lab.store.safety.onnx_graph.bounds import (
    ONE,
    ZERO,
    Bound,
    Tensor,
    add,
    constant,
    multiply,
    product,
)
from mlops_lab.store.safety.onnx_graph.numbers import Inputs, Node, need

Answers = Tensor | list[Tensor]
Rule = Callable[[Node, Inputs], Answers]
Steps = Callable[[Node, Inputs, Sequence[Tensor]], Bound]
# Operators with a graph inside, which ``cost`` follows.
CONTROL = {"If", "Loop", "Scan", "SequenceMap"}
ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike
    Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity
    IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round
    Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
    Hardmax RegexFullMatch Softmax
"""
SAME = """
    Bernoulli BitCast CumProd CumSum DequantizeLinear Dropout EyeLike LogSoftmax LRN LpNormalization
    MeanVarianceNormalization QuantizeLinear RandomNormalLike RandomUniformLike RotaryEmbedding Binarizer Imputer
    Normalizer Scaler
"""
NORMALIZED = "BatchNormalization GroupNormalization InstanceNormalization LayerNormalization RMSNormalization"
REDUCED = (
    "ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "ReduceSumSquare"
)
ANY = "CausalConvWithState DeformConv Det LinearAttention SwiGLU"


def _each(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: Mapping[str, Rule] = {
    **_each(ELEMENTWISE, values.calculated),
    **_each(SAME, rules.same),
    **_each(NORMALIZED, models.normalized),
    **_each(REDUCED, values.reduced),
    **_each(ANY, rules.anything),
    **_each("ReverseSequence StringNormalizer Trilu", rules.some),
    **_each("Scatter ScatterElements ScatterND TensorScatter", rules.scattered),
    **_each("Optional OptionalGetElement SequenceAt SequenceErase SplitToSequence ConcatFromSequence", rules.sequence),
    **_each("LSTM GRU RNN", models.recurrent),
    **_each("Compress Unique", rules.chosen),
    **_each("OptionalHasElement SequenceLength", rules.one),
    **_each("NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", models.loss),
    **_each("RandomNormal RandomUniform", rules.random),
    **_each("Concat SequenceConstruct", moving.concat),
    **_each("AveragePool MaxPool LpPool", windows.pooled),
    **_each("GlobalAveragePool GlobalLpPool GlobalMaxPool", windows.pooled_whole),
    **_each("HannWindow HammingWindow BlackmanWindow", windows.windowed),
    **_each("Resize Upsample", windows.resized),
    **_each("DepthToSpace SpaceToDepth", windows.depth_to_space),
    **_each("MaxRoiPool RoiAlign", windows.of_regions),
    **_each("Conv ConvInteger", windows.convolved),
    **_each("MatMul MatMulInteger", models.matmul),
    **_each("LinearClassifier SVMClassifier TreeEnsembleClassifier", models.classified),
    **_each("LinearRegressor SVMRegressor TreeEnsemble TreeEnsembleRegressor", models.regressed),
    **_each("LabelEncoder CategoryMapper", models.labelled),
    **_each("CastMap DictVectorizer ZipMap", models.mapped),
    "CastLike": values.cast_like,
    "Constant": lambda node, inputs: node.constant(),
    "QLinearConv": lambda node, inputs: windows.convolved(node, inputs, weights=3),
    "QLinearMatMul": lambda node, inputs: models.matmul(node, inputs, right=3),
    "ConvTranspose": windows.transposed, "MaxUnpool": windows.unpooled, "Pad": windows.padded, 
    "Col2Im": windows.image_columns,
    "CenterCropPad": windows.cropped, "GridSample": windows.sampled, "AffineGrid": windows.affine, 
    "DFT": windows.transformed,
    "MelWeightMatrix": windows.mel, "STFT": windows.short_transformed,
    "Shape": moving.shape, "Size": moving.size, "Reshape": moving.reshape, "Flatten": moving.flatten,
    "Squeeze": moving.squeeze, "Unsqueeze": moving.unsqueeze, "Transpose": moving.transpose, "Split": moving.split,
    "Slice": moving.sliced, "Gather": moving.gather, "GatherElements": moving.gather_elements,
    "GatherND": moving.gather_nd,
    "Expand": moving.expand, "Tile": moving.tile, "ConstantOfShape": moving.fill, "Range": moving.ranged,
    "Gemm": models.gemm, "Einsum": models.einsum, "OneHot": rules.one_hot, "NonZero": rules.non_zero, "TopK": rules.top,
    "Attention": models.attention, "Multinomial": models.multinomial, "StringSplit": rules.texts,
    "StringConcat": rules.joined_texts, "SequenceInsert": rules.inserted, "SequenceEmpty": rules.nothing,
    "NonMaxSuppression": models.boxes, "ImageDecoder": rules.refused, "DynamicQuantizeLinear": models.quantized,
    "TfIdfVectorizer": models.words, "OneHotEncoder": models.hot, "FeatureVectorizer": models.features,
    "ArrayFeatureExtractor": models.extracted,
}  # fmt: skip


def _by_weights(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Count as many steps as a filter has weights, for every value that a convolution answers."""
    w = need(inputs, 3 if node.operator == "QLinearConv" else 1)
    base = need(inputs) if node.operator == "ConvTranspose" else answers[0]
    return multiply(base.count, product(w.dims[1:]) if w.dims else w.count)


def _by_depth(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Count as many steps as a row has values, for every value of a product of matrices."""
    a = need(inputs)
    depth = (a.dims[0] if node.operator == "Gemm" and node.number("transA") else a.dims[-1]) if a.dims else a.count
    return multiply(answers[0].count, depth)


def _by_window(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    window = [abs(size) for size in node.numbers("kernel_shape")] or [node.number("size", 1)]
    return multiply(answers[0].count, product(map(constant, window)))


def _all_pairs(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Count a step for every value with every other one."""
    return product(value.count for value in inputs if value is not None)


def _attending(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Count a step for every value of a question with every value that is attended to."""
    held = [need(inputs, place).count for place in (1, 2, 4, 5) if len(inputs) > place]
    return multiply(need(inputs).count, reduce(add, held, ONE))


def _squared(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    return multiply(need(inputs, 1).count, need(inputs, 1).count)


def _by_list(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Count as many steps for every value as the model's longest list has values."""
    return multiply(need(inputs).count, constant(max(node.listed(list(node.attributes)), 1)))


def _recurring(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    dims = need(inputs).dims or ()
    places = multiply(dims[0], dims[1]) if len(dims) > 1 else need(inputs).count
    return multiply(places, add(need(inputs, 1).count, need(inputs, 2).count))


def _transforming(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Count the square of its length for a Fourier transform."""
    longest = max(answers[0].dims or [answers[0].count], key=lambda size: (size.degree, size.most))
    return multiply(answers[0].count, longest)


STEPS: Mapping[str, Steps] = {
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv", "ConvTranspose"), _by_weights),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul", "Gemm"), _by_depth),
    **dict.fromkeys(("AveragePool", "MaxPool", "LpPool", "LRN"), _by_window),
    **dict.fromkeys(("Einsum", "DeformConv", "LinearAttention", "MaxRoiPool", "Det"), _all_pairs),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurring),
    **dict.fromkeys(("DFT", "STFT"), _transforming),
    **dict.fromkeys(("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "LinearClassifier",
                     "LinearRegressor",
                     "SVMClassifier", "SVMRegressor", "OneHotEncoder", "TfIdfVectorizer", "RegexFullMatch"), _by_list),
    "Attention": _attending, "NonMaxSuppression": _squared,
}  # fmt: skip


def answers_of(node: Node, inputs: Inputs) -> list[Tensor]:
    """Return what is known of the answers of an operator."""
    found = RULES.get(node.operator, rules.anything)(node, inputs)
    given = found if isinstance(found, list) else [found]
    beside = Tensor(None, given[0].count, width=given[0].width)
    return [given[place] if place < len(given) else beside for place in range(max(len(node.outputs), 1))]


def steps_of(node: Node, inputs: Inputs, answers: Sequence[Tensor]) -> Bound:
    """Return how many steps an operator takes, about."""
    held = [value.count for value in (*inputs, *answers) if value is not None]
    every = reduce(add, held, ZERO)
    return add(every, STEPS[node.operator](node, inputs, answers)) if node.operator in STEPS else add(every, ONE)
