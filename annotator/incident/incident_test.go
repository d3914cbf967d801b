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

// wire passes packets to a tracker as if something had been found in them.
type wire struct {
	t       *testing.T
	tracker *incident.Tracker
	table   *flow.Table
	now     time.Time
	frame   uint64
}

func newWire(t *testing.T, cfg incident.Config) *wire {
	return &wire{t, incident.New(cfg), flow.NewTable(flow.Default()), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), 0}
}

// found passes a packet with a finding and returns the number of its incident.
func (w *wire) found(kind verdict.Type, role detect.Role, score float64, from, to string) uint32 {
	w.t.Helper()
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	p := packet.Packet{
		Time: w.now.UnixNano(), Length: 60, Version: 4, Proto: packet.ProtoTCP, TCPFlags: packet.SYN,
		Src: src.Addr().As16(), Dst: dst.Addr().As16(), SrcPort: src.Port(), DstPort: dst.Port(),
	}
	var o flow.Observation
	w.table.Observe(&p, &o)
	w.frame++
	v := verdict.Verdict{
		Frame: w.frame, Time: p.Time, Score: score, Level: verdict.LevelOf(score), Type: kind,
		Reason: fmt.Sprintf("%s of frame %d", kind, w.frame),
	}
	w.tracker.Observe(&v, &detect.Finding{Role: role}, &o)
	w.now = w.now.Add(time.Millisecond)
	if v.Incident == 0 || v.IncidentFirst == 0 || v.IncidentFirst > v.Frame {
		w.t.Fatalf("frame %d: incident %d since frame %d", v.Frame, v.Incident, v.IncidentFirst)
	}
	return v.Incident
}

// list says in a line each what the incidents are.
func (w *wire) list() string {
	var b strings.Builder
	for _, i := range w.tracker.All() {
		fmt.Fprintf(&b, "%d %s %v: %v %d -> %v %d at %v, frames %d-%d, %d packets, %d flows: %s\n", i.Number, i.Type, i.Score,
			i.Actors, i.ActorCount, i.Targets, i.TargetCount, i.Services, i.First.Frame, i.Last.Frame, i.Packets, i.Flows, i.Reason)
	}
	return b.String()
}

const (
	attacker, victim, other = "10.0.0.66:1000", "10.0.0.5:80", "10.0.0.6:80"
	dos                     = "10.0.0.5:"
)

