//go:build cgo

package main

import (
	"slices"
	"testing"
	"time"
)

// FuzzShown shows frames of a capture in any order, with any numbers, some of
// them changed, the first time or again, with somebody looking or not: a verdict
// is always one of a frame that looks like the one that is shown.
func FuzzShown(f *testing.F) {
	const again, look, bent, late = 1, 2, 4, 8
	file := own(f, "benign_dns.pcapng")
	path := socketPath(f)
	start(f, path)
	f.Add([]byte{0, look, 1, 0, 1, look, 2, 0, 2, look, 3, 0}, true)
	f.Add([]byte{0, 0, 1, 0, 1, 0, 2, 0, 1, again | look, 2, 0, 0, again | look, 1, 0}, true)
	f.Add([]byte{0, look, 1, 0, 1, look | bent, 2, 9, 3, look | late, 3, 7, 1, again | look, 2, 0}, true)
	f.Add([]byte{0, again | look, 1, 0, 1, again | look, 1, 0, 2, again | look, 200, 0}, false)
	f.Fuzz(func(t *testing.T, steps []byte, readAhead bool) {
		open(t, file)
		frames := framesOf(t, file)
		cfg := asking(path)
		if !readAhead {
			cfg.ahead = 0
		}
		w := newWireshark(t, cfg)
		for step := range slices.Chunk(steps[:min(len(steps), 800)], 4) {
			if len(step) < 4 {
				return
			}
			shown, how, number, change := *frames[int(step[0])%len(frames)], step[1], uint64(step[2]), step[3]
			if how&bent != 0 {
				shown.Data = slices.Clone(shown.Data)
				shown.Data[int(change)%len(shown.Data)] ^= 1
			}
			if how&late != 0 {
				shown.Time += int64(change) * int64(time.Millisecond)
			}
			got := w.show(&shown, number, how&again != 0, how&look != 0)
			if got.answer != judged {
				continue
			}
			r, ok := w.at(got.position)
			if want := w.keyOf(shown.caught, shown.Data); ok && r.key != want {
				t.Fatalf("%v: the verdict is that of another frame, position %d", step, got.position)
			}
			if v, _ := w.verdict(got.position); v.Score != got.score {
				t.Fatalf("%v: score %v, and %v in the verdict", step, got.score, v.Score)
			}
		}
	})
}
