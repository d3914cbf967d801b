package verdict

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var scan = Verdict{
	Class: "unknown", Confidence: 0.41, Score: 0.97, Level: Anomalous, Type: PortScan,
	Reason: "412 SYNs to 398 ports of 10.0.0.5 within 1.0 s", Incident: 3, IncidentFirst: 476, Flow: 17,
	CommunityID: "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=", Model: "1",
}

const scanComment = "AI: port scan, score 0.97: 412 SYNs to 398 ports of 10.0.0.5 within 1.0 s\n" +
	"ai/1 class=unknown conf=0.41 score=0.970 verdict=anomalous type=port_scan incident=3 first=476 flow=17 cid=1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0= model=1"

func TestComment(t *testing.T) {
	normal := Verdict{Class: "dns", Confidence: 1, Score: 0.031, Level: Normal, Flow: 1}
	for _, tt := range []struct {
		name string
		v    Verdict
		want string
	}{
		{"scan", scan, scanComment},
		{"normal", normal, "AI: dns, score 0.03\nai/1 class=dns conf=1.00 score=0.031 verdict=normal flow=1"},
		{"hindsight", Verdict{Class: "dns", Score: 0.9, Level: Anomalous, Type: Flood, Reason: "in hindsight: 1", Incident: 3, IncidentFirst: 9, Hindsight: true},
			"AI: flood, score 0.90: in hindsight: 1\nai/1 class=dns conf=0.00 score=0.900 verdict=anomalous type=flood incident=3 first=9 hindsight=1 flow=0"},
		{"hostile class", Verdict{Class: "a b%\nc", Level: Normal}, "AI: a b% c, score 0.00\nai/1 class=a%20b%25%0Ac conf=0.00 score=0.000 verdict=normal flow=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.v.Comment()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatal(diff)
			}
			back, err := ParseComment(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.v, back); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestParseComment(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Verdict
		err      string
	}{
		{"canonical", scanComment, scan, ""},
		{"only the machine line", "ai/1 score=0.5", Verdict{Class: "unknown", Score: 0.5, Level: Suspicious}, ""},
		{"any order, unknown keys, user text around", "see ticket 7\r\nai/1 future=x flow=3 score=0.25 bare class=tls\r\nbye",
			Verdict{Class: "tls", Score: 0.25, Level: Normal, Flow: 3}, ""},
		{"reason with colons", "AI: beacon, score 0.90: every 10 s: 12 times\nai/1 score=0.9 type=beacon",
			Verdict{Class: "unknown", Score: 0.9, Level: Anomalous, Type: Beacon, Reason: "every 10 s: 12 times"}, ""},
		{"none", "just a comment", Verdict{}, "no ai/1 line"},
		{"newer grammar", "AI: x, score 1\nai/2 score=1", Verdict{}, "no ai/1 line"},
		{"no score", "ai/1 class=dns", Verdict{}, "ai/1 line: no score"},
		{"score above one", "ai/1 score=1.5", Verdict{}, "ai/1 line: score: 1.5 is not between 0 and 1"},
		{"score not a number", "ai/1 score=NaN", Verdict{}, "ai/1 line: score: NaN is not between 0 and 1"},
		{"score with exponent", "ai/1 score=1e-1", Verdict{}, "ai/1 line: score: 1e-1 is not between 0 and 1"},
		{"negative score", "ai/1 score=-0.0", Verdict{}, "ai/1 line: score: -0.0 is not between 0 and 1"},
		{"flow too large", "ai/1 score=0 flow=4294967296", Verdict{}, `ai/1 line: flow: strconv.ParseUint: parsing "4294967296": value out of range`},
		{"bad escape", "ai/1 score=0 class=%zz", Verdict{}, `ai/1 line: class: invalid URL escape "%zz"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseComment(tt.in)
			if text := errorText(err); text != tt.err {
				t.Fatalf("error %q, want %q", text, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestIsOurs(t *testing.T) {
	length := int64(4096)
	provenance := Provenance{Version: "0.1.0", Model: "1", Classifier: strings.Repeat("ab", 32), Anomaly: "cd",
		Threshold: 0.8, Comments: "flagged", SectionLength: &length}
	for _, tt := range []struct {
		in   string
		want bool
	}{
		{scanComment, true},
		{provenance.Comment(), true},
		{scanComment + "\n", false},
		{"I think this is right:\n" + scanComment, false},
		{"ai/1 score=0.9", false},
		{"AI: nice\nweather", false},
		{"AI: x, score 1.00\nai/2 score=1.000", false},
		{"", false},
	} {
		if got := IsOurs(tt.in); got != tt.want {
			t.Errorf("IsOurs(%q) = %v", tt.in, got)
		}
	}
	if got, ok := SectionLength(provenance.Comment()); !ok || got != length {
		t.Errorf("section length %d, %v", got, ok)
	}
	provenance.SectionLength = nil
	if got, ok := SectionLength(provenance.Comment()); ok {
		t.Errorf("section length %d of none", got)
	}
}

func TestJSON(t *testing.T) {
	v := Verdict{Frame: 1, Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano(), Class: "dns",
		Confidence: 0.98, Score: 0.031, Level: Normal, Flow: 1, Incident: 3, IncidentFirst: 476}
	want := `{"frame":1,"time":"2026-01-02T03:04:05.000000006Z","class":"dns","confidence":0.98,"score":0.031,"verdict":"normal","type":"","reason":"","flow":1,"incident":3,"incident_first":476}`
	if diff := cmp.Diff(want, string(v.AppendJSON(nil))); diff != "" {
		t.Fatal(diff)
	}
	v.Hindsight = true
	if got := string(v.AppendJSON(nil)); got != strings.TrimSuffix(want, "}")+`,"hindsight":true}` {
		t.Error(got)
	}
	v.Reason = "a \"quoted\" <b> \n\xff é"
	var back struct{ Reason string }
	if err := json.Unmarshal(v.AppendJSON(nil), &back); err != nil {
		t.Fatal(err)
	}
	if want := "a \"quoted\" <b> \n\ufffd é"; back.Reason != want {
		t.Fatalf("reason %q, want %q", back.Reason, want)
	}
}

func TestIncident(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	i := Incident{
		Number: 3, Type: BruteForce, Score: 0.96, Reason: "22 % of log-ins <failed>", Actors: []string{"10.0.0.66", "10.0.0.67"}, ActorCount: 2,
		Targets: []string{"10.0.0.5"}, TargetCount: 1, Services: []string{"tcp/22"}, ServiceCount: 1,
		First: Moment{7, at}, Last: Moment{90, at.Add(time.Second)}, Packets: 40, Anomalous: 12, Flows: 5, Filter: "ip.addr == 10.0.0.5 && tcp",
	}
	const machine = "incident=3 type=brute_force score=0.960 first=7 last=90 packets=40 anomalous=12 flows=5 " +
		"actors=10.0.0.66,10.0.0.67 actor_count=2 targets=10.0.0.5 target_count=1 services=tcp/22 service_count=1 " +
		"filter=ip.addr%20==%2010.0.0.5%20&&%20tcp reason=22%20%25%20of%20log-ins%20<failed>"
	if diff := cmp.Diff(machine, i.Machine()); diff != "" {
		t.Error(diff)
	}
	const text = `{"incident":3,"type":"brute_force","score":0.96,"reason":"22 % of log-ins <failed>","actors":["10.0.0.66","10.0.0.67"],"actor_count":2,` +
		`"targets":["10.0.0.5"],"target_count":1,"services":["tcp/22"],"service_count":1,` +
		`"first":{"frame":7,"time":"2026-01-02T03:04:05.000000006Z"},"last":{"frame":90,"time":"2026-01-02T03:04:06.000000006Z"},` +
		`"packets":40,"anomalous":12,"flows":5,"filter":"ip.addr == 10.0.0.5 && tcp"}`
	if diff := cmp.Diff("before "+text, string(i.AppendJSON([]byte("before ")))); diff != "" {
		t.Error(diff)
	}
	if i.Level() != Anomalous {
		t.Error("level ", i.Level())
	}
}

func TestLevelOf(t *testing.T) {
	for score, want := range map[float64]Level{0: Normal, 0.499: Normal, 0.5: Suspicious, 0.8: Suspicious, 0.801: Anomalous, 1: Anomalous} {
		if got := LevelOf(score); got != want {
			t.Errorf("LevelOf(%v) = %s, want %s", score, got, want)
		}
	}
}

// FuzzComment checks that reading never panics, that what is read can be
// written and read again unchanged, and that it is then recognised as ours.
func FuzzComment(f *testing.F) {
	f.Add(scanComment)
	f.Add("ai/1 score=0.5")
	f.Add("AI: dns, score 0.03\nai/1 class=dns conf=1.00 score=0.031 verdict=normal flow=1")
	f.Add("AI: x, score 1: y\nai/1 score=1 type=%20 class=%0A cid=%ff")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseComment(s)
		if err != nil {
			if diff := cmp.Diff(Verdict{}, v); diff != "" {
				t.Fatalf("verdict beside an error: %s", diff)
			}
			return
		}
		v.Score = math.Round(v.Score*1000) / 1000
		v.Confidence = math.Round(v.Confidence*100) / 100
		written := v.Comment()
		if !IsOurs(written) {
			t.Fatalf("%q is not recognised", written)
		}
		back, err := ParseComment(written)
		if err != nil {
			t.Fatalf("%q does not parse: %v", written, err)
		}
		if again := back.Comment(); again != written {
			t.Fatalf("%q became %q", written, again)
		}
	})
}
