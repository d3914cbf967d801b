#!/usr/bin/env bash
# label.sh CAPTURE FILTERS FILE: prints which frames belong to the attack.
# FILTERS holds lines "class type display-filter"; a frame belongs to the first
# that it matches, and is benign if there is none. FILE is the name to print.
set -euo pipefail

printf '# file\t%s\n# default\tbenign\n' "$3"
number=0
all=$(mktemp)
trap 'rm -f "$all"' EXIT
while IFS=$'\t' read -r class type filter; do
  number=$((number + 1))
  printf '# %s\t%s\t%s\n' "$class" "$type" "$filter"
  tshark -n -r "$1" -Y "$filter" -T fields -e frame.number |
    sed "s/\$/\t$number\t$class\t$type/" >>"$all"
done <"$2"
printf 'first_frame\tlast_frame\tclass\tattack_type\n'
sort -n -k1,1 -k2,2 "$all" | awk -F'\t' -v OFS='\t' '
  $1 == last { next }
  $1 == last + 1 && $3 == class && $4 == type { last = $1; next }
  { if (last) print first, last, class, type; first = last = $1; class = $3; type = $4 }
  END { if (last) print first, last, class, type }'