// TestEvents: what belongs together gets one number, and is told from the rest.
func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		name string
		work func(w *wire)
		want string
	}{
		{"a scan, and what the model saw of it before and meanwhile, either way", func(w *wire) {
			w.found(verdict.Outlier, detect.RoleHosts, 0.9, attacker, victim)
			for port := range 3 {
				w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, fmt.Sprint(dos, port+1))
			}
			w.found(verdict.Outlier, detect.RoleHosts, 1, "10.0.0.5:9", "10.0.0.66:9")
		}, "1 port_scan 1: [10.0.0.66] 1 -> [10.0.0.5] 1 at [], frames 1-5, 5 packets, 5 flows: port_scan of frame 4\n"},
		{"what the model finds between others is another matter", func(w *wire) {
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
			w.found(verdict.Outlier, detect.RoleHosts, 0.6, attacker, other)
		}, "1 port_scan 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [], frames 1-1, 1 packets, 1 flows: port_scan of frame 1\n" +
			"2 outlier 0.6: [10.0.0.66] 1 -> [10.0.0.6] 1 at [tcp/80], frames 2-2, 1 packets, 1 flows: outlier of frame 2\n"},
		{"what the model finds of one host is one event, until more is known of a part of it", func(w *wire) {
			w.found(verdict.Outlier, detect.RoleHosts, 0.6, attacker, victim)
			w.found(verdict.Outlier, detect.RoleHosts, 0.6, attacker, other)
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
			w.found(verdict.Outlier, detect.RoleHosts, 0.7, attacker, victim)
			w.found(verdict.Outlier, detect.RoleHosts, 0.7, attacker, other)
		}, "1 outlier 0.7: [10.0.0.66] 1 -> [10.0.0.5 10.0.0.6] 2 at [tcp/80], frames 1-5, 3 packets, 2 flows: outlier of frame 5\n" +
			"2 port_scan 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [], frames 3-4, 2 packets, 1 flows: port_scan of frame 3\n"},
		{"a sweep has many targets, one service", func(w *wire) {
			for i := range 3 {
				w.found(verdict.HostScan, detect.RoleSweep, 0.85, attacker, fmt.Sprintf("10.0.0.%d:445", i+1))
			}
			w.found(verdict.HostScan, detect.RoleSweep, 0.85, attacker, "10.0.0.1:22")
		}, "1 host_scan 0.85: [10.0.0.66] 1 -> [10.0.0.1 10.0.0.2 10.0.0.3] 3 at [tcp/445], frames 1-3, 3 packets, 3 flows: host_scan of frame 3\n" +
			"2 host_scan 0.85: [10.0.0.66] 1 -> [10.0.0.1] 1 at [tcp/22], frames 4-4, 1 packets, 1 flows: host_scan of frame 4\n"},
		{"a flood has many actors, and keeps the reason of its height", func(w *wire) {
			for i := range 3 {
				w.found(verdict.Flood, detect.RoleVictim, 0.9, fmt.Sprintf("192.0.2.%d:1", i+1), victim)
			}
			w.found(verdict.Outlier, detect.RoleHosts, 0.6, "192.0.2.3:7", victim)
			w.found(verdict.Outlier, detect.RoleHosts, 0.6, "10.0.0.5:7", "192.0.2.2:9")
		}, "1 flood 0.9: [192.0.2.1 192.0.2.2 192.0.2.3] 3 -> [10.0.0.5] 1 at [tcp/80], frames 1-5, 5 packets, 5 flows: flood of frame 1\n"},
		{"two services are two events, one conversation is one flow", func(w *wire) {
			for range 2 {
				w.found(verdict.BruteForce, detect.RoleService, 0.85, attacker, "10.0.0.5:22")
			}
			w.found(verdict.BruteForce, detect.RoleService, 0.85, attacker, "10.0.0.5:21")
		}, "1 brute_force 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [tcp/22], frames 1-2, 2 packets, 1 flows: brute_force of frame 2\n" +
			"2 brute_force 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [tcp/21], frames 3-3, 1 packets, 1 flows: brute_force of frame 3\n"},
		{"after a long pause it is another one, after a short one the same", func(w *wire) {
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
			w.now = w.now.Add(50 * time.Minute)
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
			w.now = w.now.Add(70 * time.Minute)
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
		}, "1 port_scan 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [], frames 1-2, 2 packets, 2 flows: port_scan of frame 2\n" +
			"2 port_scan 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [], frames 3-3, 1 packets, 1 flows: port_scan of frame 3\n"},
		{"beacons have patience", func(w *wire) {
			w.found(verdict.Beacon, detect.RoleService, 0.85, attacker, victim)
			w.now = w.now.Add(20 * time.Hour)
			w.found(verdict.Beacon, detect.RoleService, 0.85, attacker, victim)
		}, "1 beacon 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [tcp/80], frames 1-2, 2 packets, 2 flows: beacon of frame 2\n"},
		{"what follows an anomaly is part of it, whatever its role was", func(w *wire) {
			w.found(verdict.BruteForce, detect.RoleService, 0.85, attacker, "10.0.0.5:22")
			w.found(verdict.BruteForce, detect.RoleHosts, 0.7, attacker, "10.0.0.5:23")
		}, "1 brute_force 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [tcp/22], frames 1-2, 2 packets, 2 flows: brute_force of frame 1\n"},
		{"two named events between the same two hosts", func(w *wire) {
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
			w.found(verdict.BruteForce, detect.RoleService, 0.85, attacker, victim)
			w.found(verdict.PortScan, detect.RoleScan, 0.85, attacker, victim)
		}, "1 port_scan 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [], frames 1-3, 2 packets, 2 flows: port_scan of frame 3\n" +
			"2 brute_force 0.85: [10.0.0.66] 1 -> [10.0.0.5] 1 at [tcp/80], frames 2-2, 1 packets, 1 flows: brute_force of frame 2\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWire(t, incident.Default())
			tt.work(w)
			if diff := cmp.Diff(tt.want, w.list()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBounds: whatever comes, no more is kept than the bounds say, what is
// forgotten is counted, and what matters is kept longest.
func TestBounds(t *testing.T) {
	cfg := incident.Config{Open: 8, Kept: 64, Pairs: 8, Listed: 3, Counted: 5}
	w := newWire(t, cfg)
	scan := w.found(verdict.PortScan, detect.RoleScan, 0.9, attacker, victim)
	for i := range 1000 {
		w.found(verdict.Outlier, detect.RoleHosts, 0.6, fmt.Sprintf("10.1.%d.%d:1", i/250, i%250+1), victim)
	}
	all := w.tracker.All()
	if len(all) > cfg.Kept || len(all) < cfg.Kept/2 || w.tracker.Forgotten() != 1001-uint64(len(all)) {
		t.Errorf("%d kept, %d forgotten", len(all), w.tracker.Forgotten())
	}
	if all[0].Number != scan || all[len(all)-1].Number != 1001 {
		t.Errorf("from %d to %d", all[0].Number, all[len(all)-1].Number)
	}
	if n := w.found(verdict.PortScan, detect.RoleScan, 0.9, attacker, victim); n != 1002 {
		t.Errorf("a scan that had to give way goes on as %d", n)
	}
	for i := range 20 {
		w.found(verdict.Flood, detect.RoleVictim, 0.9, fmt.Sprintf("192.0.2.%d:1", i+1), victim)
	}
	all = w.tracker.All()
	flood := all[len(all)-1]
	if len(flood.Actors) != cfg.Listed || flood.ActorCount != cfg.Counted || flood.Packets != 20 {
		t.Errorf("flood: %d actors listed, %d counted, %d packets", len(flood.Actors), flood.ActorCount, flood.Packets)
	}
}

// TestTime: the packets' time may run backwards and jump.
func TestTime(t *testing.T) {
	w := newWire(t, incident.Default())
	for _, at := range []int64{0, -1 << 63, 1<<63 - 1, 5, -5, 1<<63 - 1, 0} {
		w.now = time.Unix(0, at)
		w.found(verdict.PortScan, detect.RoleScan, 0.9, attacker, victim)
	}
	for _, i := range w.tracker.All() {
		if text := string(i.AppendJSON(nil)); !strings.Contains(text, `"type":"port_scan"`) || strings.Contains(text, "\n") {
			t.Errorf("%q", text)
		}
	}
}
