"""Feature rows as `ampulla eval --features` wrote them, joined with labels."""

import csv
import functools
import ipaddress
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}

# A flow of such a label is the outside of a tunnel; the engine looks inside.
TUNNELS = ("vxlan", "geneve", "gtp", "teredo")


def features(folder):
    with open(Path(folder, "features.json")) as f:
        return json.load(f)


def rows(folder, kind, width):
    values = np.fromfile(Path(folder, kind + ".f32"), "<f4").reshape(-1, width)
    index = pd.read_csv(Path(folder, kind + ".tsv"), sep="\t", keep_default_na=False, quoting=csv.QUOTE_NONE)
    assert len(values) == len(index)
    return values, index


def classes():
    """Maps labels to classes, that is display filter names."""
    with open(HERE / "classes.tsv") as f:
        return {r["label"]: r["class"] for r in csv.DictReader(f, delimiter="\t")}


def core(path):
    """The classes of the labels that are marked as core."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    return set(table.label[table.core == "1"].map(classes()).dropna())


@functools.lru_cache(None)
def address(text):
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return text.encode()


def flow_key(file, proto, a, a_port, b, b_port):
    return file, proto, *sorted([(address(a), int(a_port)), (address(b), int(b_port))])


def labelled_flows(path):
    """Rows of flows-*.tsv by flow; a flow that is there twice with different
    labels counts as not labelled."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    flows = {}
    for r in table.itertuples():
        key = flow_key(r.file, r.proto, r.src_ip, r.src_port, r.dst_ip, r.dst_port)
        # SMB 1 and 2 have a label in common but two display filters.
        label = "smb2" if r.label == "smb" and "smb2" in r.tshark_layers else r.label
        if key in flows and flows[key][0] != label:
            label = ""
        flows[key] = (label, r.cluster, r.port_label)
    return flows


def signed(feature):
    """The class whose signature a feature is, or nothing."""
    found = re.fullmatch(r"signature_(.+?)(_\d)?", feature)
    return found[1] if found else ""


def lab_rows(folder):
    """Rows of our own captures, each of which holds one protocol and is named
    after its class and the program that spoke it."""
    values, index = rows(folder, "class", len(features(folder)["class"]))
    return values, index, index.file.str.split(".").str[0].to_numpy()


def protocol_rows(folder, flows_tsv):
    """The classifier's rows with the columns label, cluster and port_label, for
    flows that someone labelled. Insides of tunnels are left out: their labels
    are those of the tunnel."""
    names = features(folder)["class"]
    values, index = rows(folder, "class", len(names))
    flows = labelled_flows(flows_tsv)
    found = []
    for r in index.itertuples():
        key = flow_key(r.file, PROTOCOLS.get(r.proto, ""), r.client, r.client_port, r.server, r.server_port)
        inside = r.tunnel != "" and r.outer_proto != 0
        found.append(("", "", "") if inside else flows.get(key, ("", "", "")))
    for i, name in enumerate(["label", "cluster", "port_label"]):
        index[name] = [f[i] for f in found]
    good = ((index.label != "") & ~((index.tunnel != "") & index.label.isin(TUNNELS))).to_numpy()
    return values[good], index[good].reset_index(drop=True), names


def tunnel_flows(folder, flows_tsv):
    """How many labelled tunnels there are, and into how many the engine looked,
    by label."""
    table = pd.read_csv(flows_tsv, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    seen = pd.read_csv(Path(folder, "tunnels.tsv"), sep="\t", keep_default_na=False)
    known = {flow_key(r.file, PROTOCOLS.get(r.proto, ""), r.src, r.src_port, r.dst, r.dst_port)
             for r in seen.itertuples()}
    counts = {}
    for r in table.itertuples():
        if r.label in TUNNELS:
            key = flow_key(r.file, r.proto, r.src_ip, r.src_port, r.dst_ip, r.dst_port)
            total, looked = counts.get(r.label, (0, 0))
            counts[r.label] = total + 1, looked + (key in known)
    return counts
