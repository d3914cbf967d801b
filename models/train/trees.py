"""Tree ensembles as ONNX graphs.

The converters that exist write the older operators, which store each mode as a
string and take three times the room; these graphs use TreeEnsemble of
ai.onnx.ml opset 5 (https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html).
A leaf has one target and one weight.

ONNX Runtime (1.24 to 1.27) finds the nodes by a hash of the number of the tree
and that of the node in the tree, of which each bucket holds a node of each tree:
the time it takes to load an operator grows with the square of its trees. So a
graph may have several operators, whose results are added up. Adding changes
nothing, however it is grouped: weights are multiples of GRAIN, and sums of those
are exact in float32 below LIMIT.
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

INPUT, OUTPUT = "rows", "out"
BRANCH_LEQ = 0
SUM = 1
GRAIN = 2.0 ** -20
LIMIT = GRAIN * 2 ** 24


class Ensemble:
    """Collects trees, one node at a time."""

    def __init__(self, features, targets):
        self.features, self.targets = features, targets
        self.roots = []
        self.nodes = []  # feature, threshold, (true is leaf, id), (false is leaf, id)
        self.leaves = []  # target, weight

    def leaf(self, target, weight):
        self.leaves.append((target, weight))
        return True, len(self.leaves) - 1

    def branch(self, feature, threshold, true, false):
        self.nodes.append((feature, threshold, true, false))
        return False, len(self.nodes) - 1

    def root(self, node):
        leaf, i = node
        if leaf:  # a tree must have a branch
            leaf, i = self.branch(0, 0.0, node, node)
        self.roots.append(i)

    def steps(self, feature, target, levels):
        """Adds a tree that gives target the weight of the level that feature
        has; levels are pairs of value and weight, in rising order. A feature
        that is 0 gives nothing."""
        levels = [(0.0, 0.0), *levels]
        node = self.leaf(target, levels[-1][1])
        for (low, weight), (high, _) in reversed(list(zip(levels[:-1], levels[1:]))):
            node = self.branch(feature, (low + high) / 2, self.leaf(target, weight), node)
        self.root(node)

    def part(self, roots, output):
        """The operator that adds up the trees of these roots."""
        nodes, leaves = [], []  # of these trees only

        def take(leaf, i):
            if leaf:
                leaves.append(self.leaves[i])
                return True, len(leaves) - 1
            feature, threshold, true, false = self.nodes[i]
            true, false = take(*true), take(*false)
            nodes.append((feature, threshold, true, false))
            return False, len(nodes) - 1

        roots = [take(False, root)[1] for root in roots]

        def floats(name, values):
            return numpy_helper.from_array(np.array(values, np.float32), name)

        return helper.make_node(
            "TreeEnsemble", [INPUT], [output], domain="ai.onnx.ml",
            n_targets=self.targets, aggregate_function=SUM, post_transform=0,
            tree_roots=roots,
            nodes_modes=numpy_helper.from_array(np.full(len(nodes), BRANCH_LEQ, np.uint8), "modes"),
            nodes_featureids=[n[0] for n in nodes],
            nodes_splits=floats("splits", [n[1] for n in nodes]),
            nodes_trueleafs=[int(n[2][0]) for n in nodes], nodes_truenodeids=[n[2][1] for n in nodes],
            nodes_falseleafs=[int(n[3][0]) for n in nodes], nodes_falsenodeids=[n[3][1] for n in nodes],
            leaf_targetids=[target for target, _ in leaves],
            leaf_weights=floats("weights", [weight for _, weight in leaves]),
        )

    def graph(self, parts=1):
        """The model, of so many operators; if there are several, weights are
        rounded to GRAIN."""
        if parts == 1:
            operators = [self.part(self.roots, OUTPUT)]
        else:
            self.round()
            outputs = [f"part{i}" for i in range(parts)]
            operators = [self.part(self.roots[i::parts], output) for i, output in enumerate(outputs)]
            operators.append(helper.make_node("Sum", outputs, [OUTPUT]))
        graph = helper.make_graph(
            operators, "trees",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", self.features])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", self.targets])])
        opsets = [helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="ampulla models/train")

    def round(self):
        """Makes weights multiples of GRAIN, and raises unless all sums are exact."""
        self.leaves = [(target, round(float(weight) / GRAIN) * GRAIN) for target, weight in self.leaves]
        most = np.zeros(self.targets)

        def collect(leaf, i, weights):
            if leaf:
                target, weight = self.leaves[i]
                weights[target] = max(weights.get(target, 0), abs(weight))
            else:
                for child in self.nodes[i][2:]:
                    collect(*child, weights)
            return weights

        for root in self.roots:
            for target, weight in collect(False, root, {}).items():
                most[target] += weight
        if not most.max() < LIMIT:
            raise ValueError(f"weights of a target add up to {most.max()}, which is not exact in steps of {GRAIN}")


def below(threshold):
    """The largest float32 that is not above threshold, so that x <= threshold
    says the same of every float32 x."""
    t = np.float32(threshold)
    return np.nextafter(t, np.float32(-np.inf)) if t > threshold else t


def from_lightgbm(booster, features, targets=1):
    """The raw scores of a LightGBM model whose features have no missing values."""
    ensemble = Ensemble(features, targets)
    for k, info in enumerate(booster.dump_model()["tree_info"]):
        def walk(node):
            if "leaf_value" in node:
                return ensemble.leaf(k % targets, node["leaf_value"])
            assert node["decision_type"] == "<="
            return ensemble.branch(node["split_feature"], below(node["threshold"]),
                                   walk(node["left_child"]), walk(node["right_child"]))
        ensemble.root(walk(info["tree_structure"]))
    return ensemble.graph()


def add_forest(ensemble, forest, weight, targets):
    """Adds the votes of a scikit-learn forest: each tree adds weight to the
    likeliest class of its leaf, which is that of the target."""
    for estimator in forest.estimators_:
        tree = estimator.tree_
        best = targets[tree.value[:, 0, :].argmax(axis=1)]

        def walk(i):
            left, right = tree.children_left[i], tree.children_right[i]
            if left < 0:
                return ensemble.leaf(int(best[i]), weight)
            l, r = walk(left), walk(right)
            if l[0] and r[0] and ensemble.leaves[l[1]] == ensemble.leaves[r[1]]:
                return l
            return ensemble.branch(int(tree.feature[i]), below(tree.threshold[i]), l, r)
        ensemble.root(walk(0))


def verify(model, x, predict, tolerance):
    """Raises unless ONNX Runtime gives what predict gives."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    got = session.run(None, {INPUT: np.ascontiguousarray(x, np.float32)})[0]
    worst = float(np.abs(got - predict(x).reshape(got.shape)).max())
    if not worst <= tolerance:
        raise RuntimeError(f"the ONNX graph differs from the trained model by {worst}")
    return worst
