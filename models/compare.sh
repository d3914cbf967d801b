#!/usr/bin/env bash
# Measures ampulla, ndpiReader and tshark on the same labelled captures, with
# every server's port replaced by a random high one, and prints a table for
# each. Of several names that a tool gives a flow, any may be the right one.
#
# usage: models/compare.sh [SEED] [train|dev]     (SEED 0 leaves the ports)
#
# AMPULLA names the program (default: bin/ampulla), AMPULLA_DATA the captures.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seed=${1:-1}
split=${2:-dev}
ampulla=${AMPULLA:-$root/bin/ampulla}
protocols=${AMPULLA_DATA:-$("$root/../shared/data/unpack")}/protocols
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

measure() {
  "$ampulla" eval --captures "$protocols/$split" --flows "$protocols/flows-$split.tsv" \
    --classes "$root/models/train/classes.tsv" --renumber "$seed" "$@" 2>>"$work/warnings"
}

# Names of a tool to classes: column $1 of LABELS.tsv, and the classes themselves.
names() {
  awk -F'\t' -v OFS='\t' -v column="$1" '
    NR == FNR { if (FNR > 1) { class[$1] = $2; print $2, $2 } next }
    FNR == 1 { for (i = 1; i <= NF; i++) if ($i == column) at = i; next }
    { n = split($at, name, " "); for (i = 1; i <= n; i++) print name[i], ($1 in class) ? class[$1] : $1 }
  ' "$root/models/train/classes.tsv" "$protocols/LABELS.tsv"
}

head='file\tproto\tsrc_ip\tsrc_port\tdst_ip\tdst_port\tclass\n'

ndpi() {
  names ndpi_names >"$work/names"
  printf "$head"
  captures | while read -r file; do
    ndpiReader -q -i "$work/captures/$file" -C "$work/csv" >/dev/null 2>&1 || continue
    awk -F, -v OFS='\t' -v file="$file" '
      NR == FNR { split($0, p, "\t"); class[p[1]] = class[p[1]] (class[p[1]] ? "|" : "") p[2]; next }
      FNR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
      {
        answer = ""
        n = split(tolower($at["ndpi_proto"]), name, ".")
        for (i = 1; i <= n; i++) if (name[i] in class) answer = answer (answer ? "|" : "") class[name[i]]
        proto = $at["protocol"]
        if (proto == 6 || proto == 17) print file, (proto == 6 ? "tcp" : "udp"), $at["src_ip"], $at["src_port"], $at["dst_ip"], $at["dst_port"], answer
      }' "$work/names" "$work/csv"
  done
}

wireshark() {
  names wireshark_layers >"$work/names"
  printf "$head"
  captures | while read -r file; do
    tshark -r "$work/captures/$file" -T fields -E occurrence=f -e ip.src -e ipv6.src -e ip.dst -e ipv6.dst \
      -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport -e frame.protocols 2>/dev/null |
      awk -F'\t' -v OFS='\t' -v file="$file" '
        NR == FNR { class[$1] = class[$1] (class[$1] ? "|" : "") $2; next }
        {
          proto = $5 ? "tcp" : $7 ? "udp" : ""
          if (!proto) next
          src = $1 ? $1 : $2; dst = $3 ? $3 : $4; sport = $5 ? $5 : $7; dport = $6 ? $6 : $8
          flow = (src sport < dst dport) ? src OFS sport OFS dst OFS dport : dst OFS dport OFS src OFS sport
          n = split($9, layer, ":"); answer = ""
          for (i = 1; i <= n; i++) if (seen = seen || layer[i] == proto) if (layer[i] in class) answer = answer (answer ? "|" : "") class[layer[i]]
          seen = 0
          flow = proto OFS flow; flows[flow]
          if (answer && ++count[flow, answer] > best[flow]) { best[flow] = count[flow, answer]; verdict[flow] = answer }
        }
        END { for (f in flows) print file, f, verdict[f] }' "$work/names" -
  done
}

captures() { (cd "$work/captures" && find . -type f | sed 's|^\./||' | sort); }

echo "== ampulla"
measure --keep "$work/captures"
if command -v ndpiReader >/dev/null; then
  echo; echo "== ndpiReader ($(ndpiReader -h 2>&1 | head -1))"
  ndpi >"$work/ndpi.tsv"
  measure --answers "$work/ndpi.tsv"
fi
if command -v tshark >/dev/null; then
  echo; echo "== $(tshark --version 2>/dev/null | head -1)"
  wireshark >"$work/tshark.tsv"
  measure --answers "$work/tshark.tsv"
fi
