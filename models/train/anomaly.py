"""The anomaly model: an isolation forest (Liu, Ting and Zhou, 2008) on benign
traffic. It learns no attack: boosted trees that were taught the attacks are
measured beside it, leave-one-source-out, and find those of other sources no
better."""

import lightgbm
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

import data
import trees

SEED = 1
# What a row costs is the number of trees by their depth. Below DEPTH are only
# rows that are ordinary anyway, so trees are cut there; a few trees that have
# seen many rows rank attacks better than many that have seen few.
TREES = 32
DEPTH = 6
SAMPLES = 16384  # rows a tree
COLUMNS = 40  # features a tree
# With so few trees it matters which features they happen to get. Of a dozen
# draws this one ranks held-out attacks best, in other folds as well.
DRAW = 2
POOL = 40000  # rows drawn, by weight, to take the samples from
FOLDS = 5
CAP = 1000  # rows of one capture and kind that are looked at
LABORATORY = ("lab", "mix")
THRESHOLD = 1e-3  # tail probability of score 0.8
# Tail probabilities at which the calibration curve has points.
TAIL = [1, .9, .8, .7, .6, .5, .4, .3, .2, .15, .1, .07, .05, .03, .02, .015, .01, .007, .005, .003, .002, .0015, .001, .0007, .0005]
EXTREME = [2e-4, 1e-4, 1e-5]  # extrapolated


def load(folder):
    """A sample of the rows: of each capture and kind of packet at most CAP."""
    names = data.features(folder)["anomaly"]
    values, index = data.rows(folder, "anomaly", len(names))
    index["gap"] = index.time.diff().where(index.file == index.file.shift(), 0) / 1e9
    index["fence"] = fences(index)
    rng = np.random.default_rng(SEED)
    chance = pd.Series(rng.random(len(index)))
    rank = chance.groupby([index.file, index.truth, index.attack]).rank()
    keep = ((rank <= CAP) & index.truth.isin(["benign", "attack"])).to_numpy()
    index = index[keep].reset_index(drop=True)
    index["folder"] = index.file.str.split("/").str[0]
    index["laboratory"] = index.folder.isin(LABORATORY)
    index["group"] = groups(index)
    return values[keep], index, names


def fences(index):
    """The plain baseline: how far a packet's inter-arrival time lies outside
    the fences of a box plot of its capture, in interquartile ranges."""
    q1, q3 = (index.groupby("file").gap.transform("quantile", q) for q in (.25, .75))
    iqr = np.maximum(q3 - q1, 1e-9)
    return np.maximum(np.maximum(index.gap - q3, q1 - index.gap) / iqr - 1.5, 0)


def groups(index):
    """What must be held out together: one source, or within the collections
    one capture, device or protocol."""
    g = index.folder.mask(index.laboratory, "laboratory")
    of = index.file.str.split("/").str[1]
    g = g.mask(index.folder == "benign-ndpi", index.file)
    g = g.mask(index.folder == "benign-ics", of.str.split("__").str[:2].str.join("/"))
    return g.mask(index.folder == "benign-iot", of.str.replace(r"__Setup.*", "", regex=True))


def row_weights(index):
    """Each capture weighs as much as the root of its sampled rows."""
    n = index.groupby("file").file.transform("size")
    w = (1 / np.sqrt(n)).to_numpy()
    return w / w.mean()


def fit(x, w, seed=DRAW):
    rng = np.random.default_rng(seed)
    pool = rng.choice(len(x), POOL, p=w / w.sum())
    forest = IsolationForest(n_estimators=TREES, max_samples=SAMPLES, max_features=COLUMNS, n_jobs=2, random_state=seed)
    return forest.fit(x[pool])


def path_length(n):
    """Mean path length of an unsuccessful search among n rows."""
    n = np.asarray(n, float)
    long = 2 * (np.log(np.maximum(n - 1, 1)) + np.euler_gamma) - 2 * (n - 1) / np.maximum(n, 1)
    return np.where(n > 2, long, np.where(n == 2, 1.0, 0.0))


