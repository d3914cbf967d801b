//go:build cgo

package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"ampulla/annotator/packet"
)

// second is one in nanoseconds.
const second = 1_000_000_000

// bare returns a capture with a table that nobody fills but the test, whose
// first row has the position from.
func bare(t *testing.T, from uint64) *capture {
	t.Helper()
	c, err := newCapture(config{})
	if err != nil {
		t.Fatal(err)
	}
	c.known.Store(from - 1)
	c.judged.Store(from - 1)
	c.passed = from - 1
	return c
}

// sample returns a frame of so many bytes, as Wireshark shows it.
func sample(random *rand.Rand, length int) *shot {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	nanos := random.Int64()
	return &shot{caught: uint32(length) + random.Uint32N(3), data: data, nanos: nanos, time: inLua(nanos)}
}

// inLua returns a time as Wireshark hands it to Lua.
func inLua(nanos int64) float64 { return float64(nanos/second) + float64(nanos%second)/second }

// take adds a row for s, with a score.
func take(c *capture, s *shot, score uint16) {
	c.add(c.row(s))
	c.rate([]uint16{score})
}

// TestSameKey checks that Go and C take the same frames for the same.
func TestSameKey(t *testing.T) {
	c := bare(t, 1)
	random := rand.New(rand.NewPCG(1, 2))
	for length := range 601 {
		s := sample(random, length)
		s.look = true
		take(c, s, uint16(length))
		for i := range data(s) {
			s.data[i] ^= 1 << (i % 8)
			if got, ok := c.lookUp(s); ok {
				t.Fatalf("frame of %d bytes, another byte %d: %+v", length, i, got)
			}
			s.data[i] ^= 1 << (i % 8)
		}
		s.caught++
		if got, ok := c.lookUp(s); ok {
			t.Fatalf("frame of %d bytes, one more captured: %+v", length, got)
		}
		s.caught--
		if length > packet.SnapLen {
			s.data[packet.SnapLen]++ // nobody looks there
		}
		want := found{answer: judged, position: uint64(length) + 1, score: float64(length) / 1000}
		if got, ok := c.lookUp(s); !ok || got != want {
			t.Fatalf("frame of %d bytes: %+v, %v, want %+v", length, got, ok, want)
		}
	}
}

func data(s *shot) []byte { return s.data[:min(len(s.data), packet.SnapLen)] }

