"""Trains both models and writes them with their manifest, and a report for the card."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import anomaly
import classifier
import data
import plot

VERSION = "2026.11"


def save(out, name, model):
    content = model.SerializeToString()
    Path(out, name).write_bytes(content)
    return {"file": name, "sha256": hashlib.sha256(content).hexdigest()}


def save_all(out, features, c_model, c_facts, a_model, a_facts):
    manifest = {
        "version": VERSION,
        "features": features,
        "classifier": save(out, "classifier.onnx", c_model) | c_facts,
        "anomaly": save(out, "anomaly.onnx", a_model) | a_facts,
    }
    Path(out, "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def save_folds(out, features, c_model, c_facts, folds, a_facts):
    """The models by which `ampulla eval --folds` judges each capture: those
    that have not seen its source."""
    rows = []
    for k, (a_model, captures) in enumerate(folds):
        Path(out, str(k)).mkdir(parents=True, exist_ok=True)
        save_all(Path(out, str(k)), features, c_model, c_facts, a_model, a_facts)
        rows += [f"{capture}\t{k}\n" for capture in captures]
    Path(out, "folds.tsv").write_text("".join(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of the labelled captures")
    parser.add_argument("--rows", required=True, help="folder with train, dev and anomaly, by ampulla eval --features")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    sys.setrecursionlimit(10000)  # trees are walked recursively

    a_model, a_facts, a_report, a_folds = anomaly.train(args.rows)
    c_model, c_facts, c_report = classifier.train(args.rows, args.data)
    version = data.features(f"{args.rows}/train")["version"]
    save_all(args.out, version, c_model, c_facts, a_model, a_facts)
    save_folds(Path(args.rows, "folds"), version, c_model, c_facts, a_folds, a_facts)
    report = {"classifier": c_report, "anomaly": a_report}
    Path(args.rows, "report.json").write_text(json.dumps(report, indent=1) + "\n")
    plot.reliability(c_report, Path(args.out, "reliability.svg"))


if __name__ == "__main__":
    main()
