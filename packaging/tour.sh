#!/usr/bin/env bash
# Walks through README.md as a new user does: runs the commands of its tour in this
# folder, word for word, and wants to see what it says one sees.
#
#   packaging/tour.sh README.md
#
# Commands are the lines that begin with "$ " in blocks marked console, between
# <!-- tour --> and <!-- end of tour -->; what stands below them is their output.
set -euo pipefail

readme=$(realpath "${1:?which README.md?}")
ran=0

# run COMMAND WANT runs one command and compares what it prints.
run() {
  local got
  printf '$ %s\n' "$1"
  got=$(bash -c "$1") || { printf 'tour: error: it failed\n' >&2; exit 1; }
  [[ ! $got ]] || printf '%s\n' "$got"
  if [[ $got != "${2%$'\n'}" ]]; then
    printf 'tour: error: README.md has instead:\n%s' "$2" >&2
    exit 1
  fi
  ran=$((ran + 1))
}

command='' want='' inside=''
while IFS= read -r line; do
  case $line in
    '```console') inside=1 ;;
    '```')
      [[ ! $command ]] || run "$command" "$want"
      command='' want='' inside=''
      ;;
    '$ '*)
      [[ ! $command ]] || run "$command" "$want"
      command=${line#\$ } want=''
      ;;
    *) [[ ! $inside ]] || want+=$line$'\n' ;;
  esac
done < <(sed -n '/^<!-- tour -->$/,/^<!-- end of tour -->$/p' "$readme" | sed -n '/^```console$/,/^```$/p')
((ran > 0)) || { echo "tour: error: $readme has no tour" >&2; exit 1; }
echo "tour: $ran commands did what README.md says"
