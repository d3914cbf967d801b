"""Writes the model card: every number in it comes from the training."""


from math import log10

import anomaly
import classifier


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def percent(x, digits=1):
    return f"{100 * x:.{digits}f} %"


def classifier_figures(report):
    rows = []
    for split, name in [("held out", "held-out clusters of train"), ("dev", "dev")]:
        for point, f in report[split].items():
            rows.append([name, point, f["flows"], percent(f["right"]), percent(f["silent"]), percent(f["wrong"]),
                         f"{percent(f['right_flows'])}, {percent(f['wrong_flows'])}", f["classes"], f"{f['macro_f1']:.3f}",
                         f"{f['macro_f1_core']:.3f}", f"{f['macro_f1_flows']:.3f}", percent(f["port_right"])])
    return table(["captures", "classified at", "flows", "right", "silent", "wrong", "right, wrong by flow", "classes",
                  "macro F1", "of core", "by flow", "port table right"], rows)


def per_class(report):
    held, dev = report["held out"]["last"]["per_class"], report["dev"]["last"]["per_class"]
    rows = []
    for name, f in held.items():
        d = dev.get(name)
        rows.append([name, f["captures"], f["flows"], f"{f['recall']:.2f}", f"{f['precision']:.2f}",
                     d["flows"] if d else 0, f"{d['recall']:.2f}" if d else "", f"{d['precision']:.2f}" if d else ""])
    return table(["class", "captures", "flows", "recall", "precision", "dev flows", "dev recall", "dev precision"], rows)


def reliability(report):
    rows = [[f"{b['from']:.2f} to {b['to']:.2f}", percent(b["share"]), f"{b['confidence']:.3f}", f"{b['right']:.3f}"]
            for b in report["held out"]["last"]["reliability"]]
    return table(["confidence", "share of flows", "mean confidence", "share that is right"], rows)


def tunnels(report):
    rows = []
    for split, counts in report["tunnels"].items():
        rows += [[split, label, total, looked] for label, (total, looked) in sorted(counts.items())]
    return table(["captures", "tunnel", "labelled flows", "looked into"], rows)


def attacks(report):
    rows = [[a["attack"], a["origin"], a["captures"], a["rows"], f"{a['auc']:.3f}", f"{a['recall']:.3f}",
             f"{a['box_auc']:.3f}", f"{a['box_recall']:.3f}"] for a in report["attacks"]]
    return table(["attack", "origin", "captures", "packets", "AUC", "recall at 0.8", "box plot AUC",
                  "box plot recall"], rows)


def alarms(report):
    rows = [[b["folder"], b["captures"], b["alarmed_captures"], b["rows"], percent(b["share"], 3), percent(b["box_share"])]
            for b in report["benign"]]
    return table(["benign packets of", "captures", "with alarms", "packets", "above 0.8", "beyond the box plot's fences"],
                 rows)


def calibration(points):
    rows = [[f"{min(1, -0.8 * log10(p['p']) / 3):.3f}", f"{p['p']:g}"]
            for p in points if p["p"] in (.5, .3, .1, .05, .01, .005, .002, .001, .0005, .0002)]
    return table(["score", "share of benign packets that get as much or more"], rows)


def text(manifest, report):
    c, a = report["classifier"], report["anomaly"]
    cm, am = manifest["classifier"], manifest["anomaly"]
    return f"""# Model card, version {manifest["version"]}

Written by `make models` (train/run.sh) together with the models; no number in it was typed. Features are version
{manifest["features"]}, documented in annotator/feature. The captures they were trained on are public captures of many
projects and some made in a laboratory; they are not part of this repository, their licences differ, and the models
hold thresholds on numbers, not packets.

## Protocol classifier

{len(cm["classes"]) - 1} classes and `unknown`, from {len(cm["features"])} features: the first bytes and the lengths of
the first payloads, and which of {c["signatures"]} signatures match. Ports and addresses are not among them, so moving a service to
another port changes no answer, to the last bit. {classifier.TREES} extremely randomised trees vote, and so does every signature
that matches: a signature is what the specification of a protocol fixes of its messages (annotator/signature names the
sections), and its vote counts by its precision on the captures trained on, at most {c["signature_weight"]:.2f} times that of all trees. So
protocols of which there are few captures, or none, are named too. The confidence is a softmax at temperature
{cm["temperature"]:.4f}, and below {cm["abstain"]:.3f} the answer is `unknown`.

Trained on {c["trained_rows"]} rows of {c["trained_flows"]} labelled flows in {c["trained_captures"]} captures, weighted
by class and capture, and, kept apart from them, on {c["lab_rows"]} rows of {c["lab_captures"]} captures of our own making (testdata/protocols: real
servers and clients in network namespaces), of the classes {", ".join(c["lab_classes"])}. "Held out" figures are of models that saw no
capture of the same cluster of near-duplicates, none of them of our own; weight, temperature and threshold were set on
them too. The captures of dev were used for nothing else. Unless said otherwise every class of every capture weighs the same.
"Silent" is `unknown`; macro F1 is the mean over all classes that occur, core or not, those of a single flow included.

{classifier_figures(c)}

The port table is flattered: most labels come from dissectors that go by ports. Of {c["strangers"]["flows"]} flows of {c["strangers"]["classes"]} classes
with one cluster each, held out together with their signatures, {percent(c["strangers"]["named"])} were given some name: that is how often
the model names what it has never met.

How far to trust a confidence, before abstaining, at the last classification of held-out flows:

![reliability diagram](reliability.svg)

{reliability(c)}

By class, at the last classification:

{per_class(c)}

Tunnels are labelled by their outside, while the engine classifies what is inside; their insides were not trained on.
A labelled tunnel that was not looked into carried no IP packet, or none in reach:

{tunnels(c)}

## Anomaly model

An isolation forest on benign packets, from {len(am["features"])} features of packet, flow and hosts. It has learnt no
attack. Every capture weighs as the root of its packets, of which at most {anomaly.CAP} of a kind are looked at. Figures are of
models that saw no capture of the same source, or within the three large benign collections of the same capture, device
or protocol ({a["groups"]} groups of {a["captures"]} captures), public and laboratory apart; AUC is against all benign
packets. The plain baseline is a box plot (fences 1.5 interquartile ranges away) on
the inter-arrival times of each capture.

{calibration(am["calibration"])}

Beyond {anomaly.TAIL[-1]:g}, where too few packets are left to count, the curve goes on as a straight line in log p.

{attacks(a)}

{alarms(a)}

## Limits

The anomaly model sees packets one at a time in the context of their hosts: it finds scans and floods, and hardly ever
what hides in normal amounts of normal traffic (beacons, command and control, exploits, slow tunnels); the named
detectors are there for those. Below the number of packets that the engine waits for, a host is "learning" and has no
score. A large part of the packets are of one laboratory. The classifier is thin on protocols with few captures, see the
table: there it goes by the signatures, which know what is written, not what is done.
"""