// TestLookUp has the shim look a frame up that is the first, unless said
// otherwise, of three alike.
func TestLookUp(t *testing.T) {
	const from = 10 // the position of the first
	unknown := func(c *capture) {
		c.known.Store(from - 1)
		c.judged.Store(from - 1)
	}
	for _, tt := range []struct {
		name   string
		change func(c *capture, s *shot)
		want   found // nothing for what has to be asked of Go
	}{
		{"shown for the first time", func(*capture, *shot) {}, found{answer: judged, position: from, score: 0.1}},
		{"nobody looks", func(_ *capture, s *shot) { s.look = false }, found{answer: nothing, position: from}},
		{"the next one", func(c *capture, _ *shot) { c.passed = from }, found{answer: judged, position: from + 1, score: 0.2}},
		{"behind the last one", func(c *capture, _ *shot) { c.passed = from + 2 }, found{}},
		{"not there yet", func(c *capture, _ *shot) { unknown(c) }, found{}},
		{"scored, but not there yet", func(c *capture, _ *shot) { c.known.Store(from - 1) }, found{}},
		{"not judged yet", func(c *capture, _ *shot) { c.judged.Store(from - 1) }, found{}},
		{"not judged yet, and nobody looks", func(c *capture, s *shot) { c.judged.Store(from - 1); s.look = false },
			found{answer: nothing, position: from}},
		{"has a comment", func(c *capture, _ *shot) { c.rows[from].noted = true }, found{}},
		{"other bytes", func(_ *capture, s *shot) { s.data[3]++ }, found{}},
		{"another length", func(_ *capture, s *shot) { s.caught++ }, found{}},
		{"the same microsecond", func(_ *capture, s *shot) { s.time += 1e-6 }, found{answer: judged, position: from, score: 0.1}},
		{"later", func(_ *capture, s *shot) { s.time += 3e-6 }, found{}},
		{"earlier", func(_ *capture, s *shot) { s.time -= 3e-6 }, found{}},
		{"no time", func(_ *capture, s *shot) { s.time = 0 }, found{answer: judged, position: from, score: 0.1}},
		{"again", func(c *capture, s *shot) { c.step(from+1, 7); s.visited = true }, found{answer: judged, position: from + 1, score: 0.2}},
		{"again, of a number that is not known", func(_ *capture, s *shot) { s.visited = true }, found{}},
		{"again, of a number beyond all", func(_ *capture, s *shot) { s.visited, s.number = true, math.MaxUint32 }, found{}},
		{"first pass kept to itself", func(c *capture, s *shot) { c.second = 1; s.visited, s.number = true, from }, found{answer: judged, position: from, score: 0.1}},
		{"first pass kept to itself, again", func(c *capture, s *shot) { c.second = 1; c.step(from, 7); s.visited = true },
			found{answer: judged, position: from, score: 0.1}},
		{"half of the table further", func(c *capture, _ *shot) { c.known.Add(maxRows/2 - 3) }, found{answer: judged, position: from, score: 0.1}},
		{"forgotten", func(c *capture, _ *shot) { c.known.Add(maxRows/2 - 2) }, found{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := bare(t, from)
			s := &shot{number: 7, time: 1.7e9, nanos: 17e8 * second, caught: 60, data: make([]byte, 60), look: true}
			for i := range 3 {
				take(c, s, uint16(100*(i+1)))
			}
			tt.change(c, s)
			passed := c.passed
			got, ok := c.lookUp(s)
			if ok != (tt.want != found{}) || ok && got != tt.want {
				t.Fatalf("%+v, %v, want %+v", got, ok, tt.want)
			}
			switch first := ok && (!s.visited || c.second != 0 && s.number > passed); {
			case first && (c.passed != tt.want.position || uint64(c.numbers[s.number]) != tt.want.position):
				t.Errorf("passed %d, number %d at %d, want %d", c.passed, s.number, c.numbers[s.number], tt.want.position)
			case !first && c.passed != passed:
				t.Errorf("passed %d, want %d", c.passed, passed)
			}
			// Go has to agree with what the shim says.
			r, known := c.at(got.position)
			if ok && (!known || r.key != c.row(s).key || !r.near(s)) {
				t.Errorf("the table has %+v, %v", r, known)
			}
		})
	}
}

// TestNear checks that no time that a capture can have is lost on its way
// through Lua, whichever side looks.
func TestNear(t *testing.T) {
	c := bare(t, 1)
	random := rand.New(rand.NewPCG(1, 2))
	times := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for range 10_000 {
		times = append(times, int64(random.Uint64()))
	}
	for _, nanos := range times {
		s := &shot{nanos: nanos, time: inLua(nanos)}
		take(c, s, 0)
		if r, _ := c.at(c.known.Load()); !r.near(s) {
			t.Errorf("%d ns: Go takes it for another time", nanos)
		}
		if _, ok := c.lookUp(s); !ok {
			t.Fatalf("%d ns: C takes it for another time", nanos)
		}
	}
	exact := &shot{nanos: 1700000000 * second, time: 1.7e9, exact: true}
	if (row{time: exact.nanos + 1}).near(exact) {
		t.Error("a nanosecond makes no difference to those who know")
	}
}

// TestWrap goes once round the table.
func TestWrap(t *testing.T) {
	c := bare(t, maxRows-100)
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		s := sample(random, 60)
		s.number = c.passed + 1
		take(c, s, uint16(c.passed%1001))
		s.look = true
		want := found{answer: judged, position: c.known.Load(), score: float64(c.passed%1001) / 1000}
		if got, ok := c.lookUp(s); !ok || got != want {
			t.Fatalf("%+v, %v, want %+v", got, ok, want)
		}
	}
	first, last := uint64(maxRows-100), uint64(maxRows+99)
	if n, ok := c.position(last); n != last || !ok {
		t.Errorf("frame %d is at %d, %v", last, n, ok)
	}
	if n, ok := c.position(7); n != 7 || ok {
		t.Errorf("frame 7, which was not shown, is at %d, %v", n, ok)
	}
	for n, want := range map[uint64]bool{0: false, first: true, last: true, last + 1: false, last - maxRows/2: false, last - maxRows/2 + 1: true} {
		if _, ok := c.at(n); ok != want {
			t.Errorf("row %d: %v, want %v", n, ok, want)
		}
	}
}

