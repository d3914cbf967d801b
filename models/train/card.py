"""Writes the model card: every number in it comes from the training, or from
`ampulla eval --json` with the models that were trained."""

import argparse
import json
from math import log10
from pathlib import Path

import anomaly
import classifier

# Why a plain baseline ranks an attack higher than the verdicts do.
REASONS = {
    ("arp_spoof", "public"): "the mirror port shows none of the forged replies, only questions under the attacker's own "
                             "address, which look like anybody's",
    ("exploit_kit", "public"): "a browser loads a few pages and files from a host that it has not met before, as browsers do",
    ("lateral_movement", "public"): "two encrypted sessions that began before the capture, and one of a kind that is there "
                                    "on other days as well, all of 75 packets",
}


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


def found(verdicts):
    rows = []
    for a in verdicts["attacks"]:
        delay = f"{a['delay_seconds']:.2f}" if a["delay_seconds"] >= 0 else ""
        rows.append([a["attack"], a["origin"], a["captures"], a["right_type"], a["frames"], f"{a['recall']:.3f}",
                     *(f"{a['recall_at_false_positives'][p]:.3f}" for p in ("1%", "0.1%")), f"{a['auc']:.3f}",
                     f"{a['box_plot_gaps_auc']:.3f}", f"{a['box_plot_sizes_auc']:.3f}", delay])
    return table(["attack", "origin", "captures", "found", "packets", "recall at 0.8", "at 1 % false", "at 0.1 % false",
                  "AUC", "box plot on gaps", "on sizes", "seconds until found"], rows)


def areas(verdicts):
    rows = [[m["against"], {"every": "both"}.get(m["origin"], m["origin"]), m["captures"], f"{m['auc']:.3f}"]
            for m in verdicts["mean_auc"]]
    return table(["AUC of attack captures against", "origin", "captures", "mean"], rows)


def held_out(*verdicts):
    """What becomes of the verdicts with models that have not seen the source."""
    columns = [[f"{m['auc']:.3f}" for m in v["mean_auc"]] + counts(v) for v in verdicts]
    names = [f"mean AUC against {m['against']}, {m['origin']}".replace(", every", ", both") for m in verdicts[0]["mean_auc"]]
    names += ["attack captures found"]
    for origin in "laboratory", "public":
        names += [f"benign packets above 0.8, {origin}", f"benign captures with alarms, {origin}"]
    return table(["", "these models", "models that saw nothing of the source"], zip(names, *columns))


def counts(verdicts):
    captures = attack_captures(verdicts)
    cells = [f"{sum(c['right_type'] for c in captures)} of {len(captures)}"]
    for part in laboratory_and_public(verdicts):
        frames, alarms, count, alarmed = (sum(b[k] for b in part) for k in ("frames", "alarms", "captures", "alarmed"))
        cells += [percent(alarms / frames, 3), f"{alarmed} of {count}"]
    return cells


def laboratory_and_public(verdicts):
    folders = [b for b in verdicts["benign"] if b["folder"] != "all"]
    made = [b["folder"] in anomaly.LABORATORY for b in folders]
    return [[b for b, m in zip(folders, made) if m], [b for b, m in zip(folders, made) if not m]]


def attack_captures(verdicts):
    return [c for c in verdicts["captures"] if c["attack_frames"] > 0]


def all_benign(verdicts):
    return next(b for b in verdicts["benign"] if b["folder"] == "all")


def quiet(verdicts):
    rows = [[b["folder"], b["captures"], b["alarmed"], b["frames"], percent(b["share"], 3), f"{b['hours']:.2f}",
             f"{b['alarms'] / max(b['hours'], 1e-9):.1f}"] for b in verdicts["benign"]]
    return table(["benign packets of", "captures", "with alarms", "packets", "above 0.8", "hours", "alarms an hour"], rows)


def beaten(verdicts):
    """The attacks that a baseline ranks higher, and why."""
    lines = []
    for a in verdicts["attacks"]:
        for name, area in [("gaps", a["box_plot_gaps_auc"]), ("sizes", a["box_plot_sizes_auc"])]:
            if area >= a["auc"]:
                why = REASONS.get((a["attack"], a["origin"]), "not looked into")
                lines.append(f"- {a['attack']} ({a['origin']}), {name}: {why}.")
    if not lines:
        return "The verdicts rank every attack higher than either box plot does."
    return "A box plot ranks these higher than the verdicts do:\n\n" + "\n".join(lines)


