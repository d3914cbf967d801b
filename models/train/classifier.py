"""The protocol classifier: extremely randomised trees vote, and so does every
signature of annotator/signature that matches, by how far it is to be trusted."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import GroupKFold

import data
import trees

UNKNOWN = "unknown"
SEED = 1
TREES = 40
PARTS = 4  # of the graph: twice as many load no faster, and take longer to run
FOLDS = 5
PER_CAPTURE = 10  # rows of one class and capture that are trained on
COLUMNS = 140  # features tried at each branch
# The share of flows that may be named wrongly in captures not trained on, at
# the first and at the last classification.
WRONG = {"first payload": 0.02, "last": 0.0135}
TEMPERATURES = np.geomspace(0.05, 0.3, 16)
# From which confidence on a class may be final, and how many of 10,000 flows may be
# named otherwise for that in captures not trained on.
SETTLED = (0.99, 0.999, 0.9999, 0.99999, 1)
OTHERWISE = 3
# What a signature that always matches, and is always right, may be worth; all
# trees together are worth 1.
SIGNATURE_WEIGHTS = np.geomspace(0.5, 2, 5)
# A signature's feature is the share of up to four payloads that match.
SHARES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1)


def targets(index):
    """The class of each row."""
    return index.label.map(data.classes()).fillna(UNKNOWN).to_numpy()


def sample(y, index):
    """The rows to train on: of each class and capture at most PER_CAPTURE."""
    chance = pd.Series(np.random.default_rng(SEED).random(len(y)))
    return (chance.groupby([y, index.file]).rank() <= PER_CAPTURE).to_numpy()


def row_weights(y, index):
    """Rows of one class in one capture share the weight of at most two of
    them, and a class weighs as the root of its number of captures."""
    d = pd.DataFrame({"y": y, "f": index.file.to_numpy()})
    rows = d.groupby(["y", "f"]).y.transform("size")
    captures = d.y.map(d.drop_duplicates().y.value_counts())
    w = (np.sqrt(np.minimum(rows, 4)) / rows / np.sqrt(captures)).to_numpy()
    return w / w.mean()


def capture_weights(y, index):
    """Every class of every capture weighs the same; for measuring."""
    d = pd.DataFrame({"y": y, "f": index.file.to_numpy()})
    return (1 / d.groupby(["y", "f"]).y.transform("size")).to_numpy()


def swapped(x, names):
    """The same flows as seen by a capture that began in the middle, so that
    the server seemed to be the client."""
    at = {name: i for i, name in enumerate(names)}
    z = x.copy()
    for name, i in at.items():
        if name.startswith("client_") and name != "client_first":
            j = at["server_" + name.removeprefix("client_")]
            z[:, i], z[:, j] = x[:, j], x[:, i]
        elif name.startswith("length_"):
            z[:, i] = -x[:, i]
    z[:, at["client_first"]] = 1 - x[:, at["client_first"]]
    return z


def fit(x, y, w, names, seed=SEED):
    forest = ExtraTreesClassifier(TREES, criterion="entropy", max_features=COLUMNS, n_jobs=2, random_state=seed)
    return forest.fit(np.vstack([x, swapped(x, names)]), np.concatenate([y, y]),
                      sample_weight=np.concatenate([w, 0.3 * w]))


def votes(forest, x, classes):
    """The share of trees for each class."""
    out = np.zeros((len(x), len(classes)), np.float32)
    columns = np.searchsorted(classes, forest.classes_)
    for tree in forest.estimators_:
        best = tree.tree_.value[:, 0, :].argmax(axis=1)[tree.apply(x)]
        out[np.arange(len(x)), columns[best]] += np.float32(1 / TREES)
    return out


class Signatures:
    """The votes of the signatures: each counts by the root of the share of
    payloads that match, as many protocols begin unlike they go on, and by its
    precision on the rows that it learns from."""

    def __init__(self, names, classes):
        found = [(i, data.signed(name)) for i, name in enumerate(names) if data.signed(name)]
        self.columns = np.array([i for i, _ in found])
        self.targets = np.searchsorted(classes, [c for _, c in found])

    @staticmethod
    def classes(names):
        return {data.signed(name) for name in names} - {""}

    def learn(self, x, y, w, classes):
        """Sets trust, the precision of each; one that was never seen to match
        has that of a coin that fell right three times out of four."""
        own = np.searchsorted(classes, y)[:, None] == self.targets[None, :]
        hit = w[:, None] * (x[:, self.columns] > 0)
        self.trust = ((hit * own).sum(axis=0) + 1) / (hit.sum(axis=0) + 4 / 3)
        return self

    def votes(self, x, classes):
        out = np.zeros((len(x), len(classes)), np.float32)
        for i, target, trust in zip(self.columns, self.targets, self.trust):
            out[:, target] += (np.sqrt(x[:, i]) * trust).astype(np.float32)
        return out


def confidence(logits, temperature):
    z = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return 1 / z.sum(axis=1)


def answers(logits, classes, temperature, abstain):
    """The confidence and the class that the program gives each row."""
    c = confidence(logits, temperature)
    return c, np.where(c < abstain, UNKNOWN, classes[logits.argmax(axis=1)])


def points(index):
    """The rows of the first and of the last classification of each flow."""
    flow = index.groupby(["file", "flow"]).frame
    return {name: (rows == index.frame).to_numpy()
            for name, rows in [("first payload", flow.transform("min")), ("last", flow.transform("max"))]}


def loss(logits, y, w, classes, temperature):
    """The mean negative log-likelihood of the right classes."""
    z = (logits - logits.max(axis=1, keepdims=True)) / temperature
    right = z[np.arange(len(y)), np.searchsorted(classes, y)] - np.log(np.exp(z).sum(axis=1))
    return float(-(w * right).sum() / w.sum())


def calibrated(votes, signed, y, w, classes):
    """The weight of the signatures and the temperature of the highest
    likelihood."""
    return min(((float(weight), float(t)) for weight in SIGNATURE_WEIGHTS for t in TEMPERATURES),
               key=lambda p: loss(votes + p[0] * signed, y, w, classes, p[1]))


def abstain_below(logits, y, w, classes, temperature, limit):
    """The confidence below which to abstain so that at most limit of the rows
    are named wrongly."""
    c = confidence(logits, temperature)
    named = classes[logits.argmax(axis=1)]
    order = np.argsort(-c, kind="stable")
    wrong = ((named != UNKNOWN) & (named != y))[order]
    share = np.cumsum(w[order] * wrong) / w.sum()
    return round(float(c[order][np.flatnonzero(share <= limit)[-1]]), 4)


def settled(logits, index, classes, temperature, abstain, confident):
    """What becomes of flows that are asked no further once their class is that
    sure: how many rows are left out, and how many flows are named otherwise at
    their end. The engine does so, see Engine.settles."""
    c, named = answers(logits, classes, temperature, abstain)
    d = pd.DataFrame({"flow": index.groupby(["file", "flow"]).ngroup().to_numpy(), "frame": index.frame.to_numpy(),
                      "named": named, "sure": (c >= confident) & (named != UNKNOWN)}).sort_values(["flow", "frame"])
    before = d.groupby("flow").sure.cumsum() - d.sure
    final = d[before == 0].groupby("flow").named.last()  # the first that is sure, or else the last
    return {"rows": len(d), "spared": int((before > 0).sum()), "flows": len(final),
            "otherwise": int((final != d.groupby("flow").named.last()).sum())}


def measure(logits, y, index, classes, temperature, abstain, core):
    """Figures at the first and at the last classification of each flow."""
    c, named = answers(logits, classes, temperature, abstain)
    out = {}
    for point, m in points(index).items():
        out[point] = figures(named[m], classes[logits[m].argmax(axis=1)], c[m], y[m], index[m], core)
    return out


def figures(named, best, c, y, index, core):
    w = capture_weights(y, index)
    known = y != UNKNOWN
    wk = w * known
    right, silent = named == y, named == UNKNOWN
    wrong = ~right & ~silent
    per = per_class(named, y, index, w)
    by_flow = per_class(named, y, index, np.ones(len(y)))
    ports = index.port_label.map(data.classes()).fillna("").to_numpy()
    same = {"smb2": "smb"}
    port_right = np.array([p == same.get(t, t) or p == t for p, t in zip(ports, y)])
    return {
        "flows": int(known.sum()), "classes": len(per),
        "right": float(wk[right].sum() / wk.sum()), "silent": float(wk[silent].sum() / wk.sum()),
        "wrong": float(wk[wrong].sum() / wk.sum()),
        "right_flows": float(right[known].mean()), "wrong_flows": float(wrong[known].mean()),
        "macro_f1": macro(per), "macro_f1_core": macro(per, core),
        "macro_f1_flows": macro(by_flow), "macro_f1_core_flows": macro(by_flow, core),
        "port_right": float(wk[port_right].sum() / wk.sum()),
        "reliability": reliability(best == y, c, w), "per_class": per,
    }


def per_class(named, y, index, w):
    per = {}
    for k in sorted(set(y) - {UNKNOWN}):
        own, called = y == k, named == k
        tp, fp, fn = w[own & called].sum(), w[called & ~own].sum(), w[own & ~called].sum()
        per[k] = {"flows": int(own.sum()), "captures": int(index.file[own].nunique()), "recall": tp / (tp + fn),
                  "precision": tp / max(tp + fp, 1e-9), "f1": 2 * tp / max(2 * tp + fp + fn, 1e-9)}
    return per


def macro(per, classes=None):
    return float(np.mean([f["f1"] for k, f in per.items() if classes is None or k in classes]))


def reliability(right, c, w):
    """Per band of confidence: weight, mean confidence, share that is right."""
    out = []
    for low, high in [(0, .2), (.2, .4), (.4, .6), (.6, .8), (.8, .9), (.9, .95), (.95, 1.01)]:
        m = (c >= low) & (c < high)
        if m.any():
            out.append({"from": low, "to": min(high, 1), "share": float(w[m].sum() / w.sum()),
                        "confidence": float((w * c)[m].sum() / w[m].sum()), "right": float(w[m & right].sum() / w[m].sum())})
    return out


def held_out(x, y, index, lab, chosen, w, names, classes):
    """The votes of trees and of signatures on each row, from models that saw no
    capture of its cluster."""
    forest, signed = (np.zeros((len(x), len(classes)), np.float32) for _ in range(2))
    for a, b in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y, index.cluster):
        signatures = Signatures(names, classes).learn(x[a], y[a], capture_weights(y[a], index.iloc[a]), classes)
        signed[b] = signatures.votes(x[b], classes)
        a = a[chosen[a]]
        trees_ = fit(np.vstack([x[a], lab[0]]), np.concatenate([y[a], lab[1]]), np.concatenate([w[a], lab[2]]), names)
        forest[b] = votes(trees_, x[b], classes)
    return forest, signed


def strangers(forest_votes, signed, weight, temperature, abstain, y, index, known, classes):
    """What becomes of flows of protocols that the models never met: classes of
    one cluster, which were held out altogether, without their signatures."""
    clusters = index.groupby(y).cluster.nunique()
    m = points(index)["last"] & np.isin(y, clusters[clusters == 1].index) & ~np.isin(y, known)
    own = np.zeros_like(signed[m])
    at = np.arange(m.sum()), np.searchsorted(classes, y[m])
    own[at] = signed[m][at]
    logits = forest_votes[m] + np.float32(weight) * (signed[m] - own)
    named = confidence(logits, temperature) >= abstain
    w = capture_weights(y[m], index[m])
    return {"classes": int((clusters == 1).sum()), "flows": int(m.sum()), "named": float(w[named].sum() / w.sum())}


def weighted(y, index):
    """The weights for training; 0 for the rows that are left out."""
    chosen = sample(y, index)
    w = np.zeros(len(y))
    w[chosen] = row_weights(y[chosen], index[chosen])
    return chosen, w


def train(folder, captures):
    x, index, names = data.protocol_rows(f"{folder}/train", f"{captures}/protocols/flows-train.tsv")
    y = targets(index)
    chosen, w = weighted(y, index)
    xl, index_lab, yl = data.lab_rows(f"{folder}/lab")
    own, wl = weighted(yl, index_lab)
    lab = xl[own], yl[own], wl[own]
    classes = np.array(sorted({UNKNOWN, *y, *yl} | Signatures.classes(names)))
    core = data.core(f"{captures}/protocols/LABELS.tsv")

    forest_votes, signed = held_out(x, y, index, lab, chosen, w, names, classes)
    w_all = capture_weights(y, index)
    some = np.logical_or(*points(index).values())
    weight, temperature = calibrated(forest_votes[some], signed[some], y[some], w_all[some], classes)
    logits = forest_votes + np.float32(weight) * signed
    abstain = max(abstain_below(logits[m], y[m], capture_weights(y[m], index[m]), classes, temperature, WRONG[point])
                  for point, m in points(index).items())
    sure, sparing = next((s, spared) for s in SETTLED
                         if (spared := settled(logits, index, classes, temperature, abstain, s))["otherwise"] * 10000
                         <= OTHERWISE * spared["flows"])
    report = {"settled": {"held out": sparing}, "trained_rows": int(chosen.sum()), "trained_flows": int(index.groupby(["file", "flow"]).ngroups),
              "trained_captures": int(index.file.nunique()),
              "lab_rows": int(own.sum()), "lab_captures": int(index_lab.file.nunique()), "lab_classes": sorted(set(yl)),
              "signatures": len(Signatures(names, classes).columns), "signature_weight": weight,
              "strangers": strangers(forest_votes, signed, weight, temperature, abstain, y, index, set(yl), classes),
              "held out": measure(logits, y, index, classes, temperature, abstain, core)}

    forest = fit(np.vstack([x[chosen], lab[0]]), np.concatenate([y[chosen], lab[1]]), np.concatenate([w[chosen], lab[2]]), names)
    signatures = Signatures(names, classes).learn(x, y, w_all, classes)
    model = graph(forest, signatures, weight, names, classes)

    def predict(rows):
        return votes(forest, rows, classes) + np.float32(weight) * signatures.votes(rows, classes)
    trees.verify(model, x[:: max(1, len(x) // 10000)], predict, 1e-4)

    xd, index_dev, _ = data.protocol_rows(f"{folder}/dev", f"{captures}/protocols/flows-dev.tsv")
    dev = predict(xd)
    report["dev"] = measure(dev, targets(index_dev), index_dev, classes, temperature, abstain, core)
    report["settled"]["dev"] = settled(dev, index_dev, classes, temperature, abstain, sure)
    report["tunnels"] = {split: data.tunnel_flows(f"{folder}/{split}", f"{captures}/protocols/flows-{split}.tsv")
                         for split in ("train", "dev")}
    facts = {"features": names, "classes": classes.tolist(), "temperature": temperature, "abstain": abstain, "settled": sure}
    return model, facts, report


def graph(forest, signatures, weight, names, classes):
    """The model: a tree for each of the forest's, and one for each signature."""
    ensemble = trees.Ensemble(len(names), len(classes))
    trees.add_forest(ensemble, forest, 1 / TREES, np.searchsorted(classes, forest.classes_))
    for column, target, trust in zip(signatures.columns, signatures.targets, signatures.trust):
        ensemble.steps(int(column), int(target), [(share, weight * float(trust) * share ** 0.5) for share in SHARES])
    return ensemble.graph(PARTS)