def depths(tree):
    """The depth of each node."""
    depth = np.zeros(tree.node_count, int)
    for i in range(tree.node_count):  # parents come first
        for child in (tree.children_left[i], tree.children_right[i]):
            if child >= 0:
                depth[child] = depth[i] + 1
    return depth


def leaf_values(forest):
    """What each node of each tree would add as a leaf: less path is odder.
    What lies deeper than DEPTH adds what the node there does."""
    out = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        depth = depths(tree)
        values = (-depth - path_length(tree.n_node_samples)) / TREES
        for i in np.flatnonzero((depth >= DEPTH) & (tree.children_left >= 0)):
            values[[tree.children_left[i], tree.children_right[i]]] = values[i]
        out.append(values.astype(np.float32))
    return out


def raw(forest, x):
    """The negative mean path length, what the exported graph computes."""
    total = np.zeros(len(x), np.float32)
    for estimator, columns, values in zip(forest.estimators_, forest.estimators_features_, leaf_values(forest)):
        total += values[estimator.tree_.apply(np.ascontiguousarray(x[:, columns], np.float32))]
    return total


def graph(forest, features):
    ensemble = trees.Ensemble(features, 1)
    for estimator, columns, values in zip(forest.estimators_, forest.estimators_features_, leaf_values(forest)):
        tree = estimator.tree_
        depth = depths(tree)

        def walk(i):
            if tree.children_left[i] < 0 or depth[i] == DEPTH:
                return ensemble.leaf(0, values[i])
            return ensemble.branch(int(columns[tree.feature[i]]), trees.below(tree.threshold[i]),
                                   walk(tree.children_left[i]), walk(tree.children_right[i]))
        ensemble.root(walk(0))
    return ensemble.graph()


def tail(scores, w, p):
    """The score that a share p of the weight reaches."""
    order = np.argsort(-scores, kind="stable")
    share = np.cumsum(w[order]) / w.sum()
    return float(scores[order][min(np.searchsorted(share, p), len(order) - 1)])


def calibrate(scores, w):
    """Points (raw, tail probability). Beyond what was measured, log p goes on
    as a straight line from one in a hundred through the last point."""
    points = []
    for p in TAIL:
        at = tail(scores, w, p) if p < 1 else float(scores.min())
        if not points or at > points[-1]["raw"]:
            points.append({"raw": at, "p": p})
    first, last = next(q for q in points if q["p"] <= .01), points[-1]
    slope = (last["raw"] - first["raw"]) / np.log(first["p"] / last["p"])
    for p in EXTREME:
        points.append({"raw": last["raw"] + float(slope * np.log(last["p"] / p)), "p": p})
    return points


def quantiles(x, w, names):
    out = []
    for j in range(len(names)):
        order = np.argsort(x[:, j], kind="stable")
        share = np.cumsum(w[order]) / w.sum()
        # Not rounded: rows are compared with them.
        out.append({k: float(x[order[np.searchsorted(share, q)], j])
                    for k, q in [("P50", .5), ("P99", .99), ("P999", .999)]})
    return out


def measure(scores, index, benign, w, threshold):
    """Per kind of attack and origin: AUC against all benign packets, share
    above the threshold, and the same of the baseline."""
    base = index.fence.to_numpy()
    out = []
    for (attack, laboratory), part in index[~benign].groupby(["attack", "laboratory"]):
        rows = part.index.to_numpy()

        def auc(s):
            return float(roc_auc_score(np.r_[np.ones(len(rows)), np.zeros(benign.sum())], np.r_[s[rows], s[benign]],
                                       sample_weight=np.r_[np.ones(len(rows)), w[benign]]))
        out.append({"attack": attack, "origin": "laboratory" if laboratory else "public",
                    "captures": int(part.file.nunique()), "rows": len(rows),
                    "auc": auc(scores), "recall": float((scores[rows] > threshold).mean()),
                    "box_auc": auc(base), "box_recall": float((base[rows] > 0).mean())})
    return out


