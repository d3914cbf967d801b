package incident_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/incident"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// step is a packet, and what was found in it in the first pass.
type step struct {
	from, to string // ports of 0 are ICMP
	flags    uint16
	payload  uint32
	after    time.Duration // that passed before
	score    float64
	kind     verdict.Type
	role     detect.Role
	since    time.Duration // before the packet; evidence counted from there on
}

// twice passes the packets by two trackers, the second with what the first one
// knows, and says of each that is part of something "<incident>" or, where only
// hindsight told, "<incident>+". Others are "-".
func twice(t *testing.T, cfg incident.Config, steps []step) (string, []verdict.Incident) {
	t.Helper()
	var past *incident.Past
	var said []string
	for range 2 {
		said = said[:0]
		tracker, table, now := incident.New(cfg), flow.NewTable(flow.Default()), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for i, s := range steps {
			now = now.Add(s.after + time.Millisecond)
			p := s.packet(now)
			var o flow.Observation
			table.Observe(&p, &o)
			v := verdict.Verdict{Frame: uint64(i + 1), Time: p.Time, Score: s.score, Level: verdict.LevelOf(s.score), Type: s.kind, Reason: "because"}
			if s.kind != "" {
				f := detect.Finding{Role: s.role}
				if s.since != 0 {
					f.Since = p.Time - int64(s.since)
				}
				tracker.Observe(&v, &f, &o)
			}
			if past == nil {
				tracker.Watch(&o)
				continue
			}
			past.Raise(&v, &o)
			past.Count(&v, &o)
			said = append(said, wordOf(t, &v))
		}
		if past == nil {
			past = tracker.Past()
		}
	}
	return strings.Join(said, " "), past.All()
}

func (s *step) packet(now time.Time) packet.Packet {
	src, dst := netip.MustParseAddrPort(s.from), netip.MustParseAddrPort(s.to)
	p := packet.Packet{Time: now.UnixNano(), Length: 60 + s.payload, Version: 4, Src: src.Addr().As16(), Dst: dst.Addr().As16(), PayloadLength: s.payload}
	if src.Port() == 0 {
		p.Proto, p.ICMPType = packet.ProtoICMP, 8
		return p
	}
	p.Proto, p.TCPFlags, p.SrcPort, p.DstPort = packet.ProtoTCP, s.flags, src.Port(), dst.Port()
	p.Seq = uint32(now.UnixNano() / 1e6) // never the same, or it were a retransmission
	return p
}

func wordOf(t *testing.T, v *verdict.Verdict) string {
	t.Helper()
	switch {
	case v.Incident == 0:
		return "-"
	case v.IncidentFirst == 0 || v.IncidentFirst > v.Frame:
		t.Errorf("frame %d: incident %d since frame %d", v.Frame, v.Incident, v.IncidentFirst)
	case v.Hindsight != (v.Score > verdict.AnomalousScore && strings.HasPrefix(v.Reason, "in hindsight: because")):
		t.Errorf("frame %d: %+v", v.Frame, v)
	}
	if v.Hindsight {
		return fmt.Sprint(v.Incident, "+")
	}
	return fmt.Sprint(v.Incident)
}

const (
	syn  = packet.SYN
	ack  = packet.ACK
	data = packet.ACK | packet.PSH
)

// conversation is a connection in which the server says n times something.
func conversation(from, to string, n int) []step {
	steps := []step{{from: from, to: to, flags: syn}, {from: to, to: from, flags: syn | ack}, {from: from, to: to, flags: data, payload: 9}}
	for range n {
		steps = append(steps, step{from: to, to: from, flags: data, payload: 99})
	}
	return steps
}

// probes are SYNs to ports from first on, in which nothing was found.
func probes(first, n int) (steps []step) {
	for port := range n {
		steps = append(steps, step{from: attacker, to: fmt.Sprint(dos, first+port), flags: syn})
	}
	return steps
}

func together(parts ...[]step) (all []step) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// found is a SYN in which something was found.
func found(kind verdict.Type, role detect.Role, from, to string, since time.Duration) []step {
	return []step{{from: from, to: to, flags: syn, score: 0.9, kind: kind, role: role, since: since}}
}

