package detect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestGrade(t *testing.T) {
	for _, tt := range []struct{ evidence, threshold, want float64 }{
		{0, 10, 0}, {-1, 10, 0}, {1, 0, 0},
		{5, 10, 0.4}, {10, 10, 0.8}, {20, 10, 0.9}, {100, 10, 0.98}, {math.Inf(1), 10, 1},
	} {
		if got := Grade(tt.evidence, tt.threshold); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("Grade(%v, %v) = %v, want %v", tt.evidence, tt.threshold, got, tt.want)
		}
	}
	if Grade(10, 10) > verdict.AnomalousScore {
		t.Error("evidence at the threshold is anomalous")
	}
}

// TestNames: the name of a detector is its key in the configuration.
func TestNames(t *testing.T) {
	config := reflect.TypeFor[Config]()
	all := All(Default())
	if len(all) != config.NumField() {
		t.Fatalf("%d detectors, %d configurations", len(all), config.NumField())
	}
	for i, d := range all {
		if key := config.Field(i).Tag.Get("yaml"); d.Name() != key {
			t.Errorf("detector %d is called %s and configured as %s", i, d.Name(), key)
		}
	}
}

func TestValidate(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error("the default: ", err)
	}
	// Every field is checked, and named as in the configuration file.
	groups := reflect.ValueOf(&c).Elem()
	for i := range groups.NumField() {
		group := groups.Field(i)
		for k := range group.NumField() {
			field := group.Field(k)
			name := groups.Type().Field(i).Tag.Get("yaml") + "." + group.Type().Field(k).Tag.Get("yaml")
			before := reflect.ValueOf(field.Interface())
			for _, bad := range []float64{0, -1, 1e18, math.NaN()} {
				if field.Kind() == reflect.Float64 {
					field.SetFloat(bad)
				} else if math.IsNaN(bad) {
					continue
				} else {
					field.SetInt(int64(bad))
				}
				if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name+":") {
					t.Errorf("%s = %v: error %v, want one with the name", name, bad, err)
				}
			}
			field.Set(before)
		}
	}
}

