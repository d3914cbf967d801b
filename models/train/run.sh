#!/usr/bin/env bash
# Trains both models from the labelled captures and writes ../*.onnx,
# ../manifest.json and ../CARD.md. The captures are those of $AMPULLA_DATA, or
# what ../../../shared/data/unpack makes. Feature rows and Python's packages go
# to $AMPULLA_TRAIN (default: a folder of the user's cache).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${AMPULLA_TRAIN:-${XDG_CACHE_HOME:-$HOME/.cache}/ampulla-train}
data=${AMPULLA_DATA:-$("$root/../shared/data/unpack")}
mkdir -p "$work"

if [ ! -x "$work/venv/bin/python" ]; then
  python3 -m venv "$work/venv"
fi
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

(cd "$root" && go build -o "$work/ampulla" ./annotator)
"$work/ampulla" eval --every 0 --features "$work/train" --captures "$data/protocols/train"
"$work/ampulla" eval --every 0 --features "$work/dev" --captures "$data/protocols/dev"
"$work/ampulla" eval --every 0 --features "$work/lab" --captures "$root/testdata/protocols/captures"
"$work/ampulla" eval --features "$work/anomaly" --captures "$data/anomaly/captures" --labels "$data/anomaly/labels"
"$work/venv/bin/python" "$here/train.py" --data "$data" --rows "$work" --out "$root/models"

# The card has the figures of whole verdicts, by the models just trained.
(cd "$root" && go build -o "$work/ampulla" ./annotator)
measure() { # FILE [switch...]
  "$work/ampulla" eval --json "$@" --captures "$data/anomaly/captures" --labels "$data/anomaly/labels" >"${1%.json}.txt"
}
measure "$work/verdicts.json"
measure "$work/held-out.json" --folds "$work/folds"
"$work/venv/bin/python" "$here/card.py" --models "$root/models" --report "$work/report.json" \
  --verdicts "$work/verdicts.json" --held-out "$work/held-out.json"
