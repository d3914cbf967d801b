//go:build cgo

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
)

// all keeps every frame.
func all(int) bool { return true }

// TestSameVerdicts dissects a capture as Wireshark and tshark do, in all ways
// and from all kinds of sources, and compares with the engine itself.
func TestSameVerdicts(t *testing.T) {
	whole := own(t, "port_scan_syn.pcapng")
	server := start(t, socketPath(t))
	sources := []struct {
		name  string
		file  []byte // nil for none
		shown int    // frames, 0 for all
	}{
		{"file", whole, 0},
		{"no file", nil, 0},
		{"file that grows", whole[:len(whole)/2], 0},
		{"file of which half is read", whole, 400},
		{"truncated file", whole[:len(whole)/3], len(framesOf(t, whole[:len(whole)/3]))},
	}
	ways := []struct {
		name string
		see  func(w *wireshark, frames []*frame, want []verdict.Verdict)
	}{
		{"one pass", onePass},
		{"two passes", func(w *wireshark, frames []*frame, want []verdict.Verdict) {
			onePass(w, frames, want)
			before := w.quick
			again(w, frames, want)
			if w.quick-before != len(frames) {
				w.Errorf("the shim answered for %d frames of %d that had been judged", w.quick-before, len(frames))
			}
		}},
		{"nobody looks, then somebody does", func(w *wireshark, frames []*frame, want []verdict.Verdict) {
			w.load(frames, false, all)
			again(w, frames, want)
		}},
		{"nobody looks in the window, then somebody does", func(w *wireshark, frames []*frame, want []verdict.Verdict) {
			w.eager = true
			w.load(frames, false, all)
			again(w, frames, want)
		}},
		{"somebody begins to look in the middle", func(w *wireshark, frames []*frame, want []verdict.Verdict) {
			for i, f := range frames {
				if f.number = uint64(i + 1); i < len(frames)/2 {
					w.show(f, f.number, false, false)
				} else {
					w.check(f, false, want[i])
				}
			}
			again(w, frames, want)
		}},
		{"in any order", func(w *wireshark, frames []*frame, want []verdict.Verdict) {
			w.load(frames, false, all)
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(frames)) {
				w.check(frames[i], true, want[i])
			}
		}},
		{"first pass skipped", func(w *wireshark, frames []*frame, want []verdict.Verdict) {
			for i, f := range frames {
				f.number = uint64(i + 1)
				w.check(f, true, want[i])
			}
			again(w, frames, want)
		}},
		{"read filter", filtered(some, true)},
		{"read filter, and nobody looks in the first pass", filtered(some, false)},
	}
	for _, source := range sources {
		for _, way := range ways {
			t.Run(source.name+"/"+way.name, func(t *testing.T) {
				frames := framesOf(t, whole)
				if source.shown > 0 {
					frames = frames[:source.shown]
				}
				w := newWireshark(t, asking(server.path))
				if source.file != nil {
					path := open(t, source.file).Name()
					if n := len(framesOf(t, source.file)); n < len(frames) {
						w.behind = frames[n]
						w.grow = func() { appendTo(t, path, whole[len(source.file):]) }
					}
				}
				way.see(w, frames, expected(t, frames))
				if (w.file != nil) != (source.file != nil) || w.left {
					t.Errorf("file %v, left %v", w.file, w.left)
				}
			})
		}
	}
}

func appendTo(t *testing.T, path string, data []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
}

func onePass(w *wireshark, frames []*frame, want []verdict.Verdict) {
	for i, f := range frames {
		f.number = uint64(i + 1)
		w.check(f, false, want[i])
	}
}

func again(w *wireshark, frames []*frame, want []verdict.Verdict) {
	for i, f := range frames {
		w.check(f, true, want[i])
	}
}

// some keeps some frames here, most there.
func some(i int) bool { return i%3 == 1 || i > 300 && i < 600 && i%100 != 0 }

