#!/bin/sh
# Measures what ai.lua costs tshark on captures of 200,000 packets: no Lua, a
# post-dissector that does nothing, ai.lua, and ai.lua with a filter on its
# fields. Prints medians of the processor time and their ratio to no Lua.
#
#   lua/bench.sh [ROUNDS]     5 if not said; AMPULLA_TSHARKS chooses the tsharks
cd "$(dirname "$0")" || exit 1
AMPULLA_BENCH=${1:-5} exec go test -v -count=1 -timeout 2h -run '^TestCost$' .
