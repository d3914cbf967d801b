package baseline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

var identity = Identity{Models: "1", Anomaly: "00ff", Features: "2"}

func addr(text string) packet.Addr {
	a, err := parseAddr(text)
	if err != nil {
		panic(err)
	}
	return a
}

// limited returns a Baseline with a lower limit, unless that is 0.
func limited(limit int) *Baseline {
	b := New(identity)
	if limit > 0 {
		b.hosts.limit, b.classes.limit, b.services.limit, b.relations.limit = limit, limit, limit, limit
	}
	return b
}

// random returns a Baseline of much, with so many hosts of which some are in
// others, too.
func random(seed uint64, limit, hosts int) *Baseline {
	r := rand.New(rand.NewPCG(seed, 0))
	b := limited(limit)
	b.totals = Totals{Captures: 1, Frames: r.Uint64N(1e6), First: int64(r.Uint64N(1e9)) + 1, Last: int64(r.Uint64N(1e9)) + 2e9}
	b.totals.Observed[r.IntN(24)] = r.Uint64N(1e6)
	for range hosts {
		a := addr(fmt.Sprintf("%d.0.%d.%d", []int{10, 93}[r.IntN(2)], r.IntN(40), r.IntN(256)))
		if h := b.hosts.take(host(a)); h != nil {
			h.Scores[r.IntN(2)][r.IntN(scoreBins)] += r.Uint64N(100) + 1
			h.Sent.at(uint8(r.IntN(24))).count(r.Uint64N(1000) + 1)
			h.Received.at(uint8(r.IntN(24))).count(r.Uint64N(1000) + 1)
		}
		s := detect.Service{Proto: packet.ProtoTCP, Port: uint16(r.IntN(9))}
		if n := b.services.take(Endpoint{a, s}); n != nil {
			*n++
		}
		if e := b.relations.take(Relation{Detector: "port_scan", Type: verdict.PortScan, Actor: detect.Party{Addr: a}, Service: s}); e != nil {
			e.add(&Evidence{Packets: 3, Episodes: 1, Most: r.Uint64N(mostEvidence) + 1})
		}
		if n := b.classes.take(class(fmt.Sprint("class", r.IntN(700)))); n != nil {
			*n++
		}
	}
	b.hosts.prune()
	b.classes.prune()
	b.services.prune()
	b.relations.prune()
	return b
}