// TestConcurrent has rows and scores appended, by one goroutine each and once
// round the table, while the shim looks for one after the other. The race
// detector sees neither memory nor shim; the values tell.
func TestConcurrent(t *testing.T) {
	const from, count = maxRows - 20_000, 40_000
	c := bare(t, from)
	shots := make([]*shot, 997)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range shots {
		shots[i] = sample(random, i%100)
		shots[i].look = true
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		for n := range uint64(count) {
			c.add(c.row(shots[(from+n)%997]))
		}
	})
	all.Go(func() {
		for batch := range slices.Chunk(make([]uint16, count), 100) {
			n := c.judged.Load() + 1
			for i := range batch {
				batch[i] = uint16((n + uint64(i)) % 1001)
			}
			c.rate(batch)
		}
	})
	for n := uint64(from); n < from+count; {
		if got, ok := c.lookUp(shots[n%997]); ok {
			if want := (found{answer: judged, position: n, score: float64(n%1001) / 1000}); got != want {
				t.Fatalf("%+v, want %+v", got, want)
			}
			n++
		}
	}
}

// TestScoreFirst checks that a score stays which comes before its row: a verdict
// may be back before the sender of the frame has noted it.
func TestScoreFirst(t *testing.T) {
	c := bare(t, 1)
	s := sample(rand.New(rand.NewPCG(1, 2)), 60)
	s.look = true
	c.rate([]uint16{970})
	c.add(c.row(s))
	if got, ok := c.lookUp(s); !ok || got.score != 0.97 {
		t.Errorf("%+v, %v", got, ok)
	}
}

// TestPseudoHeader checks that a frame of a file has the key of what Wireshark
// shows of it.
func TestPseudoHeader(t *testing.T) {
	c := bare(t, 1)
	data := sample(rand.New(rand.NewPCG(1, 2)), 100).data
	for _, tt := range []struct {
		link    uint16
		length  int
		visible int
	}{
		{1, 100, 100}, {122, 100, 100}, {177, 100, 84}, {204, 100, 99}, {177, 10, 0}, {177, 0, 0},
	} {
		f := packet.Frame{LinkType: tt.link, Length: uint32(tt.length), Data: data[:tt.length]}
		got := c.rowOf(f, f.Length, f.Data)
		want := c.row(&shot{caught: uint32(tt.visible), data: data[tt.length-tt.visible : tt.length]})
		if got != want {
			t.Errorf("link type %d, %d bytes: %+v, want %+v", tt.link, tt.length, got, want)
		}
	}
}

func TestNumbersOfLua(t *testing.T) {
	for in, want := range map[float64]uint64{
		0: 0, 1: 1, 1.9: 1, math.MaxUint32: math.MaxUint32, math.MaxUint32 + 1: 0, -1: 0, math.Inf(1): 0, math.Inf(-1): 0,
	} {
		if got := whole(in); got != want {
			t.Errorf("%v: %d, want %d", in, got, want)
		}
	}
	if got := whole(math.NaN()); got != 0 {
		t.Errorf("NaN: %d", got)
	}
	for _, tt := range []struct {
		secs, nsecs float64
		want        int64
	}{
		{0, 0, 0}, {1, 5, second + 5}, {-1, 0, -second}, {1.7e9, 999_999_999, 17e8*second + 999_999_999},
		{9223372035, 999_999_999, 9223372035*second + 999_999_999},
		{9223372036, 0, math.MaxInt64}, {1e300, 0, math.MaxInt64}, {math.Inf(1), 0, math.MaxInt64},
		{-9223372036, 0, math.MinInt64}, {-1e300, 0, math.MinInt64},
	} {
		if got := nanoseconds(tt.secs, tt.nsecs); got != tt.want {
			t.Errorf("%v s %v ns: %d, want %d", tt.secs, tt.nsecs, got, tt.want)
		}
	}
}
