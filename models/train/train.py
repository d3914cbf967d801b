"""Trains both models and writes them with their manifest and card."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import anomaly
import card
import classifier
import data
import plot

VERSION = "2026.11"


def save(out, name, model):
    content = model.SerializeToString()
    Path(out, name).write_bytes(content)
    return {"file": name, "sha256": hashlib.sha256(content).hexdigest()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of the labelled captures")
    parser.add_argument("--rows", required=True, help="folder with train, dev and anomaly, by ampulla eval --features")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    sys.setrecursionlimit(10000)  # trees are walked recursively

    a_model, a_facts, a_report = anomaly.train(args.rows)
    c_model, c_facts, c_report = classifier.train(args.rows, args.data)
    manifest = {
        "version": VERSION,
        "features": data.features(f"{args.rows}/train")["version"],
        "classifier": save(args.out, "classifier.onnx", c_model) | c_facts,
        "anomaly": save(args.out, "anomaly.onnx", a_model) | a_facts,
    }
    Path(args.out, "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    report = {"classifier": c_report, "anomaly": a_report}
    Path(args.rows, "report.json").write_text(json.dumps(report, indent=1) + "\n")
    Path(args.out, "CARD.md").write_text(card.text(manifest, report))
    plot.reliability(c_report, Path(args.out, "reliability.svg"))


if __name__ == "__main__":
    main()