func saved(t *testing.T, b *Baseline) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func reread(t *testing.T, file []byte) *Baseline {
	t.Helper()
	b, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMerge: whatever the order and the grouping, merging gives the same file,
// also beyond the bounds, and if what is merged was saved in between.
func TestMerge(t *testing.T) {
	const limit = 100
	var parts []*Baseline
	for i := range 6 {
		parts = append(parts, random(uint64(i), limit, []int{10, 50, 300, 700, 1, 400}[i]))
	}
	merged := func(parts ...*Baseline) *Baseline {
		b := limited(limit)
		for _, part := range parts {
			if err := b.Merge(part); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	want := saved(t, merged(parts...))
	if b := reread(t, want); len(b.hosts.rows) != limit || b.hosts.bound == 0 || len(b.classes.rows) != limit {
		t.Fatalf("%d hosts, %d classes: not beyond the bounds", len(b.hosts.rows), len(b.classes.rows))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
		cut := 1 + r.IntN(len(parts)-1)
		left, right := merged(parts[:cut]...), merged(parts[cut:]...)
		for _, got := range []*Baseline{merged(parts...), merged(left, right), merged(right, left)} {
			if !bytes.Equal(saved(t, got), want) {
				t.Fatalf("other bytes with the order and grouping cut at %d", cut)
			}
		}
	}
}

// TestMergeSaved: it does not matter either whether what is merged was saved in
// between, and those of the program are that large.
func TestMergeSaved(t *testing.T) {
	one, other := random(1, 0, 5000), random(2, 0, 5000)
	fromFiles := reread(t, saved(t, one))
	if err := errors.Join(fromFiles.Merge(reread(t, saved(t, other))), other.Merge(one)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved(t, fromFiles), saved(t, other)) {
		t.Error("other bytes")
	}
	if len(other.hosts.rows) != maxHosts || other.hosts.bound == 0 {
		t.Errorf("%d hosts: not beyond the bounds", len(other.hosts.rows))
	}
}

// TestMergeCounts: what is kept beyond the bounds is exact.
func TestMergeCounts(t *testing.T) {
	all, b := map[packet.Addr]uint64{}, limited(500)
	for i := range 4 {
		part := random(uint64(i), 500, 5000)
		// A sketch that drops nothing counts along.
		r := rand.New(rand.NewPCG(uint64(i), 9))
		for range 3000 {
			a := addr(fmt.Sprintf("10.7.%d.%d", r.IntN(64), r.IntN(256)))
			all[a]++
			if h := part.hosts.take(host(a)); h != nil {
				h.Scores[client][7]++
			}
		}
		part.hosts.prune()
		if err := b.Merge(part); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for k, r := range b.hosts.rows {
		if n := all[packet.Addr(k)]; n > 0 {
			seen++
			if got := r.value.Scores[client][7]; got != n {
				t.Errorf("%s: %d packets, want %d", k.id(), got, n)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d hosts compared", seen)
	}
}

func TestMergeOthers(t *testing.T) {
	b, other := random(1, 0, 10), New(Identity{Models: "2", Anomaly: "00ff", Features: "2"})
	before := saved(t, b)
	if err := b.Merge(other); err == nil || !strings.Contains(err.Error(), "cannot be merged") {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(saved(t, b), before) {
		t.Error("changed all the same")
	}
}

// TestSize: even one that is full to the brim is far below what is read.
func TestSize(t *testing.T) {
	b := random(3, 0, 12000)
	if n := len(saved(t, b)); n > 1<<20 {
		t.Errorf("%d bytes", n)
	}
}

// file makes a file of a document.
func file(text string) []byte {
	body := compress([]byte(text))
	hash := sha256.Sum256(body)
	return []byte(magic + "1" + hashed + hex.EncodeToString(hash[:]) + "\n" + string(body))
}

// small is a document with a row of everything.
func small() map[string]any {
	b := New(identity)
	b.totals = Totals{Captures: 1, Frames: 2, First: 1, Last: 2}
	a := addr("10.0.0.1")
	h := b.hosts.take(host(a))
	h.Scores[client][3] = 7
	h.Sent.at(5).count(3)
	*b.classes.take("dns") = 1
	s := detect.Service{Proto: packet.ProtoUDP, Port: 53}
	*b.services.take(Endpoint{a, s}) = 1
	*b.relations.take(Relation{"beacon", verdict.Beacon, detect.Party{Addr: a}, detect.Party{MAC: packet.MAC{2}}, s}) = Evidence{2, 1, 900}
	text, _ := json.Marshal(b.document())
	var d map[string]any
	_ = json.Unmarshal(text, &d)
	return d
}

// TestHostile: what cannot be is refused, with the place and the reason.
func TestHostile(t *testing.T) {
	rows := func(d map[string]any, table string) map[string]any {
		return d[table].(map[string]any)["rows"].([]any)[0].(map[string]any)
	}
	for _, tt := range []struct {
		name  string
		spoil func(d map[string]any)
		want  string
	}{
		{"nothing", func(map[string]any) {}, ""},
		{"unknown field", func(d map[string]any) { d["evil"] = 1 }, `unknown field "evil"`},
		{"negative count", func(d map[string]any) { d["frames"] = -1 }, "cannot unmarshal number -1"},
		{"no models", func(d map[string]any) { d["models"] = "" }, "no models"},
		{"no hash", func(d map[string]any) { d["anomaly"] = "xyz" }, `anomaly: "xyz" is not a hash`},
		{"time runs backwards", func(d map[string]any) { d["last"] = 0 }, "first packet at 1, last at 0"},
		{"more left out than there were", func(d map[string]any) { d["omitted"] = 3 }, "2 frames, of which 3 were left out"},
		{"host of a name", func(d map[string]any) { rows(d, "hosts")["address"] = "evil" }, `hosts, row 1: "evil" is not an address`},
		{"address in another form", func(d map[string]any) { rows(d, "hosts")["address"] = "::ffff:10.0.0.1" }, "is not an address"},
		{"address with a zone", func(d map[string]any) { rows(d, "hosts")["address"] = "fe80::1%eth0" }, "is not an address"},
		{"a step beyond the last", func(d map[string]any) { rows(d, "hosts")["client"] = [][2]int{{51, 1}} }, "hosts, row 1: client: step 51, 1 packets"},
		{"a step twice", func(d map[string]any) { rows(d, "hosts")["client"] = [][2]int{{3, 1}, {3, 1}} }, "client: step 3"},
		{"a step of nothing", func(d map[string]any) { rows(d, "hosts")["client"] = [][2]int{{3, 0}} }, "step 3, 0 packets"},
		{"hour 24", func(d map[string]any) { rows(d, "hosts")["sent"] = [][5]int{{24, 1, 1, 1, 1}} }, "sent: hour 24"},
		{"seconds without packets", func(d map[string]any) { rows(d, "hosts")["sent"] = [][5]int{{1, 9, 1, 1, 1}} }, "1 packets in 9 seconds"},
		{"more in a second than in all", func(d map[string]any) { rows(d, "hosts")["sent"] = [][5]int{{1, 1, 2, 4, 3}} }, "at most 3"},
		{"class without a name", func(d map[string]any) { rows(d, "classes")["class"] = "" }, "classes, row 1"},
		{"service in words", func(d map[string]any) { rows(d, "services")["service"] = "dns" }, `services, row 1: "dns" is not a service`},
		{"port beyond the last", func(d map[string]any) { rows(d, "services")["service"] = "udp/65536" }, "is not a service"},
		{"unknown type", func(d map[string]any) { rows(d, "relations")["type"] = "evil" }, `relations, row 1: type "evil"`},
		{"detector of two words", func(d map[string]any) { rows(d, "relations")["detector"] = "a b" }, `detector "a b"`},
		{"nobody's card", func(d map[string]any) { rows(d, "relations")["target"] = "00:00:00:00:00:00" }, "target: \"00:00:00:00:00:00\" is not an address"},
		{"nobody's address", func(d map[string]any) { rows(d, "relations")["target"] = "::" }, "target: \"::\" is nobody's"},
		{"an address with the digits of a card", func(d map[string]any) { rows(d, "relations")["target"] = "2001:db8:40::101" }, ""},
		{"too much evidence", func(d map[string]any) { rows(d, "relations")["most"] = 1e7 }, "at most 10000000 thousandths"},
		{"found never", func(d map[string]any) { rows(d, "relations")["episodes"] = 0 }, "0 episodes"},
		{"should have been dropped", func(d map[string]any) { d["hosts"].(map[string]any)["bound"] = 1 }, `"10.0.0.1" should have been dropped`},
		{"the same host twice", func(d map[string]any) {
			h := d["hosts"].(map[string]any)
			h["rows"] = append(h["rows"].([]any), h["rows"].([]any)[0])
		}, `hosts, row 2: "10.0.0.1" is not behind "10.0.0.1"`},
		{"more hosts than are kept", func(d map[string]any) {
			h := d["hosts"].(map[string]any)
			h["rows"] = make([]any, maxHosts+1)
		}, "hosts: 4097 rows, more than 4096"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := small()
			tt.spoil(d)
			text, _ := json.Marshal(d)
			_, err := Read(bytes.NewReader(file(string(text))))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestDamaged: so is what is no baseline, or was one.
func TestDamaged(t *testing.T) {
	good := saved(t, random(1, 0, 100))
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a baseline"},
		{"a capture", []byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00"), "not a baseline"},
		{"cut in the first line", good[:30], "first line: unexpected EOF"},
		{"cut behind", good[:len(good)-1], "damaged"},
		{"a bit flipped", flipped, "damaged"},
		{"another version", bytes.Replace(good, []byte("baseline 1"), []byte("baseline 2"), 1), `format "2", this program reads format 1: learn it again`},
		{"a first line without end", append([]byte(magic), bytes.Repeat([]byte("1"), 1000)...), "first line: longer than"},
		{"no compression", func() []byte {
			hash := sha256.Sum256([]byte("{}"))
			return []byte(magic + "1" + hashed + hex.EncodeToString(hash[:]) + "\n{}")
		}(), "decompress"},
		{"no JSON", file("{"), "unexpected EOF"},
		{"two documents", file("{} {}"), "something follows"},
		{"a bomb", file(strings.Repeat(" ", maxDocument+1)), "baseline: "},
		{"a file without end", append(bytes.Clone(good), make([]byte, maxFile)...), "larger than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(tt.file)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzDocument: reading never fails but with an error, and what was read is
// written the same.
func FuzzDocument(f *testing.F) {
	text, _ := json.Marshal(small())
	f.Add(string(text))
	text, _ = json.Marshal(random(5, 0, 20).document())
	f.Add(string(text))
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Read(bytes.NewReader(file(text)))
		if err != nil {
			return
		}
		once := saved(t, b)
		if !bytes.Equal(saved(t, reread(t, once)), once) {
			t.Error("other bytes when read again")
		}
		b.norms()
	})
}

// FuzzRead: so it is with the file around the document.
func FuzzRead(f *testing.F) {
	text, _ := json.Marshal(small())
	f.Add(file(string(text)))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, file []byte) {
		if b, err := Read(bytes.NewReader(file)); err == nil {
			saved(t, b)
		}
	})
}