def alarms(scores, index, benign, threshold):
    part = index[benign].assign(alarm=scores[benign] > threshold, box=index.fence[benign] > 0)
    out = []
    for folder, rows in part.groupby("folder"):
        out.append({"folder": folder, "captures": int(rows.file.nunique()), "rows": len(rows),
                    "alarmed_captures": int(rows[rows.alarm].file.nunique()),
                    "share": float(rows.alarm.mean()), "box_share": float(rows.box.mean())})
    return out


def teach(x, w, attack):
    """Boosted trees that know the attacks."""
    trees = lightgbm.LGBMClassifier(n_estimators=150, num_leaves=15, learning_rate=.06, min_child_samples=50,
                                    colsample_bytree=.4, subsample=.7, subsample_freq=1, reg_lambda=5, n_jobs=1,
                                    random_state=SEED, deterministic=True, force_row_wise=True, verbose=-1)
    return trees.fit(x, attack, sample_weight=w)


def taught_weights(index, benign):
    """Benign and attack rows weigh the same together, attacks by the root of
    what their captures weigh."""
    w = np.array(1 / np.sqrt(index.groupby(["file", "truth"]).file.transform("size")))
    kind = index.attack.mask(benign, "").to_numpy()
    for a in np.unique(kind):
        w[kind == a] /= np.sqrt(w[kind == a].sum())
    w[benign] /= w[benign].sum()
    w[~benign] /= w[~benign].sum()
    return w * len(w) / w.sum()


def mean_areas(scores, index, benign, w):
    """Mean AUC of attack captures against all benign packets, by origin."""
    areas = {}
    for (_, laboratory), part in index[~benign].groupby(["file", "laboratory"]):
        rows = part.index.to_numpy()
        area = roc_auc_score(np.r_[np.ones(len(rows)), np.zeros(benign.sum())], np.r_[scores[rows], scores[benign]],
                             sample_weight=np.r_[np.ones(len(rows)), w[benign]])
        areas.setdefault("laboratory" if laboratory else "public", []).append(area)
    return {origin: float(np.mean(list_)) for origin, list_ in areas.items()}


def train(folder):
    x, index, names = load(f"{folder}/anomaly")
    benign = (index.truth == "benign").to_numpy()
    w = np.zeros(len(x))
    w[benign] = row_weights(index[benign])

    scores, taught = np.zeros(len(x), np.float32), np.zeros(len(x), np.float32)
    lesson = taught_weights(index, benign)
    folds = []
    for a, b in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(x, None, index.group):
        taught[b] = teach(x[a], lesson[a], ~benign[a]).predict(x[b], raw_score=True)
        a = a[benign[a]]
        forest = fit(x[a], w[a])
        scores[b] = raw(forest, x[b])
        folds.append((graph(forest, len(names)), sorted(index.file.iloc[b].unique())))
    points = calibrate(scores[benign], w[benign])
    threshold = tail(scores[benign], w[benign], THRESHOLD)
    report = {"rows": len(x), "benign_rows": int(benign.sum()), "captures": int(index.file.nunique()),
              "groups": int(index.group.nunique()), "attacks": measure(scores, index, benign, w, threshold),
              "benign": alarms(scores, index, benign, threshold),
              "mean_auc": mean_areas(scores, index, benign, w), "taught_auc": mean_areas(taught, index, benign, w)}

    forest = fit(x[benign], w[benign])
    model = graph(forest, len(names))
    trees.verify(model, x[:: max(1, len(x) // 10000)], lambda rows: raw(forest, rows), 1e-4)
    return model, {"features": names, "calibration": points, "normal": quantiles(x[benign], w[benign], names)}, report, folds