func TestHindsight(t *testing.T) {
	const scanned = 100 * time.Millisecond
	scan := found(verdict.PortScan, detect.RoleScan, attacker, "10.0.0.5:99", scanned)
	pause := func(d time.Duration, steps []step) []step {
		steps[0].after = d
		return steps
	}
	for _, tt := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"the first probes of a scan, and those of others not", together(probes(1, 2), probesOf(other), scan), "1+ 1+ - 1"},
		{"nothing before evidence counted", together(probes(1, 1), pause(time.Minute, probes(2, 1)), scan), "- 1+ 1"},
		{"nothing after the last finding", together(scan, probes(1, 1)), "1 -"},
		{"no conversation of the same two that came to be one, nor its first packet", together(conversation(attacker, "10.0.0.5:443", 4), scan),
			"- - - - - - - 1"},
		{"but one that stayed an attempt, if the scan had such", together(conversation(attacker, "10.0.0.5:22", 1),
			[]step{{from: attacker, to: "10.0.0.5:22", flags: ack, score: 0.9, kind: verdict.PortScan, role: detect.RoleScan}}, scan), "1+ - 1+ - 1 1"},
		{"suspicion that came to nothing has no hindsight", together(probes(1, 2),
			[]step{{from: attacker, to: victim, flags: syn, score: 0.7, kind: verdict.PortScan, role: detect.RoleScan, since: scanned}}), "- - 1"},
		{"nor have outliers", together(probes(1, 2), found(verdict.Outlier, detect.RoleService, attacker, "10.0.0.5:3", scanned)), "- - 1"},
		{"what was suspicious becomes a part, with its own number no more", together(
			[]step{{from: attacker, to: "10.0.0.5:1", flags: syn, score: 0.6, kind: verdict.Outlier, role: detect.RoleHosts}},
			[]step{{from: attacker, to: "10.0.0.6:1", flags: syn, score: 0.6, kind: verdict.Outlier, role: detect.RoleHosts}}, scan), "2+ 1 2"},
		{"guessing: the whole conversations, both ways if both were found", together(conversation(attacker, "10.0.0.5:22", 5),
			[]step{{from: attacker, to: "10.0.0.5:22", flags: data, payload: 9, score: 0.9, kind: verdict.BruteForce, role: detect.RoleService, since: scanned}}),
			"- - 1+ - - - - - 1"},
		{"a flood: packets to its services of clients that get no answer", together(
			[]step{{from: "192.0.2.1:1", to: "10.0.0.5:80", flags: syn}, {from: "192.0.2.2:1", to: "10.0.0.5:81", flags: syn}},
			conversation("192.0.2.3:1", "10.0.0.5:80", 1), found(verdict.Flood, detect.RoleVictim, "192.0.2.4:1", "10.0.0.5:80", scanned)),
			"1+ - - - - - 1"},
		{"a sweep: one service of any host", together(
			[]step{{from: attacker, to: "10.0.0.7:445", flags: syn}, {from: attacker, to: "10.0.0.7:446", flags: syn | ack}},
			found(verdict.HostScan, detect.RoleSweep, attacker, "10.0.0.8:445", scanned)), "1+ - 1"},
		{"and what it then tries of them in vain", together(found(verdict.HostScan, detect.RoleSweep, attacker, "10.0.0.8:445", scanned),
			[]step{{from: attacker, to: "10.0.0.7:22", flags: syn, after: time.Second}}, conversation(attacker, "10.0.0.7:80", 1),
			[]step{{from: attacker, to: "10.0.0.7:22", flags: syn, after: time.Minute}}), "1 1+ - - - - -"},
		{"the orders of a scan that an FTP server does", together(
			[]step{{from: "10.0.0.9:1000", to: "10.0.0.66:21", flags: data, payload: 26}, {from: "10.0.0.9:1000", to: "10.0.0.66:80", flags: data, payload: 26}},
			found(verdict.PortScan, detect.RoleScan, "10.0.0.66:20", victim, scanned)), "1+ - 1"},
		{"the same after a pause of hours is one", together(scan, pause(20*time.Hour, probes(1, 1)), scan), "1 1+ 1"},
		{"of days, another", together(scan, pause(25*time.Hour, probes(1, 1)), scan), "1 2+ 2"},
		{"what nobody could name before is the beginning, if soon before", together(
			[]step{{from: attacker, to: "10.0.0.5:1", flags: ack, score: 0.9, kind: verdict.Outlier, role: detect.RoleHosts},
				{from: attacker, to: "10.0.0.6:1", flags: ack, score: 0.9, kind: verdict.Outlier, role: detect.RoleHosts}},
			found(verdict.HostScan, detect.RoleSweep, attacker, "10.0.0.8:445", 0)), "1 1 1"},
		{"and not if long before", together(
			[]step{{from: attacker, to: "10.0.0.5:1", flags: ack, score: 0.9, kind: verdict.Outlier, role: detect.RoleHosts}},
			pause(2*time.Hour, found(verdict.HostScan, detect.RoleSweep, attacker, "10.0.0.8:445", 0))), "1 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := twice(t, incident.Default(), tt.steps)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// probesOf is a SYN of another host.
func probesOf(to string) []step { return []step{{from: "10.0.0.67:1000", to: to, flags: syn}} }

// TestHindsightIncidents: what is said of incidents is of all of their packets.
func TestHindsightIncidents(t *testing.T) {
	flood := []step{{from: "192.0.2.1:1", to: victim, flags: syn}, {from: "192.0.2.2:1", to: victim, flags: syn}}
	flood = append(flood, found(verdict.Flood, detect.RoleVictim, "192.0.2.3:1", victim, time.Second)...)
	_, got := twice(t, incident.Default(), together(flood, found(verdict.Flood, detect.RoleVictim, "192.0.2.3:1", victim, time.Second)))
	if len(got) != 1 {
		t.Fatalf("%d incidents", len(got))
	}
	i := got[0]
	if i.First.Frame != 1 || i.Last.Frame != 4 || i.Packets != 4 || i.Anomalous != 4 || i.Flows != 4 || i.ActorCount != 3 || i.Reason != "because" ||
		i.Filter != "ip.addr == 10.0.0.5 && tcp.port == 80 && frame.number in {1..4}" {
		t.Errorf("%s", i.AppendJSON(nil))
	}
}

// TestHindsightOfForgotten: what was forgotten keeps its number, and nothing is
// said of it.
func TestHindsightOfForgotten(t *testing.T) {
	var steps []step
	for i := range 100 {
		steps = append(steps, found(verdict.PortScan, detect.RoleScan, fmt.Sprintf("10.1.0.%d:1", i+1), victim, 0)...)
	}
	said, all := twice(t, incident.Config{Open: 4, Kept: 16, Pairs: 8, Listed: 3, Counted: 5}, steps)
	words := strings.Fields(said)
	if words[0] != "1" || words[99] != "100" || len(all) > 16 || all[len(all)-1].Number != 100 {
		t.Errorf("%s; %d kept", said, len(all))
	}
}
