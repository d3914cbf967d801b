package baseline

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// wire passes packets through a flow table to a Learner and a Judge.
type wire struct {
	table   *flow.Table
	learner *Learner
	judge   *Judge
	now     time.Time
}

func newWire() *wire {
	return &wire{table: flow.NewTable(flow.Default()), learner: NewLearner(identity), now: time.Date(2026, 1, 2, 14, 0, 0, 0, time.UTC)}
}

// learned turns from learning to judging.
func (w *wire) learned() *Baseline {
	b := w.learner.Baseline()
	w.learner, w.judge = nil, NewJudge(b)
	w.table = flow.NewTable(flow.Default())
	return b
}

// see takes a packet in, as it is observed.
func (w *wire) see(from, to string, flags uint16) *flow.Observation {
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	p := &packet.Packet{
		Time: w.now.UnixNano(), Length: 60, Version: 4, Proto: packet.ProtoTCP, TCPFlags: flags,
		Src: src.Addr().As16(), Dst: dst.Addr().As16(), SrcPort: src.Port(), DstPort: dst.Port(),
	}
	o := new(flow.Observation)
	w.table.Observe(p, o)
	if o.New && flags == packet.SYN {
		o.Memo.Begun = true
	}
	return o
}

// found learns that something was found in a packet.
func (w *wire) found(detector string, f detect.Finding, from, to string) {
	w.learner.Finding(detector, &f)
	w.learner.Packet(w.see(from, to, packet.SYN), "unknown", nil)
}

const (
	guesser, server22, client80 = "10.0.0.7:4000", "10.0.0.5:22", "10.0.0.8:4000"
)

func guessing(score float64) detect.Finding {
	return detect.Finding{Score: score, Type: verdict.BruteForce, Reason: "many log-ins", Role: detect.RoleService}
}

// reviewed returns what is left of a finding.
func reviewed(j *Judge, o *flow.Observation, detector string, f detect.Finding) detect.Finding {
	j.Review(o, detector, &f)
	return f
}

// TestUsual: what was found while learning is no alarm, up to twice of it, for
// the same detector, hosts and service, and nothing else is.
func TestUsual(t *testing.T) {
	w := newWire()
	w.found("brute_force", guessing(0.9), guesser, server22) // twice the threshold
	w.now = w.now.Add(2 * time.Hour)
	w.found("brute_force", guessing(0.85), guesser, server22)
	w.learned()
	for _, tt := range []struct {
		name     string
		detector string
		finding  detect.Finding
		from, to string
		score    float64
		reason   string
	}{
		{"less", "brute_force", guessing(0.82), guesser, server22, 0.5, "many log-ins; usual here: seen 2 times, up to 1.8 times as much"},
		{"as much", "brute_force", guessing(0.9), guesser, server22, 0.5, "many log-ins; usual here: seen 2 times, as much"},
		{"half as much again", "brute_force", guessing(1 - 0.2/3), guesser, server22, 0.65, "many log-ins; usual here: seen 2 times, at most 0.67 of it"},
		{"twice as much", "brute_force", guessing(0.95), guesser, server22, 0.8, "many log-ins; usual here: seen 2 times, at most 0.50 of it"},
		{"three times as much", "brute_force", guessing(1 - 0.2/6), guesser, server22, 1 - 0.2/1.5, "many log-ins; usual here: seen 2 times, at most 0.33 of it"},
		{"from another host", "brute_force", guessing(0.9), client80, server22, 0.9, "many log-ins"},
		{"at another service", "brute_force", guessing(0.9), guesser, "10.0.0.5:23", 0.9, "many log-ins"},
		{"another detector", "remote_control", guessing(0.9), guesser, server22, 0.9, "many log-ins"},
		{"another type", "brute_force", detect.Finding{Score: 0.9, Type: verdict.Beacon, Role: detect.RoleService}, guesser, server22, 0.9, ""},
		{"too little to matter", "brute_force", guessing(0.4), guesser, server22, 0.4, "many log-ins"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := reviewed(w.judge, w.see(tt.from, tt.to, packet.SYN), tt.detector, tt.finding)
			if math.Abs(got.Score-tt.score) > 1e-3 || got.Reason != tt.reason || got.Type != tt.finding.Type {
				t.Errorf("%s, score %.3f: %q, want %.3f: %q", got.Type, got.Score, got.Reason, tt.score, tt.reason)
			}
		})
	}
}

