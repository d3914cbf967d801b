package rewrite_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
)

// What follows is for captures that are annotated while they are made.

// frames makes a capture of frames that scripted gives these scores, percent.
// Each frame says in its length on the wire which one it is, from 1.
func frames(scores ...byte) []byte {
	in := unhex(sectionLE, netifLE)
	for i, score := range scores {
		block := unhex(lowLE)
		block[24], block[28] = byte(i+1), score
		in = append(in, block...)
	}
	return in
}

// kept lists the frames of a capture as frames numbered them, and | for other
// blocks.
func kept(t *testing.T, capture []byte) string {
	t.Helper()
	var list []string
	for r := pcapng.NewReader(bytes.NewReader(capture)); ; {
		b, err := r.Next()
		if err == io.EOF {
			return strings.Join(list, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.IsFrame() {
			list = append(list, fmt.Sprint(b.Length))
		} else {
			list = append(list, "|")
		}
	}
}

func TestOnlyFlagged(t *testing.T) {
	const high, low = 90, 10
	scores := []byte{low, low, low, high, low, low, low, low, low, high, high, low}
	for _, tt := range []struct {
		name    string
		in      []byte
		context int
		want    string
	}{
		{"none around", frames(scores...), 0, "| | 4 10 11"},
		{"one around", frames(scores...), 1, "| | 3 4 5 9 10 11 12"},
		{"two around", frames(scores...), 2, "| | 2 3 4 5 6 8 9 10 11 12"},
		{"all around", frames(scores...), 100, "| | 1 2 3 4 5 6 7 8 9 10 11 12"},
		{"none flagged", frames(low, low), 1, "| |"},
		{"first", frames(high, low), 0, "| | 1"},
		{"next section", append(frames(low, low), frames(high)...), 5, "| | | | 1"},
	} {
		for _, batch := range []int{1, 3, 0} {
			cfg := scriptedConfig()
			cfg.OnlyFlagged, cfg.Context, cfg.MaxFrames = true, tt.context, batch
			out, counts, err := annotate(t, tt.in, cfg)
			if err != nil {
				t.Fatal(err)
			}
			got := kept(t, out)
			if got != tt.want {
				t.Errorf("%s, batches of %d: kept %s, want %s", tt.name, batch, got, tt.want)
			}
			if n := uint64(len(strings.Fields(strings.ReplaceAll(got, "|", "")))); counts.Frames-counts.Omitted != n {
				t.Errorf("%s: counts %+v, kept %d", tt.name, counts, n)
			}
		}
	}
}

// absent is an engine that judges only what scripted scores above 50 percent.
type absent struct{ scripted }

func (a *absent) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	out, err := a.scripted.Process(frames, out)
	for i := range out {
		if out[i].Score <= 0.5 {
			out[i] = verdict.Verdict{Frame: out[i].Frame, Time: out[i].Time, Score: 1}
		}
	}
	return out, err
}

// TestUnjudged checks that a frame without a verdict is passed on as it is.
func TestUnjudged(t *testing.T) {
	in := frames(90, 10, 60)
	cfg := scriptedConfig()
	cfg.Engine, cfg.Comments = new(absent), rewrite.CommentAll
	out, counts, err := annotate(t, in, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := (rewrite.Counts{Frames: 3, Unjudged: 1, Flagged: 1, Commented: 2}); counts != want {
		t.Errorf("counts %+v, want %+v", counts, want)
	}
	if !bytes.Contains(out, in[len(in)-72:len(in)-36]) { // the second frame
		t.Error("the frame without a verdict was changed")
	}
}

// TestDropped sums up what statistics blocks say was lost: those of an interface
// count from the beginning of its section.
func TestDropped(t *testing.T) {
	lost := func(netif, n byte) []byte {
		block := unhex("05000000 28000000 00000000 55060500 80969800 0500 0800 0000000000000000 00000000 28000000")
		block[8], block[24] = netif, n
		return block
	}
	section := func(blocks ...[]byte) []byte { return bytes.Join(append([][]byte{frames(10)}, blocks...), nil) }
	in := append(section(lost(0, 3), lost(1, 4), lost(0, 5), lost(0, 5)), section(lost(0, 2))...)
	far := lost(0, 9)
	copy(far[8:12], "\xff\xff\xff\xff") // an interface that is none
	cfg := scriptedConfig()
	out, counts, err := annotate(t, append(in, far...), cfg)
	if err != nil || counts.Dropped != 5+4+2 {
		t.Errorf("counts %+v, %v", counts, err)
	}
	if !bytes.Contains(out, lost(0, 5)) {
		t.Error("a statistics block was changed")
	}
}

// TestAdjust moves the threshold between two batches.
func TestAdjust(t *testing.T) {
	cfg := scriptedConfig()
	cfg.MaxFrames = 2
	batches := 0
	cfg.Adjust = func() float64 {
		batches++
		return []float64{0.8, 0.5, 0.5}[batches-1]
	}
	_, counts, err := annotate(t, frames(70, 90, 70, 90), cfg)
	if err != nil || counts.Flagged != 3 {
		t.Errorf("counts %+v, %v", counts, err)
	}
}

// TestStatistics asks for a statistics block behind each batch.
func TestStatistics(t *testing.T) {
	cfg := scriptedConfig()
	cfg.MaxFrames = 2
	var asked []string
	cfg.Statistics = func(c rewrite.Counts, end bool) string {
		asked = append(asked, fmt.Sprint(c.Frames, end))
		if c.Frames == 4 || end {
			return "so far"
		}
		return ""
	}
	out, _, err := annotate(t, frames(10, 90, 10, 10, 10), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := kept(t, out); got != "| | 1 2 3 4 | 5 |" {
		t.Errorf("blocks %s", got)
	}
	if got := strings.Join(asked, ", "); got != "2 false, 4 false, 5 false, 5 true" {
		t.Errorf("asked at %s", got)
	}
	if got := bytes.Count(out, unhex("0100 0600", "736f20666172")); got != 2 {
		t.Errorf("%d comments", got)
	}
	if _, err := rewrite.Annotate(context.Background(), bytes.NewReader(unhex(sectionLE)), io.Discard, cfg); err != nil {
		t.Errorf("a section without interfaces: %v", err)
	}
}
