"""What ONNX operators answer that multiply matrices, and those of whole models: recurrent layers, trees, tables."""

from __future__ import annotations

from functools import reduce

from mlops_lab.store.safety.onnx_graph.bounds import (
    ONE,
    ZERO,
    Bound,
    Tensor,
    add,
    at_most,
    broadcast,
    constant,
    multiply,
    product,
    tensor,
    wider,
)
from mlops_lab.store.safety.onnx_graph.numbers import Inputs, Node, need


def recurrent(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer all steps, and the last one."""
    x, w, r = need(inputs), need(inputs, 1), need(inputs, 2)
    if not x.dims or len(x.dims) != 3 or not w.dims or not r.dims:
        return [tensor(None, product([x.count, w.count, r.count]))] * 3
    hidden, ways = r.dims[-1], w.dims[0]
    if node.number("layout"):
        batch, steps = x.dims[:2]
        return [tensor([batch, steps, ways, hidden]), *[tensor([batch, ways, hidden])] * 2]
    steps, batch = x.dims[:2]
    return [tensor([steps, ways, batch, hidden]), *[tensor([ways, batch, hidden])] * 2]


def attention(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer for every question, with what is kept for the next."""
    q, k, v = need(inputs), need(inputs, 1), need(inputs, 2)
    past = [need(inputs, place).count for place in (4, 5)]
    held = [tensor(None, add(one.count, before)) for one, before in zip((k, v), past, strict=True)]
    scores = tensor(None, multiply(q.count, k.count))
    if not q.dims or not v.dims or len(q.dims) != len(v.dims):
        return [tensor(None, multiply(q.count, v.count)), *held, scores]
    heads = constant(max(node.number("q_num_heads", 1), 1)) if len(q.dims) == 3 else ONE
    return [tensor([*q.dims[:-1], multiply(v.dims[-1], heads).loose]), *held, scores]


def words(node: Node, inputs: Inputs) -> Tensor:
    """Answer with a place for each group of words."""
    x, places = need(inputs), max([0, *node.numbers("ngram_indexes")]) + 1
    rows = [_rows(x)] if x.dims is None or len(x.dims) > 1 else []
    return tensor([*rows, constant(places)])


def _rows(x: Tensor) -> Bound:
    """Return how many examples a tensor of tables has: one, where it is an example itself."""
    return x.count if x.dims is None else ONE if len(x.dims) < 2 else x.dims[0]


def classified(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer a class and the scores of all classes for each example."""
    names = [name for name in node.attributes if name.startswith(("classlabels", "class_ids", "intercepts"))]
    classes = max(node.listed(names), 2)
    many = classes * (classes - 1) // 2 if node.operator.startswith("SVM") else 0
    rows = _rows(need(inputs))
    return [tensor([rows], width=node.width()), tensor([rows, constant(max(classes, many))])]


def regressed(node: Node, inputs: Inputs) -> Tensor:
    """Answer with numbers for each example."""
    targets = node.number("targets" if node.operator == "LinearRegressor" else "n_targets", 1)
    return tensor([_rows(need(inputs)), constant(max(abs(targets), 1))])


def labelled(node: Node, inputs: Inputs) -> Tensor:
    """Answer with a label in the place of each value."""
    x = need(inputs)
    return tensor(x.dims, x.count, width=node.width())


def hot(node: Node, inputs: Inputs) -> Tensor:
    """Answer with a place for each category."""
    x, many = need(inputs), constant(node.listed(("cats_int64s", "cats_strings")))
    return tensor(None if x.dims is None else [*x.dims, many], multiply(x.count, many))


def features(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the columns of all inputs."""
    given = [value for value in inputs if value is not None]
    many = reduce(add, map(constant, map(abs, node.numbers("inputdimensions"))), ZERO)
    rows = reduce(wider, map(_rows, given), ONE)
    return tensor([rows, many])


def extracted(node: Node, inputs: Inputs) -> Tensor:
    """Answer with some of the columns."""
    x, places = need(inputs), need(inputs, 1)
    if not x.dims:
        return x.sized(None, multiply(x.count, places.count))
    return x.sized([*x.dims[:-1], places.count] if len(x.dims) > 1 else [ONE, places.count])


def mapped(node: Node, inputs: Inputs) -> Tensor:
    """Answer with dictionaries, or with what dictionaries hold."""
    x = need(inputs)
    if node.operator == "ZipMap":
        return tensor(None, x.count, width=node.width())
    many = max(node.listed(("string_vocabulary", "int64_vocabulary")), node.number("max_map", 1), 1)
    return tensor(None, add(x.count, constant(many)))


def matmul(node: Node, inputs: Inputs, left: int = 0, right: int = 1) -> Tensor:
    """Answer a product of matrices."""
    a, b = need(inputs, left), need(inputs, right)
    if not a.dims or not b.dims:
        return tensor(None, multiply(a.count, b.count), whole=a.whole)
    batch = broadcast([Tensor(a.dims[:-2]), Tensor(b.dims[:-2])]).dims or ()
    rows, columns = a.dims[-2:-1] if len(a.dims) > 1 else (), b.dims[-1:] if len(b.dims) > 1 else ()
    return tensor([*batch, *rows, *columns], whole=a.whole)


def gemm(node: Node, inputs: Inputs) -> Tensor:
    """Answer a product of two matrices, each of which may be turned."""
    a, b = need(inputs), need(inputs, 1)
    if not a.dims or not b.dims or len(a.dims) != 2 or len(b.dims) != 2:
        return tensor(None, multiply(a.count, b.count))
    return tensor([a.dims[1 if node.number("transA") else 0], b.dims[0 if node.number("transB") else 1]])


def einsum(node: Node, inputs: Inputs) -> Tensor:
    """Answer with one size for each letter."""
    left, _, right = node.text("equation").replace(" ", "").partition("->")
    letters: dict[str, Bound] = {}
    for term, value in zip(left.split(","), inputs, strict=False):
        if value is None or value.dims is None or len(term) != len(value.dims) or not term.isalpha():
            return tensor(None, product(value.count for value in inputs if value is not None))
        for letter, size in zip(term, value.dims, strict=True):
            letters[letter] = wider(letters[letter], size) if letter in letters else size
    once = "".join(sorted(letter for letter in letters if left.count(letter) == 1))
    return tensor([letters.get(letter, ONE) for letter in (right if "->" in node.text("equation") else once)])


def multinomial(node: Node, inputs: Inputs) -> Tensor:
    """Answer with samples of each example."""
    x = need(inputs)
    return tensor([x.dims[0] if x.dims else x.count, constant(node.number("sample_size", 1))])


def boxes(node: Node, inputs: Inputs) -> Tensor:
    """Answer with some of the boxes."""
    scores = need(inputs, 1)
    return tensor([scores.count.loose, constant(3)], most=scores.count.loose, whole=True)


def quantized(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer with bytes, a scale and a zero."""
    x = need(inputs)
    return [tensor(x.dims, x.count, most=at_most(255), whole=True), Tensor(()), Tensor(())]


def normalized(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer a normalization, and beside it what it has measured."""
    x = need(inputs)
    return [tensor(x.dims, x.count), *[tensor(None, x.count)] * 4]


def loss(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer with a loss for each example."""
    x = need(inputs)
    return [tensor(None, add(x.count, ONE))] * 2
