#!/usr/bin/env bash
# run.sh NAME: records one scenario. Called by make.sh within namespaces of its
# own; WORK is its scratch folder, OUT where captures and labels go.
# shellcheck source-path=SCRIPTDIR
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NAME=$1
export LAB=$NAME
DIR=$WORK/$NAME
RANDOM=40 # the same choices on every run

die() {
  echo "$NAME: $*" >&2
  exit 1
}

# shellcheck source=net.sh
source "$HERE/net.sh"
# shellcheck source=services.sh
source "$HERE/services.sh"
# shellcheck source=benign.sh
source "$HERE/benign.sh"
# shellcheck source=attacks.sh
source "$HERE/attacks.sh"

main() {
  local name expected snap mtu switches
  IFS=$'\t' read -r name expected snap mtu switches _ < <(grep -P "^$NAME\t" "$HERE/scenarios.tsv")
  [[ ${name:-} == "$NAME" ]] || die "no such scenario"
  [[ $switches == - ]] && switches=
  mkdir -p "$DIR"
  : >"$DIR/labels"
  trap lab_down EXIT
  # shellcheck disable=SC2086 # the switch options are words
  lab_up "$mtu" $switches
  services_up
  capture_start "$DIR/capture.pcapng" "$snap"
  "$NAME"
  capture_stop
  chmod 644 "$DIR/capture.pcapng"
  "$HERE/label.sh" "$DIR/capture.pcapng" "$DIR/labels" "$NAME.pcapng" >"$DIR/labels.tsv" || die "labels"
  if [[ $expected == benign ]]; then
    [[ ! -s $DIR/labels ]] || die "a benign capture with labels"
  else
    grep -qP '\tattack\t' "$DIR/labels.tsv" || die "no attack in the capture"
  fi
  mv "$DIR/capture.pcapng" "$OUT/captures/$NAME.pcapng"
  mv "$DIR/labels.tsv" "$OUT/labels/$NAME.pcapng.tsv"
}

main
