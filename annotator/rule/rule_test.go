package rule_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
)

var day = time.Date(2026, 11, 29, 3, 4, 5, 0, time.UTC)

// observed is a packet with its observation, as the first of its flow.
func observed(proto uint8, from, to string) *flow.Observation {
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	p := &packet.Packet{
		Time: day.UnixNano(), Length: 60, Version: 4, Proto: proto, TCPFlags: packet.SYN,
		Src: src.Addr().As16(), Dst: dst.Addr().As16(), SrcPort: src.Port(), DstPort: dst.Port(),
	}
	var o flow.Observation
	flow.NewTable(flow.Default()).Observe(p, &o)
	return &o
}

func hosts(t testing.TB, names ...string) []netip.Prefix {
	t.Helper()
	list, err := rule.ParseHosts(names)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func service(t testing.TB, name string) detect.Service {
	t.Helper()
	s, err := rule.ParseService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestApply says what becomes of verdicts.
func TestApply(t *testing.T) {
	scan := verdict.Verdict{Score: 1, Level: verdict.Anomalous, Type: verdict.PortScan, Reason: "412 SYNs", Class: "ssh", Confidence: 0.9}
	hunch := verdict.Verdict{Score: 0.6, Level: verdict.Suspicious, Type: verdict.Beacon, Reason: "5 times"}
	ordinary := verdict.Verdict{Score: 0.1, Level: verdict.Normal}
	o := observed(packet.ProtoTCP, "10.0.0.66:1000", "10.0.0.5:22")
	normal := rule.Rule{ID: 7, Says: rule.Normal, Scope: rule.Scope{Type: verdict.PortScan}, Who: "alice", When: day, Why: "inventory"}
	bad := rule.Rule{ID: 8, Says: rule.Bad, Scope: rule.Scope{Service: service(t, "tcp/22")}, Why: "forbidden here"}
	for _, tt := range []struct {
		name  string
		rules []rule.Rule
		in    verdict.Verdict
		want  string
	}{
		{"suppressed, and what was found can still be read", []rule.Rule{normal}, scan,
			"0.49 normal  rule 7: suppressed by rule 7 (alice, 2026-11-29): port scan, 412 SYNs"},
		{"of another type", []rule.Rule{normal}, hunch, "0.6 suspicious beacon rule 0: 5 times"},
		{"ordinary as it is", []rule.Rule{normal}, ordinary, "0.1 normal  rule 0: "},
		{"raised", []rule.Rule{bad}, ordinary, "0.9 anomalous outlier rule 8: bad by rule 8: forbidden here"},
		{"raised, and what was found can still be read", []rule.Rule{bad}, hunch, "0.9 anomalous beacon rule 8: bad by rule 8: forbidden here; 5 times"},
		{"anomalous as it is", []rule.Rule{bad}, scan, "1 anomalous port_scan rule 0: 412 SYNs"},
		{"the newest rule counts: bad", []rule.Rule{bad, normal}, scan, "1 anomalous port_scan rule 0: 412 SYNs"},
		{"the newest rule counts: normal", []rule.Rule{{ID: 9, Says: rule.Normal, Scope: bad.Scope}, bad}, hunch,
			"0.49 normal  rule 9: suppressed by rule 9: beacon, 5 times"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := rule.NewSet(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			v := tt.in
			changed := set.Apply(&v, o)
			got := fmt.Sprintf("%v %s %s rule %d: %s", v.Score, v.Level, v.Type, v.Rule, v.Reason)
			if diff := cmp.Diff(tt.want, got); diff != "" || changed != (v != tt.in) {
				t.Errorf("changed %v: %s", changed, diff)
			}
			back, err := verdict.ParseComment(v.Comment())
			if err != nil || back != v && v.Class != "" {
				t.Errorf("as a comment: %v, %s", err, cmp.Diff(v, back))
			}
		})
	}
}

// TestScope: a verdict changes if and only if the scope of a rule covers it, and
// then in nothing but what rules decide. Scopes are decided on here by another
// way: from text.
func TestScope(t *testing.T) {
	addresses := []string{"10.0.0.5", "10.0.0.6", "10.0.1.5", "192.0.2.7"}
	networks := append(slices.Clone(addresses), "10.0.0.0/24", "10.0.0.0/16", "0.0.0.0/0", "192.0.2.6/31")
	services := []string{"tcp/22", "tcp/80", "udp/80"}
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	seen := map[string]*flow.Observation{}
	changes, kept := 0, 0
	for range 20_000 {
		var rules []rule.Rule
		for id := range 1 + r.IntN(3) {
			rules = append(rules, randomRule(t, r, uint32(id+1), networks, services))
		}
		set, err := rule.NewSet(rules)
		if err != nil {
			t.Fatal(err)
		}
		called := strings.Split(pick(services), "/")
		proto := map[string]uint8{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP}[called[0]]
		from, to := pick(addresses), pick(addresses)
		key := from + to + called[0] + called[1]
		o := seen[key]
		if o == nil {
			o = observed(proto, from+":40000", to+":"+called[1])
			seen[key] = o
		}
		v := verdict.Verdict{Frame: 3, Time: 4, Class: "dns", Confidence: 0.5, Flow: 6, Model: "m", Score: float64(r.IntN(1001)) / 1000}
		if v.Level = verdict.LevelOf(v.Score); v.Level != verdict.Normal {
			v.Type, v.Reason = verdict.Types[r.IntN(3)], "found"
		}
		before := v
		changed := set.Apply(&v, o)
		want := expected(rules, before, from, to, strings.Join(called, "/"))
		if changed != want || changed != (v != before) {
			t.Fatalf("%+v\nof %s > %s %v under %+v\nchanged %v, want %v", before, from, to, called, rules, changed, want)
		}
		if !changed {
			kept++
			continue
		}
		changes++
		says := rules[v.Rule-1].Says
		if says == rule.Normal && (v.Score >= verdict.SuspiciousScore || v.Level != verdict.Normal || v.Type != "") ||
			says == rule.Bad && (v.Score <= verdict.AnomalousScore || v.Level != verdict.Anomalous || v.Type == "") ||
			!strings.Contains(v.Reason, fmt.Sprintf("rule %d", v.Rule)) || !strings.HasSuffix(v.Reason, before.Reason) {
			t.Fatalf("%+v became %+v", before, v)
		}
		v.Score, v.Level, v.Type, v.Reason, v.Rule = before.Score, before.Level, before.Type, before.Reason, 0
		if v != before {
			t.Fatal(cmp.Diff(before, v))
		}
	}
	if changes < 1000 || kept < 1000 {
		t.Errorf("%d changed, %d kept: the test says little", changes, kept)
	}
}

// randomRule has a random scope that is not empty.
func randomRule(t *testing.T, r *rand.Rand, id uint32, networks, services []string) rule.Rule {
	made := rule.Rule{ID: id, Says: [...]rule.Opinion{rule.Normal, rule.Bad}[r.IntN(2)], Who: "alice", When: day}
	for made.Check() != nil {
		made.Scope = rule.Scope{}
		for range r.IntN(3) {
			made.Hosts = append(made.Hosts, hosts(t, networks[r.IntN(len(networks))])...)
		}
		if r.IntN(2) == 0 {
			made.Service = service(t, services[r.IntN(len(services))])
		}
		if r.IntN(2) == 0 {
			made.Type = verdict.Types[r.IntN(3)]
		}
	}
	return made
}

// expected tells whether a verdict has to change.
func expected(rules []rule.Rule, v verdict.Verdict, from, to, called string) bool {
	within := func(p netip.Prefix, a string) bool { return p.Overlaps(netip.MustParsePrefix(a + "/32")) }
	for _, r := range slices.Backward(rules) {
		if r.Type != "" && r.Type != v.Type || r.Service.String() != "" && r.Service.String() != called {
			continue
		}
		if n := len(r.Hosts); n > 0 {
			first, last := r.Hosts[0], r.Hosts[n-1]
			either := within(first, from) || within(first, to)
			both := within(first, from) && within(last, to) || within(first, to) && within(last, from)
			if n == 1 && !either || n == 2 && !both {
				continue
			}
		}
		if r.Says == rule.Normal {
			return v.Score >= verdict.SuspiciousScore
		}
		return v.Score <= verdict.AnomalousScore
	}
	return false
}

// TestOtherPackets: what has no IP addresses or no ports is in no scope that
// names such; ARP is about the hosts that it speaks of.
func TestOtherPackets(t *testing.T) {
	arp := &flow.Observation{Packet: &packet.Packet{ARPOp: 1, ARPSender: netip.MustParseAddr("10.0.0.5").As16(), ARPTarget: netip.MustParseAddr("10.0.0.6").As16()}}
	ping := observed(packet.ProtoICMP, "10.0.0.5:0", "10.0.0.6:0")
	nothing := &flow.Observation{Packet: &packet.Packet{}}
	pair, ssh, kind := rule.Scope{Hosts: hosts(t, "10.0.0.6", "10.0.0.5")}, rule.Scope{Service: service(t, "TCP/22")}, rule.Scope{Type: verdict.ARPSpoof}
	anywhere := rule.Scope{Hosts: hosts(t, "0.0.0.0/0")}
	for i, tt := range []struct {
		scope rule.Scope
		o     *flow.Observation
		want  bool
	}{
		{pair, arp, true}, {pair, ping, true}, {pair, nothing, false}, {anywhere, nothing, false},
		{ssh, arp, false}, {ssh, ping, false}, {ssh, nothing, false},
		{kind, arp, true}, {kind, ping, true}, {kind, nothing, true},
	} {
		set, err := rule.NewSet([]rule.Rule{{ID: 1, Says: rule.Normal, Scope: tt.scope}})
		if err != nil {
			t.Fatal(err)
		}
		v := verdict.Verdict{Score: 0.9, Level: verdict.Anomalous, Type: verdict.ARPSpoof}
		if got := set.Apply(&v, tt.o); got != tt.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}

func TestCheck(t *testing.T) {
	good := rule.Rule{ID: 1, Says: rule.Bad, Scope: rule.Scope{Type: verdict.Beacon}}
	for want, change := range map[string]func(r *rule.Rule){
		`rule 1: says: "maybe" is neither normal nor bad`:            func(r *rule.Rule) { r.Says = "maybe" },
		"rule 1: there is no scope: name hosts, a service or a type": func(r *rule.Rule) { r.Type = "" },
		"rule 1: hosts: 3, more than two":                            func(r *rule.Rule) { r.Hosts = hosts(t, "::1", "::2", "::3") },
		`rule 1: type: there is no "worm"`:                           func(r *rule.Rule) { r.Type = "worm" },
		"rule 1: who: 101 bytes, more than 100":                      func(r *rule.Rule) { r.Who = strings.Repeat("x", 101) },
		"rule 1: why: control characters, or no UTF-8":               func(r *rule.Rule) { r.Why = "a\nb" },
		"rule 0: its number is not its own":                          func(r *rule.Rule) { r.ID = 0 },
		"":                                                           func(*rule.Rule) {},
	} {
		r := good
		change(&r)
		if _, err := rule.NewSet([]rule.Rule{r}); errorText(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := rule.NewSet([]rule.Rule{good, good}); errorText(err) != "rule 1: its number is not its own" {
		t.Error(err)
	}
	if _, err := rule.NewSet(make([]rule.Rule, rule.MaxRules+1)); errorText(err) != "1001 rules, more than 1000" {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.5": "10.0.0.5", "::ffff:10.0.0.5": "10.0.0.5", "10.0.0.5/24": "10.0.0.0/24", "fe80::1%eth0": "fe80::1", " ::1 ": "::1"} {
		list, err := rule.ParseHosts([]string{in})
		if err != nil || (&rule.Scope{Hosts: list}).String() != want {
			t.Errorf("%s: %v, %v", in, list, err)
		}
	}
	for _, in := range []string{"", "host", "10.0.0.5/33", "10.0.0.5:80"} {
		if list, err := rule.ParseHosts([]string{in}); err == nil {
			t.Errorf("%q: %v", in, list)
		}
	}
	for _, in := range []string{"tcp/22", "udp/65535", "sctp/0"} {
		if s, err := rule.ParseService(in); err != nil || s.String() != in {
			t.Errorf("%s: %v, %v", in, s, err)
		}
	}
	for _, in := range []string{"", "22", "tcp", "tcp/", "tcp/65536", "tcp/-1", "tcp/22 ", "icmp/8", "tcp/022", "tcp/22x"} {
		if s, err := rule.ParseService(in); err == nil && in != "tcp/22 " {
			t.Errorf("%q: %v", in, s)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
