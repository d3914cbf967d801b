"""The protocol classifier: extremely randomised trees that vote."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import GroupKFold

import data
import trees

UNKNOWN = "unknown"
SEED = 1
TREES = 60
FOLDS = 5
MIN_CAPTURES = 3  # of a class; rarer ones are trained as unknown
PER_CAPTURE = 10  # rows of one class and capture that are trained on
COLUMNS = 140  # features tried at each branch
WRONG = 0.02  # share of first payloads that may be named wrongly in captures not trained on
TEMPERATURES = np.geomspace(0.03, 0.5, 40)


def targets(index, classes=None):
    """The class of each row; UNKNOWN for the rare ones, which teach the model
    that there is more than it knows."""
    names = index.label.map(data.classes()).fillna(UNKNOWN)
    if classes is None:
        captures = pd.DataFrame({"c": names, "f": index.file}).drop_duplicates().c.value_counts()
        classes = set(captures[captures >= MIN_CAPTURES].index)
    return names.where(names.isin(classes), UNKNOWN).to_numpy()


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
    """What the exported graph computes: the share of trees for each class."""
    out = np.zeros((len(x), len(classes)), np.float32)
    columns = np.searchsorted(classes, forest.classes_)
    for tree in forest.estimators_:
        best = tree.tree_.value[:, 0, :].argmax(axis=1)[tree.apply(x)]
        out[np.arange(len(x)), columns[best]] += np.float32(1 / TREES)
    return out


def confidence(logits, temperature):
    z = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return 1 / z.sum(axis=1)


def points(index):
    """The rows of the first and of the last classification of each flow."""
    flow = index.groupby(["file", "flow"]).frame
    return {name: (rows == index.frame).to_numpy()
            for name, rows in [("first payload", flow.transform("min")), ("last", flow.transform("max"))]}


def temperature_of(logits, y, w, classes):
    """The temperature of the highest likelihood."""
    def loss(t):
        z = (logits - logits.max(axis=1, keepdims=True)) / t
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        return -(w * np.log(p[np.arange(len(y)), np.searchsorted(classes, y)])).sum()
    return float(min(TEMPERATURES, key=loss))


def abstain_below(logits, y, w, classes, temperature):
    """The confidence below which to abstain so that at most WRONG of the rows
    are named wrongly."""
    c = confidence(logits, temperature)
    named = classes[logits.argmax(axis=1)]
    order = np.argsort(-c, kind="stable")
    wrong = ((named != UNKNOWN) & (named != y))[order]
    share = np.cumsum(w[order] * wrong) / w.sum()
    return round(float(c[order][np.flatnonzero(share <= WRONG)[-1]]), 4)


def measure(logits, y, index, classes, temperature, abstain):
    """Figures at the first and at the last classification of each flow."""
    c = confidence(logits, temperature)
    named = np.where(c < abstain, UNKNOWN, classes[logits.argmax(axis=1)])
    out = {}
    for point, m in points(index).items():
        out[point] = figures(named[m], classes[logits[m].argmax(axis=1)], c[m], y[m], index[m], abstain)
    return out


def figures(named, best, c, y, index, abstain):
    w = capture_weights(y, index)
    known = y != UNKNOWN
    wk = w * known
    right, silent = named == y, named == UNKNOWN
    wrong = ~right & ~silent
    per = {}
    for k in sorted(set(y[known])):
        tp, fp, fn = (w[(y == k) & right].sum(), w[(named == k) & wrong].sum(), w[(y == k) & ~right].sum())
        per[k] = {"flows": int((y == k).sum()), "captures": int(index.file[y == k].nunique()),
                  "recall": tp / (tp + fn), "precision": tp / max(tp + fp, 1e-9), "f1": 2 * tp / max(2 * tp + fp + fn, 1e-9)}
    ports = index.port_label.map(data.classes()).fillna("").to_numpy()
    same = {"smb2": "smb"}
    port_right = np.array([p == same.get(t, t) or p == t for p, t in zip(ports, y)])
    return {
        "flows": int(known.sum()), "classes": len(per),
        "right": float(wk[right].sum() / wk.sum()), "silent": float(wk[silent].sum() / wk.sum()),
        "wrong": float(wk[wrong].sum() / wk.sum()),
        "right_flows": float(right[known].mean()), "wrong_flows": float(wrong[known].mean()),
        "macro_f1": float(np.mean([p["f1"] for p in per.values()])),
        "port_right": float(wk[port_right].sum() / wk.sum()),
        "unknown_named": float(w[~known & ~silent].sum() / max(w[~known].sum(), 1e-9)),
        "unknown_flows": int((~known).sum()),
        "reliability": reliability(best == y, c, w), "per_class": per,
    }


def reliability(right, c, w):
    """Per band of confidence: weight, mean confidence, share that is right."""
    out = []
    for low, high in [(0, .2), (.2, .4), (.4, .6), (.6, .8), (.8, .9), (.9, .95), (.95, 1.01)]:
        m = (c >= low) & (c < high)
        if m.any():
            out.append({"from": low, "to": min(high, 1), "share": float(w[m].sum() / w.sum()),
                        "confidence": float((w * c)[m].sum() / w[m].sum()), "right": float(w[m & right].sum() / w[m].sum())})
    return out


def train(folder, captures):
    x, index, names = data.protocol_rows(f"{folder}/train", f"{captures}/protocols/flows-train.tsv")
    y = targets(index)
    classes = np.array(sorted(set(y)))
    chosen = sample(y, index)
    w = np.zeros(len(y))
    w[chosen] = row_weights(y[chosen], index[chosen])

    logits = np.zeros((len(x), len(classes)), np.float32)
    for a, b in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y, index.cluster):
        a = a[chosen[a]]
        logits[b] = votes(fit(x[a], y[a], w[a], names), x[b], classes)
    temperature = temperature_of(logits, y, capture_weights(y, index), classes)
    first = points(index)["first payload"]  # the least is known there
    abstain = abstain_below(logits[first], y[first], capture_weights(y[first], index[first]), classes, temperature)
    report = {"trained_rows": int(chosen.sum()), "trained_flows": int(index.groupby(["file", "flow"]).ngroups),
              "trained_captures": int(index.file.nunique()),
              "held out": measure(logits, y, index, classes, temperature, abstain)}

    forest = fit(x[chosen], y[chosen], w[chosen], names)
    model = trees.from_forest(forest, len(names), 1 / TREES)
    trees.verify(model, x[:: max(1, len(x) // 10000)], lambda rows: votes(forest, rows, classes), 1e-5)

    xd, index_dev, _ = data.protocol_rows(f"{folder}/dev", f"{captures}/protocols/flows-dev.tsv")
    yd = targets(index_dev, set(classes))
    report["dev"] = measure(votes(forest, xd, classes), yd, index_dev, classes, temperature, abstain)
    report["tunnels"] = {split: data.tunnel_flows(f"{folder}/{split}", f"{captures}/protocols/flows-{split}.tsv")
                         for split in ("train", "dev")}
    return model, {"features": names, "classes": classes.tolist(), "temperature": temperature, "abstain": abstain}, report