// filtered is a second pass with what a read filter kept in the first one.
func filtered(keep func(i int) bool, look bool) func(*wireshark, []*frame, []verdict.Verdict) {
	return func(w *wireshark, frames []*frame, want []verdict.Verdict) {
		w.load(frames, look, keep)
		number := uint64(0)
		for i, f := range frames {
			if keep(i) {
				number++
				f.number = number
				w.check(f, true, want[i])
			}
		}
	}
}

// TestKept never shows some frames of the file, more of them on end than are
// read ahead.
func TestKept(t *testing.T) {
	file := own(t, "demo.pcapng")
	open(t, file)
	frames := framesOf(t, file)
	want := expected(t, frames)
	w := newWireshark(t, asking(start(t, socketPath(t)).path))
	number := uint64(0)
	for i, f := range frames {
		if i < 10 || i > 1000 && i%3 > 0 || i > 3000 {
			number++
			f.number = number
			w.check(f, false, want[i])
		}
	}
	for i, f := range frames {
		if f.number > 0 {
			w.check(f, true, want[i])
		}
	}
	if w.left {
		t.Error("the capture does not go by the file any more")
	}
}

// TestEdited shows frames that are not those of the file from some place on, or
// in some places: the annotator has to get what is shown.
func TestEdited(t *testing.T) {
	server := start(t, socketPath(t))
	file := own(t, "port_scan_syn.pcapng")
	for _, tt := range []struct {
		name string
		edit func(i int) bool
	}{
		{"one", func(i int) bool { return i == 500 }},
		{"all but the first", func(i int) bool { return i > 0 }},
		{"here and there", func(i int) bool { return i%100 == 99 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open(t, file)
			frames := framesOf(t, file)
			for i, f := range frames {
				if tt.edit(i) {
					f.Data[5] ^= 0xff // in an address
				}
			}
			want := expected(t, frames)
			w := newWireshark(t, asking(server.path))
			onePass(w, frames, want)
			again(w, frames, want)
			if !w.left {
				t.Error("the capture still goes by the file")
			}
		})
	}
}

// TestShifted looks again at frames whose times were shifted.
func TestShifted(t *testing.T) {
	file := own(t, "benign_dns.pcapng")
	open(t, file)
	frames := framesOf(t, file)
	want := expected(t, frames)
	w := newWireshark(t, asking(start(t, socketPath(t)).path))
	onePass(w, frames, want)
	for _, f := range frames {
		f.Time += second
	}
	again(w, frames, want)
}

// TestNoTime has frames without a time stamp, which Wireshark shows as time 0.
func TestNoTime(t *testing.T) {
	server := start(t, socketPath(t))
	file := header()
	for i, f := range framesOf(t, own(t, "port_scan_syn.pcapng")) {
		if i%3 == 0 {
			file = append(file, enhanced(f)...)
		} else {
			file = append(file, simple(f)...)
		}
	}
	frames := framesOf(t, file)
	want := expected(t, frames)
	for i, f := range frames {
		if i%3 != 0 {
			f.Time = 0
		}
	}
	for _, ahead := range []uint64{256, 0} {
		t.Run(fmt.Sprintf("%d ahead", ahead), func(t *testing.T) {
			open(t, file)
			cfg := asking(server.path)
			cfg.ahead = ahead
			w := newWireshark(t, cfg)
			onePass(w, frames, want)
			again(w, frames, want)
		})
	}
}

// TestAlike has a read filter keep frames that are all alike and have no time
// stamp, while nobody looks: only their order tells them apart.
func TestAlike(t *testing.T) {
	different := framesOf(t, own(t, "port_scan_syn.pcapng"))[:4]
	file := header()
	for i := range 800 {
		file = append(file, simple(different[i%4])...)
	}
	frames := framesOf(t, file)
	want := expected(t, frames)
	open(t, file)
	w := newWireshark(t, asking(start(t, socketPath(t)).path))
	filtered(func(i int) bool { return i%4 == 0 }, false)(w, frames, want)
}

