package engine_test

import (
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/rule"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
)

// TestRules: with rules of feedback a verdict is what it is without, and then what
// the rules make of it; nothing else changes, neither before nor behind the
// packets in their scope, but for the numbers of incidents.
func TestRules(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	changed := 0
	for _, path := range capturetest.Own(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			list := frames(t, path)
			cfg := engine.Default()
			want := run(t, cfg, scoretest.Hash{}, list, func(int) int { return 1000 })
			observations := observe(list)
			rules, err := rule.NewSet(someRules(r, want, observations))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Rules = rules
			got := run(t, cfg, scoretest.Hash{}, list, func(int) int { return 1000 })
			for i := range want {
				if rules.Apply(&want[i], &observations[i]) {
					changed++
				}
				if (got[i].Incident != 0) != (got[i].Type != "") {
					t.Fatalf("frame %d: type %q, incident %d", i+1, got[i].Type, got[i].Incident)
				}
				got[i].Incident, got[i].IncidentFirst, want[i].Incident, want[i].IncidentFirst = 0, 0, 0, 0
				if got[i] != want[i] {
					t.Fatalf("frame %d: %s", i+1, cmp.Diff(want[i], got[i]))
				}
			}
		})
	}
	if changed < 1000 {
		t.Errorf("%d verdicts changed: the test says little", changed)
	}
}

// observe returns what is observed of frames.
func observe(list []packet.Frame) []flow.Observation {
	var decoder packet.Decoder
	table := flow.NewTable(flow.Default())
	packets, out := make([]packet.Packet, len(list)), make([]flow.Observation, len(list))
	for i := range list {
		decoder.Decode(list[i], &packets[i])
		table.Observe(&packets[i], &out[i])
	}
	return out
}

// someRules returns rules about packets of a capture: of one the hosts, of
// another the type, or both.
func someRules(r *rand.Rand, verdicts []verdict.Verdict, observations []flow.Observation) (rules []rule.Rule) {
	for id := range uint32(6) {
		made := rule.Rule{ID: id + 1, Says: [...]rule.Opinion{rule.Normal, rule.Bad}[id%2]}
		for made.Check() != nil {
			i := r.IntN(len(verdicts))
			if p := observations[i].Packet; p.Version != 0 && id%3 > 0 {
				made.Hosts = []netip.Prefix{netip.PrefixFrom(p.Src.Netip(), p.Src.Netip().BitLen()), netip.PrefixFrom(p.Dst.Netip(), p.Dst.Netip().BitLen())}
			}
			if id%3 < 2 {
				made.Type = verdicts[i].Type
			}
			if id%3 == 0 && made.Type == "" && r.IntN(100) == 0 {
				made.Type = verdict.Outlier // nothing was found in the whole capture
			}
		}
		rules = append(rules, made)
	}
	return rules
}
