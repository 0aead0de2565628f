"""Ensembles of trees as ONNX graphs: XGBoost, LightGBM and scikit-learn's histogram gradient boosting.

The graph needs none of these packages to answer, and an audit can read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mlops_lab.errors import WrongUsage
from mlops_lab.signature import Signature

ELSE = "Export it to ONNX with its own converter, and publish the file."
Link = Literal["none", "sigmoid", "softmax"]


@dataclass
class Trees:
    """The nodes of an ensemble, as ONNX's TreeEnsembleRegressor has them."""

    dtype: str
    mode: str
    base: list[float]
    link: Link
    nodes: list[tuple[int, int, int, str, float, int, int]] = field(default_factory=list)
    leaves: list[tuple[int, int, int, float]] = field(default_factory=list)

    def split(self, tree: int, node: int, feature: int, threshold: float, left: int, right: int) -> None:
        """Add an inner node."""
        self.nodes.append((tree, node, feature, self.mode, threshold, left, right))

    def leaf(self, tree: int, node: int, target: int, value: float) -> None:
        """Add a leaf."""
        self.nodes.append((tree, node, 0, "LEAF", 0.0, 0, 0))
        self.leaves.append((tree, node, target, value))

    def to_onnx(self, signature: Signature) -> bytes:
        """Return the bytes of a graph with the names of a signature of one input and one output."""
        import onnx
        from onnx import helper, numpy_helper

        given, answered = signature.inputs[0], signature.outputs[0]
        tree, node, feature, mode, threshold, left, right = (list(column) for column in zip(*self.nodes, strict=True))
        leaf_tree, leaf_node, target, value = (list(column) for column in zip(*self.leaves, strict=True))
        double = self.dtype == "float64"

        def numbers(name: str, items: Any) -> dict[str, Any]:
            if double:
                return {f"{name}_as_tensor": numpy_helper.from_array(np.array(items, np.float64), name)}
            return {name: [float(item) for item in items]}

        ensemble = helper.make_node(
            "TreeEnsembleRegressor", [given.name], ["raw"], domain="ai.onnx.ml",
            nodes_treeids=tree, nodes_nodeids=node, nodes_featureids=feature, nodes_modes=mode,
            nodes_truenodeids=left, nodes_falsenodeids=right, target_treeids=leaf_tree, target_nodeids=leaf_node,
            target_ids=target, n_targets=len(self.base), post_transform="NONE", aggregate_function="SUM",
            **numbers("nodes_values", threshold), **numbers("target_weights", value),
            **numbers("base_values", self.base),
        )  # fmt: skip
        kind = onnx.TensorProto.DOUBLE if double else onnx.TensorProto.FLOAT
        steps, constants = self._link(answered.name)
        graph = helper.make_graph(
            [ensemble, *steps],
            "trees",
            [helper.make_tensor_value_info(given.name, kind, ["n", *given.shape])],
            [helper.make_tensor_value_info(answered.name, onnx.TensorProto.FLOAT, ["n", *(answered.shape or (1,))])],
            constants,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="mlops_lab")
        model.ir_version = 8
        return bytes(model.SerializeToString())

    def _link(self, name: str) -> tuple[list[Any], list[Any]]:
        """Return the nodes that make answers of the sums of the trees."""
        from onnx import helper, numpy_helper

        if self.link == "softmax":
            return [helper.make_node("Softmax", ["raw"], [name], axis=1)], []
        if self.link == "none":
            return [helper.make_node("Identity", ["raw"], [name])], []
        steps = [
            helper.make_node("Sigmoid", ["raw"], ["second"]),
            helper.make_node("Sub", ["one", "second"], ["first"]),
            helper.make_node("Concat", ["first", "second"], [name], axis=1),
        ]
        return steps, [numpy_helper.from_array(np.ones(1, np.float32), "one")]