// TestNotes has verdicts in comments.
func TestNotes(t *testing.T) {
	const ours = "AI: dns, score 0.10\nai/1 class=dns score=0.100"
	server := start(t, socketPath(t))
	frames := framesOf(t, own(t, "benign_dns.pcapng"))
	comments := map[int][]string{
		0:  {ours},
		7:  {"first", ours, "last"},
		8:  {"ai/1 class=old score=1", ours},
		9:  {"somebody else's"},
		10: {ours + strings.Repeat(" ", maxNote)},
		50: {ours + strings.Repeat(" ", maxNote-len(ours))},
	}
	file := header()
	for i, f := range frames {
		file = append(file, enhanced(f, comments[i]...)...)
	}
	frames = framesOf(t, file)
	want := expected(t, frames)
	open(t, file)
	for _, notes := range []bool{true, false} {
		t.Run(fmt.Sprint(notes), func(t *testing.T) {
			cfg := asking(server.path)
			cfg.notes = notes
			w := newWireshark(t, cfg)
			for _, visited := range []bool{false, true} {
				for i, f := range frames {
					f.number = uint64(i + 1)
					if note := comments[i]; !notes || note == nil || i == 9 || i == 10 {
						w.check(f, visited, want[i])
					} else if got := w.show(f, f.number, visited, true); got.answer != noted || !strings.HasPrefix(got.note, ours) {
						t.Errorf("frame %d: %+v", i+1, got)
					}
				}
			}
		})
	}
}

// TestOtherFile has files open that do not begin with the frame that is shown.
func TestOtherFile(t *testing.T) {
	file := own(t, "benign_dns.pcapng")
	frames := framesOf(t, file)
	edited := framesOf(t, file)[0]
	edited.Data[5] ^= 0xff
	for name, other := range map[string][]byte{
		"other bytes":     append(header(), enhanced(edited)...),
		"another capture": own(t, "port_scan_syn.pcapng"), "no capture": []byte("x"), "no frame": header(), "truncated": file[:10],
	} {
		t.Run(name, func(t *testing.T) {
			open(t, other)
			w := newWireshark(t, asking(start(t, socketPath(t)).path))
			onePass(w, frames, expected(t, frames))
			if w.file != nil {
				t.Errorf("took %s for the capture", w.file.Name())
			}
		})
	}
	t.Run("being written", func(t *testing.T) {
		in := open(t, nil)
		path := in.Name()
		out, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if _, err := out.Write(file); err != nil {
			t.Fatal(err)
		}
		c := bare(t, 1)
		f := frames[0]
		s := &shot{time: inLua(f.Time), caught: f.caught, data: f.Data}
		if got := findFile(s, c.table); got == nil {
			t.Error("open for reading as well, but not found")
		} else {
			_ = got.Close()
		}
		_ = in.Close()
		if got := findFile(s, c.table); got != nil {
			t.Error("open for writing only, and found")
		}
	})
}

// TestLost loses the annotator in the middle of a capture, and gets another one.
func TestLost(t *testing.T) {
	file := own(t, "demo.pcapng")
	frames := framesOf(t, file)
	want := expected(t, frames)
	path := socketPath(t)
	for _, tt := range []struct {
		name    string
		present []byte
		back    bool // the capture gets its verdicts back
	}{
		{"file", file, true},
		{"no file", nil, false},
		{"file that is not what is shown", file, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.present != nil {
				open(t, tt.present)
			}
			cfg := asking(path)
			cfg.retry = time.Nanosecond
			frames, want := framesOf(t, file), want
			if !tt.back && tt.present != nil {
				frames[5].Data[5] ^= 0xff
				want = expected(t, frames)
			}
			w := newWireshark(t, cfg)
			first := start(t, path)
			onePass(w, frames[:1000], want)
			first.end()
			until(t, "session", w.session)
			w.slow = true
			again(w, frames[:1000], want) // what is there stays
			w.slow = false
			lost := frames[1000:1500]
			for i, f := range lost {
				f.number = uint64(1001 + i)
				if got := w.show(f, f.number, false, true); got.answer == judged {
					// Its verdict had come before.
					if got.score != want[1000+i].Score {
						t.Errorf("frame %d: %+v", f.number, got)
					}
				} else if got.answer != wrong || inWords(got.err) == "" {
					t.Fatalf("frame %d: %+v", f.number, got)
				}
			}
			again(w, frames[:1000], want) // and does when another one was looked for in vain
			start(t, path)
			for i, f := range frames[1500:] {
				f.number = uint64(1501 + i)
				if tt.back {
					w.check(f, false, want[1500+i])
				} else if got := w.show(f, f.number, false, true); got.answer != wrong || got.err == nil {
					t.Fatalf("frame %d: %+v", f.number, got)
				}
			}
			if tt.back {
				again(w, frames, want)
			} else {
				again(w, frames[:1000], want)
			}
		})
	}
}