// TestWithout: what was left out stays an alarm, and counts nowhere.
func TestWithout(t *testing.T) {
	w := newWire()
	w.learner.Without = []verdict.Type{verdict.BruteForce}
	w.found("brute_force", guessing(0.9), guesser, server22)
	w.found("brute_force", guessing(0.7), client80, server22) // no alarm
	b := w.learned()
	if f := reviewed(w.judge, w.see(guesser, server22, packet.SYN), "brute_force", guessing(0.9)); f.Score != 0.9 {
		t.Errorf("score %v", f.Score)
	}
	if total := b.Totals(); total.Omitted != 1 || total.Frames != 2 || *b.classes.get("unknown") != 1 {
		t.Errorf("%+v, %d packets", total, *b.classes.get("unknown"))
	}
}

// TestReversed: a finding that takes a client for the server is none, where it
// was learned who serves and the conversation's beginning is not in the capture.
func TestReversed(t *testing.T) {
	w := newWire()
	w.learner.Packet(w.see(client80, server22, packet.SYN), "ssh", nil)
	w.learner.Packet(w.see(server22, client80, packet.SYN|packet.ACK), "ssh", nil)
	w.learned()
	shell := detect.Finding{Score: 0.9, Type: verdict.Outlier, Role: detect.RoleService}
	if f := reviewed(w.judge, w.see(server22, "10.0.0.9:4001", packet.ACK), "remote_control", shell); f.Score != 0 {
		t.Errorf("score %v although the capture begins in the middle", f.Score)
	}
	if f := reviewed(w.judge, w.see(server22, "10.0.0.9:4002", packet.SYN), "remote_control", shell); f.Score != 0.9 {
		t.Errorf("score %v although the server called", f.Score)
	}
	if f := reviewed(w.judge, w.see("10.0.0.9:4003", server22, packet.ACK), "remote_control", shell); f.Score != 0.9 {
		t.Errorf("score %v although the sides are right", f.Score)
	}
}

// TestOpinion: a host of which many packets were unusual is measured by itself;
// others, of its network or not, hardly by it.
func TestOpinion(t *testing.T) {
	w := newWire()
	for i := range 5000 {
		opinion := score.Opinion{Score: 0.3}
		if i%50 == 0 {
			opinion.Score = 0.9
		}
		w.now = w.now.Add(time.Second)
		w.learner.Packet(w.see(guesser, server22, packet.ACK), "ssh", &opinion)
		for _, quiet := range []string{"10.0.0.8:4001", "10.0.0.9:4001", "10.0.0.10:4001"} {
			w.learner.Packet(w.see(quiet, server22, packet.ACK), "ssh", &score.Opinion{Score: 0.1})
		}
	}
	w.learned()
	for _, tt := range []struct {
		name, from string
		score      float32
		low, high  float64
		usual      string
	}{
		{"as it was usual", guesser, 0.9, 0.4, 0.5, ""},
		{"a little more than that", guesser, 0.95, 0.5, 0.6, "; usual here: one packet in"},
		{"much more than that", guesser, 1, 1, 1, ""},
		{"ordinary", guesser, 0.1, 0, 0.1, ""},
		{"a quiet host", "10.0.0.8:4001", 0.9, 0.8, 0.9, ""},
		{"a new host there", "10.0.0.77:4001", 0.9, 0.55, 0.8, "; usual here: one packet in"},
		{"a host elsewhere", "192.0.2.1:4001", 0.9, 0.9, 0.9, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, usual := w.judge.Opinion(w.see(tt.from, "10.0.0.5:2222", packet.SYN), &score.Opinion{Score: tt.score})
			if s < tt.low-1e-6 || s > tt.high+1e-6 || !strings.HasPrefix(usual, tt.usual) || tt.usual == "" && usual != "" && s < 0.5 {
				t.Errorf("score %.3f, want %v to %v; %q, want %q", s, tt.low, tt.high, usual, tt.usual)
			}
		})
	}
}

