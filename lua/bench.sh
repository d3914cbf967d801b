#!/bin/sh
# Measures what ai.lua costs tshark on captures of 200,000 packets and more: the
# comments (medians of the processor time and their ratio to no Lua), asking the
# annotator (medians and their ratio to a post-dissector that does nothing, among
# attacks and, with the labelled captures, in ordinary traffic), and annotators
# that are of no use (how much longer it takes than with a good one).
#
#   lua/bench.sh [ROUNDS]     5 if not said
#
# AMPULLA_TSHARKS chooses the tsharks, AMPULLA_BENCH_CAPTURE another capture to
# ask about. The machine should have nothing else to do.
cd "$(dirname "$0")" || exit 1
AMPULLA_BENCH=${1:-5} exec go test -v -count=1 -timeout 2h -run '^Test(Asking|Trouble)?Cost$' .