// TestLostAndFiltered loses the annotator where positions are not what the
// numbers say. What incidents began with before keeps its number.
func TestLostAndFiltered(t *testing.T) {
	file := own(t, "demo.pcapng")
	open(t, file)
	frames := framesOf(t, file)
	want := expected(t, frames)
	cfg := asking(socketPath(t))
	cfg.retry = time.Nanosecond
	path := strings.TrimPrefix(cfg.dial.Address, "unix:")
	w := newWireshark(t, cfg)
	server := start(t, path)
	w.load(frames, false, some)
	numbers := map[uint64]uint64{} // by position
	later := 0                     // frames of incidents that began before the annotator was lost
	const end = 1000
	for i, f := range frames {
		if some(i) {
			f.number = uint64(len(numbers) + 1)
			numbers[uint64(i+1)] = f.number
			w.check(f, true, want[i])
			first := want[i].IncidentFirst
			if v, _ := w.verdict(uint64(i + 1)); v.IncidentFirst != numbers[first] {
				t.Fatalf("number %d: the incident begins with %d, want %d", f.number, v.IncidentFirst, numbers[first])
			}
			if i > end && first <= end && numbers[first] > 0 {
				later++
			}
		}
		if i == end {
			server.end()
			until(t, "session", w.session)
			start(t, path)
		}
	}
	if later == 0 {
		t.Error("no incident goes on")
	}
}

// session returns why the annotator does not count as lost.
func (w *wireshark) session() string {
	if !w.feed.failed() {
		return "is there still"
	}
	return ""
}

// TestBadAnnotators asks every kind of bad annotator: the dissection goes on, and
// every frame says what is wrong.
func TestBadAnnotators(t *testing.T) {
	file := own(t, "benign_dns.pcapng")
	frames := framesOf(t, file)
	for _, peer := range grpctest.Peers() {
		for _, ahead := range []uint64{256, 0} {
			t.Run(fmt.Sprintf("%s/%d ahead", peer.Name, ahead), func(t *testing.T) {
				open(t, file)
				cfg := asking(peer.Start(t))
				cfg.ahead, cfg.retry = ahead, patient
				if strings.Contains(client.ErrTimeout.Error(), peer.Says) {
					cfg.patience = 50 * time.Millisecond
				}
				w := newWireshark(t, cfg)
				for _, visited := range []bool{false, true} {
					for i, f := range frames {
						got := w.show(f, uint64(i+1), visited, true)
						if got.answer != wrong || !strings.Contains(inWords(got.err), peer.Says) {
							t.Fatalf("frame %d: %+v, want %s", i+1, got, peer.Says)
						}
					}
				}
				if w.wait.Over() != (cfg.patience != patient) {
					t.Errorf("patience over: %v", w.wait.Over())
				}
			})
		}
	}
}

// TestNobody has no annotator at all.
func TestNobody(t *testing.T) {
	file := own(t, "benign_dns.pcapng")
	open(t, file)
	w := newWireshark(t, asking(socketPath(t)))
	for i, f := range framesOf(t, file) {
		if got := w.show(f, uint64(i+1), false, true); got.answer != wrong || !strings.Contains(inWords(got.err), "no such file") {
			t.Fatalf("frame %d: %+v", i+1, got)
		}
	}
}
