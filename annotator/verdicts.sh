#!/bin/bash
# Prints a hash of what a program makes of each capture: its verdicts as JSON
# Lines, and the capture annotated with all of them. What changes nothing but
# speed changes none of these:
#
#   annotator/verdicts.sh bin/ampulla >before.tsv
#   ...
#   annotator/verdicts.sh bin/ampulla >after.tsv; diff before.tsv after.tsv
#
# usage: annotator/verdicts.sh PROGRAM [FOLDER|CAPTURE...]
#
# Without captures it takes the project's own and the labelled ones
# (AMPULLA_DATA), which takes half an hour of one processor. Both programs have
# to be built with the same VERSION, which is written into the captures.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(realpath "$1")
shift
[[ $# -gt 0 ]] || set -- "$root/testdata" "${AMPULLA_DATA:-$("$root/../shared/data/unpack")}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

find "$@" -type f \( -name '*cap' -o -name '*capng' -o -name '*cap.gz' -o -name '*.trace' \) | sort | while read -r file; do
  code=0
  "$program" annotate --comments all --verdicts "$work/verdicts" "$file" "$work/out.pcapng" 2>"$work/errors" || code=$?
  errors=$(sed "s|$work|.|g" "$work/errors" | sha256sum | cut -c1-16)
  touch "$work/verdicts" "$work/out.pcapng"
  printf '%s\t%d\t%s\t%s\t%s\n' "$file" "$code" "$errors" \
    "$(sha256sum <"$work/verdicts" | cut -c1-32)" "$(sha256sum <"$work/out.pcapng" | cut -c1-32)"
  rm -f "$work/verdicts" "$work/out.pcapng"
done