def summary(verdicts):
    captures, total = attack_captures(verdicts), all_benign(verdicts)
    return (f"{sum(c['recall'] > 0 for c in captures)} of {len(captures)} attack captures are flagged, "
            f"{sum(c['right_type'] for c in captures)} with the right type in all their attacks; "
            f"{percent(total['share'], 3)} of the benign packets are above 0.8, in {total['alarmed']} of {total['captures']} captures.")


def text(manifest, report, verdicts, held):
    c, a = report["classifier"], report["anomaly"]
    cm, am = manifest["classifier"], manifest["anomaly"]
    sure, sure_dev = c["settled"]["held out"], c["settled"]["dev"]
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
{cm["temperature"]:.4f}, and below {cm["abstain"]:.3f} the answer is `unknown`. A flow is asked about no
further once a class has {cm["settled"]:g} or more: that spares {percent(sure["spared"] / sure["rows"])} of the questions about held-out flows and
{percent(sure_dev["spared"] / sure_dev["rows"])} of those about dev, and {sure["otherwise"]} of {sure["flows"]} and {sure_dev["otherwise"]} of {sure_dev["flows"]} flows are named otherwise at their end.
The figures below are without that.

Trained on {c["trained_rows"]} rows of {c["trained_flows"]} labelled flows in {c["trained_captures"]} captures, weighted
by class and capture, and, kept apart from them, on {c["lab_rows"]} rows of {c["lab_captures"]} captures of our own making (testdata/protocols: real
servers and clients in network namespaces), of the classes {", ".join(c["lab_classes"])}. "Held out" figures are of models that saw no
capture of the same cluster of near-duplicates, none of them of our own; weight, temperature and threshold were set on
them too. The captures of dev were used for nothing else. Unless said otherwise every class of every capture weighs the same.
"Silent" is `unknown`; macro F1 is the mean over all classes that occur, core or not, those of a single flow included.

{classifier_figures(c)}

The port table is flattered: most labels come from dissectors that go by ports. Of {c["strangers"]["flows"]} flows of {c["strangers"]["classes"]} classes
with one cluster each, held out together with their signatures, {percent(c["strangers"]["named"])} were given some name: that is how often
the model names what it has never met. models/compare.sh measures ndpiReader and tshark on the same flows, on the ports
of the captures and on others.

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

## Verdicts

What a user sees is the higher of the model's score and the detectors'. The detectors learn nothing from captures; their
thresholds were set by hand with these captures in view, so figures on others may be lower. An attack is found if a
packet of it is above 0.8 with the right type, or, where it has no type of its own, with any. {summary(verdicts)}

{areas(verdicts)}

The model learns what is normal from the benign packets of these captures. Judged by models that saw nothing of the
source of a capture (`ampulla eval --folds`), the same detectors beside them, the verdicts are:

{held_out(verdicts, held)}

{found(verdicts)}

The seconds are the median, from the first packet of the attack in a capture to the first that is found; an attack that
begins before its evidence (a beacon's first visits) takes as long as it takes. {beaten(verdicts)}

{quiet(verdicts)}

Boosted trees that were taught the attacks are no part of it. Measured like the forest, on sources that neither saw,
their AUC against all benign packets is {a["taught_auc"]["laboratory"]:.3f} in the mean over laboratory captures and {a["taught_auc"]["public"]:.3f} over public ones;
the forest's is {a["mean_auc"]["laboratory"]:.3f} and {a["mean_auc"]["public"]:.3f}.

## Limits

The anomaly model sees packets one at a time in the context of their hosts: it finds scans and floods, and hardly ever
what hides in normal amounts of normal traffic (beacons, command and control, exploits, slow tunnels); the named
detectors are there for those. Below the number of packets that the engine waits for, a host is "learning" and has no
score. A large part of the packets are of one laboratory. The classifier is thin on protocols with few captures, see the
table: there it goes by the signatures, which know what is written, not what is done.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", required=True, help="folder of the models and their manifest, where the card goes")
    parser.add_argument("--report", required=True, help="what train.py reports")
    parser.add_argument("--verdicts", required=True, help="what ampulla eval --json writes")
    parser.add_argument("--held-out", required=True, help="what it writes with --folds")
    args = parser.parse_args()
    inputs = Path(args.models, "manifest.json"), args.report, args.verdicts, args.held_out
    Path(args.models, "CARD.md").write_text(text(*(json.loads(Path(p).read_text()) for p in inputs)))


if __name__ == "__main__":
    main()