// TestRate: far more packets than ever are an alarm, with the numbers; more than
// usual are not.
func TestRate(t *testing.T) {
	w := newWire()
	for range 400 {
		for range 20 {
			w.learner.Packet(w.see(guesser, server22, packet.ACK), "ssh", nil)
			w.now = w.now.Add(50 * time.Millisecond)
		}
	}
	w.learned()
	day := 2
	at := func(hour int, from, to string, packets int) (f detect.Finding) {
		day++
		w.now = time.Date(2026, 1, day, hour, 0, 0, 0, time.UTC)
		for range packets {
			f = detect.Finding{}
			w.judge.Rate(w.see(from, to, packet.ACK), &f)
		}
		return f
	}
	const elsewhere = "192.0.2.9:443"
	for _, tt := range []struct {
		name     string
		hour     int
		from, to string
		packets  int
		score    float64
		reason   string
	}{
		{"as usual", 14, guesser, elsewhere, 30, 0, ""},
		{"much, but not that much", 14, guesser, elsewhere, 60, 0.48, ""},
		{"far more", 14, guesser, elsewhere, 1840, 0.98, "1840 packets/s from 10.0.0.7, 406 sigmas above its normal between 14 and 15 h UTC: 20.0, and never more than 20"},
		{"at an hour that is not known", 3, guesser, elsewhere, 1840, 0.98, "1840 packets/s from 10.0.0.7, 406 sigmas above its normal: 20.0, and never more than 20"},
		{"by a new host", 14, "10.0.0.66:1", elsewhere, 1840, 0.98, "1840 packets/s from 10.0.0.66, 406 sigmas above what is normal for hosts of 10.0.0.0/24: 20.0, and never more than 20"},
		{"to a host", 14, elsewhere, server22, 1840, 0.98, "1840 packets/s to 10.0.0.5, 406 sigmas above its normal between 14 and 15 h UTC: 20.0, and never more than 20"},
		{"of nobody that is known", 14, elsewhere, "192.0.2.10:1", 1840, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := at(tt.hour, tt.from, tt.to, tt.packets)
			if math.Abs(f.Score-tt.score) > 0.01 || f.Reason != tt.reason {
				t.Errorf("score %.3f, want %.2f: %q", f.Score, tt.score, f.Reason)
			}
		})
	}
}

// TestRateLimits: whatever the seconds that were learned, exactly those rates are
// alarms that exceed all three limits, and the reason names how far.
func TestRateLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	alarms := 0
	for range 30 {
		w := newWire()
		var list []float64
		level := 1 + r.IntN(60)
		for range enoughSeconds + r.IntN(100) {
			n := 1 + r.IntN(level)
			if r.IntN(50) == 0 {
				n *= 1 + r.IntN(5)
			}
			list = append(list, float64(n))
			for range n {
				w.learner.Packet(w.see(guesser, server22, packet.ACK), "ssh", nil)
			}
			w.now = w.now.Add(time.Second)
		}
		w.learned()
		mean, squares, most := 0.0, 0.0, slices.Max(list)
		for _, n := range list {
			mean += n / float64(len(list))
		}
		for _, n := range list {
			squares += (n - mean) * (n - mean) / float64(len(list))
		}
		deviation := math.Sqrt(max(squares, mean))
		w.now = w.now.AddDate(0, 0, 1)
		for now := 1; now < 1000; now++ {
			var f detect.Finding
			w.judge.Rate(w.see(guesser, server22, packet.ACK), &f)
			over := (float64(now) - mean) / deviation
			limit := max(100, 2*most, mean+6*deviation)
			if math.Abs(float64(now)-limit) > 1e-6*limit && (f.Score > verdict.AnomalousScore) != (float64(now) > limit) {
				t.Fatalf("%d packets/s, limit %.1f: score %.3f", now, limit, f.Score)
			}
			if f.Score > verdict.AnomalousScore {
				alarms++
				if want := fmt.Sprintf("%d packets/s from 10.0.0.7, %.0f sigmas above its normal between 14 and 15 h UTC: %.1f, and never more than %.0f", now, math.Floor(over), mean, most); f.Reason != want {
					t.Fatalf("%q, want %q", f.Reason, want)
				}
			}
		}
	}
	if alarms < 1000 {
		t.Errorf("%d alarms", alarms)
	}
}

// TestThin: where too little was learned, it says so.
func TestThin(t *testing.T) {
	w := newWire()
	for range 1200 {
		w.now = w.now.Add(time.Second)
		w.learner.Packet(w.see(guesser, server22, packet.ACK), "ssh", &score.Opinion{Score: 0.1})
	}
	w.learner.Packet(w.see(server22, guesser, packet.ACK), "ssh", &score.Opinion{Score: 0.1})
	w.learned()
	for from, want := range map[string]string{
		guesser:       "",
		"10.0.0.77:9": "", // its network is known
		"10.0.1.1:9":  "no host of its network was seen",
		"192.0.2.1:9": "no host of its network was seen",
	} {
		if got := w.judge.Thin(w.see(from, server22, packet.ACK)); (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
	answer := w.see(server22, guesser, packet.ACK)
	if got := w.judge.Thin(answer); got != "too little was learned of servers among hosts of 10.0.0.0/24: 1 packets of the 1000 that it takes" {
		t.Errorf("%q", got)
	}
}

// TestThreshold: what was seen once is how much new is to come.
func TestThreshold(t *testing.T) {
	w := newWire()
	start := w.now
	for i := range 40 { // ten hours
		w.now = start.Add(time.Duration(i) * 15 * time.Minute)
		for range 3 {
			w.learner.Packet(w.see(client80, server22, packet.ACK), "ssh", nil)
			w.now = w.now.Add(5 * time.Minute)
		}
		if i%10 == 0 { // time and again
			w.found("brute_force", guessing(0.99), "10.0.0.99:1", server22)
		}
	}
	for i, score := range []float64{0.55, 0.65, 0.85, 0.95} {
		for range 5 {
			w.found("brute_force", guessing(score), "10.0.0."+string(rune('1'+i))+":1", "10.0.0.5:"+string(rune('1'+i)))
		}
	}
	b := w.learned()
	if hours := b.totals.Hours(); math.Abs(hours-10) > 0.3 {
		t.Fatalf("%v hours", hours)
	}
	for _, tt := range []struct {
		perHour, want float64
		problem       string
	}{
		{1, 0.5, ""}, {0.31, 0.55, ""}, {0.21, 0.65, ""}, {0.105, 0.85, ""},
		{0.05, 0, "10.0 hours were learned; for 0.05 alarms an hour it takes 20.0"},
		{0, 0, "must be more than 0"}, {math.NaN(), 0, "must be more than 0"},
	} {
		got, err := b.Threshold(tt.perHour)
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%v an hour: error %v, want %q", tt.perHour, err, tt.problem)
			}
			continue
		}
		if err != nil || math.Abs(got-tt.want) > 0.0011 {
			t.Errorf("%v an hour: %v, %v, want %v", tt.perHour, got, err, tt.want)
		}
	}
}