func TestConfigFile(t *testing.T) {
	c := Default()
	file := "port_scan: {rate: 12.5, window: 30m}\nbrute_force:\n  failures: 9\n"
	if err := yaml.NewDecoder(strings.NewReader(file), yaml.Strict()).Decode(&c); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.PortScan.Rate, want.PortScan.Window, want.BruteForce.Failures = 12.5, 30*time.Minute, 9
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// story is a scan, a flood, guessing and ordinary traffic, as observations.
func story(t testing.TB, clock func(i int) int64) []flow.Observation {
	t.Helper()
	var packets []packet.Packet
	for i := range 400 {
		syn := ip(packet.ProtoTCP, "10.0.0.9:40000", at("10.0.0.5", 1+i), "")
		syn.TCPFlags = packet.SYN
		flood := ip(packet.ProtoUDP, at("10.0.0.8", 1024+i), "10.0.0.5:9999", "junk")
		ftp := ip(packet.ProtoTCP, "10.0.0.5:21", "10.0.0.7:50000", "530 no\r\n")
		ftp.TCPFlags, ftp.Seq = packet.ACK|packet.PSH, uint32(8*i)
		arp := packet.Packet{Name: "arp", ARPOp: 2, ARPSenderMAC: packet.MAC{2, 0, 0, 0, 0, byte(i % 2)},
			ARPSender: packet.Addr{15: 1}, ARPTarget: packet.Addr{15: 2}}
		ping := ip(packet.ProtoICMP, "10.0.0.9", "10.0.0.5", noise(i, 20+i%50))
		ping.ICMPType = 8
		packets = append(packets, syn, flood, ftp, arp, ping)
	}
	table := flow.NewTable(flow.Default())
	observations := make([]flow.Observation, len(packets))
	for i := range packets {
		packets[i].Time = clock(i)
		table.Observe(&packets[i], &observations[i])
	}
	return observations
}

// told returns what a detector says of a packet.
func told(d Detector, c *Case) Finding {
	c.finding = Finding{}
	d.Observe(c)
	return c.finding
}

func run(observations []flow.Observation) [][]Finding {
	set := New(Default(), nil)
	findings := make([][]Finding, len(observations))
	for i := range observations {
		c := set.look(&observations[i])
		for _, d := range set.detectors {
			findings[i] = append(findings[i], told(d, c))
		}
	}
	return findings
}

// TestTime: whatever the clock of a capture does, the same packets get the
// same findings, with scores that are scores.
func TestTime(t *testing.T) {
	for name, clock := range map[string]func(i int) int64{
		"forward":        func(i int) int64 { return int64(i) * 1e6 },
		"backward":       func(i int) int64 { return 1e18 - int64(i)*1e6 },
		"standing still": func(int) int64 { return 1e18 },
		"at zero":        func(int) int64 { return 0 },
		"before 1970":    func(i int) int64 { return -1e18 + int64(i)*1e6 },
		"jumping":        func(i int) int64 { return int64(mix(uint64(i)) >> 2) },
		"at the ends":    func(i int) int64 { return []int64{math.MaxInt64, math.MinInt64, 0}[i%3] },
	} {
		t.Run(name, func(t *testing.T) {
			observations := story(t, clock)
			findings := run(observations)
			for i := range findings {
				for k, f := range findings[i] {
					if !(f.Score >= 0 && f.Score <= 1) || f.Score >= verdict.SuspiciousScore && (f.Reason == "" || f.Type == "") {
						t.Fatalf("packet %d, detector %d: %+v", i, k, f)
					}
				}
			}
			if diff := cmp.Diff(findings, run(observations)); diff != "" {
				t.Errorf("another run differs: %s", diff)
			}
		})
	}
}

// TestBounds: tables of one entry work, and forget.
func TestBounds(t *testing.T) {
	c := Default()
	c.PortScan.Pairs, c.HostScan.Sources, c.Flood.Destinations, c.SlowDoS.Services = 1, 1, 1, 1
	c.BruteForce.Clients, c.BruteForce.Flows, c.Exfiltration.Pairs, c.DNSTunnel.Domains = 1, 1, 1, 1
	c.ICMPTunnel.Pairs, c.Beacon.Services, c.ARPSpoof.Hosts = 1, 1, 1
	set := New(c, nil)
	for _, o := range story(t, func(i int) int64 { return int64(i) * 1e6 }) {
		set.Observe(&o)
	}
	if n := set.detectors[0].(*portScan).pairs.states.Len(); n != 1 {
		t.Errorf("%d pairs remembered, want 1", n)
	}
}

// talk is ordinary traffic of established conversations.
func talk() []flow.Observation {
	table := flow.NewTable(flow.Default())
	var observations []flow.Observation
	now, seq := int64(1e18), map[string]uint32{}
	add := func(from, to string, flags uint16, payload string) {
		p := ip(packet.ProtoTCP, from, to, payload)
		p.Time, p.TCPFlags, p.Seq, p.Ack = now, flags, seq[from], seq[to]
		seq[from] += p.PayloadLength + uint32(flags&packet.SYN/packet.SYN)
		now += 1e6
		var o flow.Observation
		table.Observe(&p, &o)
		observations = append(observations, o)
	}
	for i := range 50 {
		client, server := at("10.0.0.9", 40000+i), at("198.51.100.7", 80)
		add(client, server, packet.SYN, "")
		add(server, client, packet.SYN|packet.ACK, "")
		add(client, server, packet.ACK, "")
		for range 5 {
			add(client, server, packet.ACK|packet.PSH, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			add(server, client, packet.ACK|packet.PSH, "HTTP/1.1 200 OK\r\n\r\n")
		}
	}
	return observations
}

func TestNoAllocation(t *testing.T) {
	cfg := Default()
	cfg.RequestFlood.Rate = mostRate // the same second passes again and again
	set := New(cfg, nil)
	observations := talk()
	pass := func() {
		for i := range observations {
			set.Observe(&observations[i])
			set.Suspect()
		}
	}
	pass() // makes the states
	if n := testing.AllocsPerRun(10, pass); n > 0 {
		t.Errorf("%v allocations for %d packets of known conversations, want none", n, len(observations))
	}
}

func BenchmarkOrdinary(b *testing.B) { benchmark(b, talk()) }

// BenchmarkAttack is per packet of several attacks at once, all flagged.
func BenchmarkAttack(b *testing.B) {
	benchmark(b, story(b, func(i int) int64 { return int64(i) * 1e5 }))
}

func benchmark(b *testing.B, observations []flow.Observation) {
	set := New(Default(), nil)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		set.Observe(&observations[i%len(observations)])
		set.Suspect()
	}
}

// FuzzObserve feeds frames, each led by a byte of length and one of time, to
// all detectors at once.
func FuzzObserve(f *testing.F) {
	frame := func(pause byte, data string) string { return string([]byte{byte(len(data)), pause}) + data }
	ipv4 := func(proto byte, rest string) string {
		return "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00" +
			fmt.Sprintf("\x45\x00\x00%c\x00\x00\x00\x00\x40%c\x00\x00\x0a\x00\x00\x09\x0a\x00\x00\x05", rune(20+len(rest)), rune(proto)) + rest
	}
	f.Add([]byte(frame(1, ipv4(6, "\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00"))))
	f.Add([]byte(frame(0, ipv4(17, "\x13\x88\x00\x35\x00\x2c\x00\x00"+dnsMessage("abc.example.com", 1, false, 0)))))
	f.Add([]byte(frame(9, ipv4(1, "\x08\x00\x00\x00\x00\x01\x00\x01abcdefgh"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		tw := newTwins(t, Default())
		var (
			decoder packet.Decoder
			p       packet.Packet
			now     int64
		)
		for len(data) > 2 {
			n := min(int(data[0]), len(data)-2)
			now += int64(int8(data[1])) * int64(time.Second)
			decoder.Decode(packet.Frame{Time: now, LinkType: 1, Length: uint32(n), Data: data[2 : 2+n]}, &p)
			data = data[2+n:]
			tw.observe(&p)
		}
	})
}

func TestRate(t *testing.T) {
	var r rate
	const second = int64(time.Second)
	for i, tt := range []struct {
		now  int64
		n    uint32
		want uint32
	}{
		{10 * second, 5, 5},
		{10*second + second/2, 1, 6},
		{11*second - 1, 1, 7},
		{11 * second, 1, 3}, // the five are out
		{10*second + second/2, 1, 4},
		{5 * second, 1, 1}, // far back: begin anew
		{100 * second, 0, 0},
	} {
		if got := r.add(tt.now, time.Second, tt.n); got != tt.want {
			t.Errorf("step %d: %d, want %d", i, got, tt.want)
		}
	}
	r.add(100*second, time.Second, 5)
	r.forget(3)
	if got := r.count(100*second, time.Second); got != 2 {
		t.Errorf("%d after forgetting 3 of 5", got)
	}
}

func TestDistinct(t *testing.T) {
	var d distinct
	for k := range uint64(2 * maxDistinct) {
		if !d.add(k * k) {
			t.Fatalf("%d was there before", k*k)
		}
		if known := k < maxDistinct; d.add(k*k) == known || d.has(k*k) != known || d.mark(k*k) != known || d.isMarked(k*k) != known {
			t.Fatalf("member %d: known must be %v", k, known)
		}
	}
	if d.n != maxDistinct || d.marked != maxDistinct {
		t.Errorf("%d members, %d marked, want %d each", d.n, d.marked, maxDistinct)
	}
	d.clear()
	if d.n != 0 || d.marked != 0 || d.has(4) {
		t.Error("not empty after clear")
	}
}

func TestEstimate(t *testing.T) {
	for _, n := range []int{0, 1, 10, 100, 400} {
		var m [4]uint64
		for i := range n {
			setBit(&m, hashBytes(binary.BigEndian.AppendUint32(nil, uint32(i))))
		}
		if got := estimate(&m); math.Abs(got-float64(n)) > 0.15*float64(n)+0.5 {
			t.Errorf("%d different: estimated %.1f", n, got)
		}
	}
}

func TestEntropy(t *testing.T) {
	for s, want := range map[string]float64{"": 0, "aaaa": 0, "abab": 1, "abcd": 2} {
		if got := entropy(bytes.Clone([]byte(s))); math.Abs(got-want) > 1e-9 {
			t.Errorf("entropy(%q) = %v, want %v", s, got, want)
		}
	}
}