def from_histogram(estimator: Any, signature: Signature) -> bytes:
    """Return scikit-learn's HistGradientBoostingClassifier or Regressor as ONNX.

    Raises
    ------
    WrongUsage
        It splits on categories, or its loss has a link of its own.
    """
    base = np.ravel(estimator._baseline_prediction).tolist()
    loss = getattr(estimator, "loss", "log_loss")
    if loss not in ("log_loss", "squared_error", "absolute_error", "quantile"):
        raise WrongUsage(f"The loss {loss!r} has a link that is not converted.", ELSE)
    link: Link = "none" if loss != "log_loss" else "sigmoid" if len(base) == 1 else "softmax"
    trees = Trees("float64", "BRANCH_LEQ", base, link)
    number = 0
    for iteration in estimator._predictors:
        for target, predictor in enumerate(iteration):
            for place, row in enumerate(predictor.nodes):
                if row["is_categorical"]:
                    raise WrongUsage("It splits on categories, which is not converted.", ELSE)
                if row["is_leaf"]:
                    trees.leaf(number, place, target, float(row["value"]))
                else:
                    threshold, left, right = float(row["num_threshold"]), int(row["left"]), int(row["right"])
                    trees.split(number, place, int(row["feature_idx"]), threshold, left, right)
            number += 1
    return trees.to_onnx(signature)


def from_xgboost(booster: Any, signature: Signature) -> bytes:
    """Return a booster of XGBoost as ONNX.

    Raises
    ------
    WrongUsage
        It is no ensemble of plain trees, or its objective is none that is converted.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    model, objective = learner["gradient_booster"], learner["objective"]["name"]
    if model["name"] != "gbtree":
        raise WrongUsage(f"A booster {model['name']!r} is not converted.", ELSE)
    classes = int(learner["learner_model_param"]["num_class"])
    base = json.loads(learner["learner_model_param"]["base_score"])
    base = [float(item) for item in (base if isinstance(base, list) else [base])]
    links: dict[str, Link] = {
        "binary:logistic": "sigmoid", "multi:softprob": "softmax", "multi:softmax": "softmax",
        "reg:squarederror": "none", "reg:absoluteerror": "none", "reg:pseudohubererror": "none",
    }  # fmt: skip
    if objective not in links:
        raise WrongUsage(f"The objective {objective!r} is not converted.", ELSE)
    if links[objective] == "sigmoid":
        base = [math.log(item / (1 - item)) for item in base]
    base = base if len(base) == max(1, classes) else base * max(1, classes)
    trees = Trees("float32", "BRANCH_LT", base, links[objective])
    for number, (tree, target) in enumerate(zip(model["model"]["trees"], model["model"]["tree_info"], strict=True)):
        if any(tree["split_type"]):
            raise WrongUsage("It splits on categories, which is not converted.", ELSE)
        columns = ("split_indices", "split_conditions", "left_children", "right_children")
        for place, (feature, value, left, right) in enumerate(zip(*(tree[name] for name in columns), strict=True)):
            if left < 0:
                trees.leaf(number, place, target, value)
            else:
                trees.split(number, place, feature, value, left, right)
    return trees.to_onnx(signature)


def from_lightgbm(booster: Any, signature: Signature) -> bytes:
    """Return a booster of LightGBM as ONNX.

    Raises
    ------
    WrongUsage
        It splits on categories, or its objective is none that is converted.
    """
    model = booster.dump_model(num_iteration=booster.best_iteration if booster.best_iteration > 0 else None)
    objective = str(model.get("objective", "")).split(" ")[0]
    links: dict[str, Link] = {
        "binary": "sigmoid",
        "multiclass": "softmax",
        "regression": "none",
        "regression_l1": "none",
    }
    if objective not in links or model["average_output"]:
        raise WrongUsage(f"The objective {model.get('objective')!r} is not converted.", ELSE)
    targets = int(model["num_tree_per_iteration"])
    trees = Trees("float64", "BRANCH_LEQ", [0.0] * targets, links[objective])
    for number, tree in enumerate(model["tree_info"]):
        counter = iter(range(2**31))
        for _ in _walk(trees, number, number % targets, tree["tree_structure"], counter, next(counter)):
            pass
    return trees.to_onnx(signature)


def _walk(trees: Trees, tree: int, target: int, node: dict[str, Any], counter: Any, place: int) -> Iterator[None]:
    """Add the nodes below one node of LightGBM's description, without recursion."""
    waiting = [(node, place)]
    while waiting:
        node, place = waiting.pop()
        yield
        if "leaf_value" in node:
            trees.leaf(tree, place, target, float(node["leaf_value"]))
            continue
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise WrongUsage("It splits on categories, or takes 0 for missing, which is not converted.", ELSE)
        left, right = next(counter), next(counter)
        trees.split(tree, place, int(node["split_feature"]), float(node["threshold"]), left, right)
        waiting += [(node["left_child"], left), (node["right_child"], right)]