// TestCompare: what has changed is said, and what has not is not.
func TestCompare(t *testing.T) {
	day := func(class string, usual float32, gap time.Duration, hosts ...string) *Baseline {
		w := newWire()
		for i := range 3000 {
			from := hosts[i%len(hosts)]
			w.learner.Packet(w.see(from, server22, packet.ACK), class, &score.Opinion{Score: usual})
			w.now = w.now.Add(gap)
		}
		for range 2 {
			w.learner.Packet(w.see("10.0.0.8:"+w.now.Format("05000"), hosts[0], packet.SYN), class, nil)
			w.learner.Packet(w.see(hosts[0], "10.0.0.8:"+w.now.Format("05000"), packet.SYN|packet.ACK), class, nil)
			w.now = w.now.Add(time.Second)
		}
		return w.learned()
	}
	const tick = 100 * time.Millisecond
	before := day("ssh", 0.1, tick, "10.0.0.1:80", "10.0.0.2:80")
	for _, tt := range []struct {
		name  string
		today *Baseline
		want  []string
	}{
		{"the same", day("ssh", 0.1, tick, "10.0.0.1:80", "10.0.0.2:80"), nil},
		{"a new host", day("ssh", 0.1, tick, "10.0.0.1:80", "10.0.0.3:80"), []string{"1 new host: 10.0.0.3"}},
		{"a new service", day("ssh", 0.1, tick, "10.0.0.1:81", "10.0.0.2:80"), []string{"1 new service: tcp/81 of 10.0.0.1"}},
		{"another protocol", day("tls", 0.1, tick, "10.0.0.1:80", "10.0.0.2:80"), []string{"other protocols"}},
		{"other scores", day("ssh", 0.6, tick, "10.0.0.1:80", "10.0.0.2:80"), []string{"other scores"}},
		{"another rate", day("ssh", 0.1, tick/10, "10.0.0.1:80", "10.0.0.2:80"), []string{"hosts send 4"}},
		{"too short to tell", day("ssh", 0.1, tick/100, "10.0.0.1:80", "10.0.0.2:80"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes, err := before.Compare(tt.today)
			if err != nil || len(changes) != len(tt.want) {
				t.Fatalf("%+v, error %v, want %q", changes, err, tt.want)
			}
			for i, c := range changes {
				if !strings.HasPrefix(c.Text, tt.want[i]) {
					t.Errorf("%q, want %q", c.Text, tt.want[i])
				}
			}
		})
	}
	if _, err := before.Compare(New(Identity{Models: "2"})); err == nil {
		t.Error("compared with one of other models")
	}
}

// TestForget: what was forgotten is an alarm again.
func TestForget(t *testing.T) {
	w := newWire()
	w.found("brute_force", guessing(0.9), guesser, server22)
	w.found("brute_force", guessing(0.9), client80, server22)
	b := w.learned()
	if _, err := b.Forget("evil", ""); err == nil {
		t.Error("forgot evil")
	}
	if n, err := b.Forget("10.0.0.7", verdict.BruteForce); n != 1 || err != nil {
		t.Errorf("%d rows, error %v", n, err)
	}
	b = reread(t, saved(t, b))
	for from, want := range map[string]float64{guesser: 0.9, client80: 0.5} {
		if f := reviewed(NewJudge(b), w.see(from, server22, packet.SYN), "brute_force", guessing(0.9)); f.Score != want {
			t.Errorf("%s: %v, want %v", from, f.Score, want)
		}
	}
}
