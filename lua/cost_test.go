package lua_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// noop is the least that a post-dissector can be.
const noop = `
local p = Proto("noop", "Does nothing")
function p.dissector() end
register_postdissector(p)
`

// TestCost measures what ai.lua costs tshark and prints it; see bench.sh. Runs
// are interleaved, so that whatever else the machine does hits all alike; what
// counts is the processor time, user and system.
func TestCost(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("AMPULLA_BENCH"))
	if rounds <= 0 {
		t.Skip("measures, and tests nothing: see bench.sh")
	}
	const packets = 200_000
	eachShark(t, func(t *testing.T, s *shark) {
		noopScript := filepath.Join(t.TempDir(), "noop.lua")
		if err := os.WriteFile(noopScript, []byte(noop), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name  string
			every int // frames to one comment
			text  string
		}{
			{"no comments", packets + 1, ""},
			{"1 flagged in 1000", 1000, scan},
			{"all frames, normal", 1, dns},
			{"all frames, flagged", 1, scan},
		} {
			frames := make([]frame, packets)
			for i := tt.every - 1; i < packets; i += tt.every {
				frames[i] = frame{tt.text}
			}
			path := capture(t, frames...)
			kinds := []struct {
				name, filter string
				args         []string
				times        []time.Duration
			}{
				{"no Lua", "udp.port == 1", nil, nil},
				{"no-op", "udp.port == 1", []string{"-X", "lua_script:" + noopScript}, nil},
				{"ai.lua", "udp.port == 1", []string{"-X", "lua_script:" + s.script}, nil},
				{"ai.lua, filter on ai", "ai.anomaly.score == 2", []string{"-X", "lua_script:" + s.script}, nil},
			}
			for range rounds {
				for i := range kinds {
					cmd := s.command(append(kinds[i].args, "-r", path, "-Y", kinds[i].filter)...)
					if err := cmd.Run(); err != nil {
						t.Fatal(err)
					}
					kinds[i].times = append(kinds[i].times, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
				}
			}
			base := median(kinds[0].times)
			line := fmt.Sprintf("%-20s", tt.name)
			for _, k := range kinds {
				m := median(k.times)
				line += fmt.Sprintf(" | %s %.2f s x%.2f", k.name, m.Seconds(), float64(m)/float64(base))
			}
			t.Log(line)
		}
	})
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
