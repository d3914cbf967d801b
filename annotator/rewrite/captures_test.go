package rewrite_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
)

// oracle is an engine that flags about one frame in three, whatever is in it,
// and keeps what it was shown.
type oracle struct {
	seen   uint64
	calls  int
	frames []packet.Frame // without data; only if keep is set
	keep   bool
}

func (o *oracle) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	o.calls++
	for i := range frames {
		o.seen++
		h := fnv.New32a()
		h.Write([]byte{byte(o.seen), byte(o.seen >> 8), byte(o.seen >> 16)})
		score := float64(h.Sum32()%1000) / 999
		v := verdict.Verdict{Frame: o.seen, Time: frames[i].Time, Class: "dns", Confidence: 0.5,
			Score: score, Level: verdict.LevelOf(score), Flow: uint32(o.seen)}
		if score > verdict.SuspiciousScore {
			v.Type, v.Reason = verdict.PortScan, strings.Repeat("x", int(o.seen%9))
		}
		out = append(out, v)
		if o.keep {
			f := frames[i]
			f.Data = nil
			o.frames = append(o.frames, f)
		}
	}
	return out, nil
}

var provenance = verdict.Provenance{Version: "1.0", Model: "2026-11", Classifier: "0123456789abcdef0",
	Anomaly: "fedcba98765432100", Threshold: 0.66, Comments: "flagged"}

func config() rewrite.Config {
	return rewrite.Config{Engine: new(oracle), Threshold: 0.66, Provenance: provenance}
}

// annotate returns the annotated capture; the error is that of the input.
func annotate(t *testing.T, in []byte, cfg rewrite.Config) ([]byte, rewrite.Counts, error) {
	t.Helper()
	var out bytes.Buffer
	counts, err := rewrite.Annotate(context.Background(), bytes.NewReader(in), &out, cfg)
	if err != nil && !errors.As(err, new(*pcapng.Error)) {
		t.Fatal(err)
	}
	return out.Bytes(), counts, err
}

func strip(t *testing.T, in []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := rewrite.Strip(context.Background(), bytes.NewReader(in), &out); err != nil && !errors.As(err, new(*pcapng.Error)) {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOwnCaptures(t *testing.T) { checkCaptures(t, capturetest.Own(t)) }

func TestLabelledCaptures(t *testing.T) {
	checkCaptures(t, capturetest.Files(t, capturetest.Labelled(t)))
}

func checkCaptures(t *testing.T, files []string) {
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkCapture(t, file, in)
	}
}

// TestSizes has blocks of all sizes: many that lie in one batch's memory, some that
// are as large as what is left of it, and some that have memory of their own.
func TestSizes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	in := unhex(sectionLE, netifLE)
	block := func(n int) {
		total := uint32(32 + (n+3)&^3)
		in = binary.LittleEndian.AppendUint32(in, pcapng.TypeEnhancedPacket)
		in = binary.LittleEndian.AppendUint32(in, total)
		in = append(in, unhex("00000000 00000000 07000000")...)
		in = binary.LittleEndian.AppendUint32(in, uint32(n))
		in = binary.LittleEndian.AppendUint32(in, uint32(n))
		data := make([]byte, (n+3)&^3)
		for i := range n {
			data[i] = byte(r.Uint32())
		}
		in = binary.LittleEndian.AppendUint32(append(in, data...), total)
	}
	for range 60 {
		for range r.IntN(1200) {
			block(1 + r.IntN(400))
		}
		block(64<<10 - 40 + r.IntN(16))
		block([...]int{9000, 60_000, 66_000, 520_000, 700_000}[r.IntN(5)])
	}
	checkCapture(t, "sizes", in)
	out, counts, _ := annotate(t, in, rewrite.Config{Engine: new(scripted), Comments: rewrite.CommentNone, Provenance: provenance})
	if !bytes.HasSuffix(out, in[len(unhex(sectionLE)):]) || counts.Frames < 10_000 {
		t.Errorf("%d frames, copied with changes", counts.Frames)
	}
	out, counts, _ = annotate(t, in, scriptedConfig()) // frames with a comment between others
	if !bytes.Equal(strip(t, out), in) || counts.Commented == 0 || counts.Commented == counts.Frames {
		t.Errorf("%d comments of %d frames do not come out again", counts.Commented, counts.Frames)
	}
}

// checkCapture makes sure that stripping undoes annotating, and that annotating
// twice is the same as once.
func checkCapture(t *testing.T, name string, in []byte) {
	t.Helper()
	once, counts, err := annotate(t, in, config())
	if counts.Flagged != counts.Commented+counts.Uncommentable {
		t.Errorf("%s: %d flagged, but %d commented and %d uncommentable",
			name, counts.Flagged, counts.Commented, counts.Uncommentable)
	}
	original := strip(t, in) // of a pcap: its conversion; of a broken file: what can be read
	if err == nil && bytes.HasPrefix(in, []byte("\n\r\r\n")) && !bytes.Contains(in, []byte("ai/1 ")) && !bytes.Equal(original, in) {
		t.Errorf("%s: copied with changes", name)
	}
	if got := strip(t, once); !bytes.Equal(got, original) {
		t.Errorf("%s: stripping does not undo annotating", name)
	}
	twice, again, _ := annotate(t, once, config())
	if !bytes.Equal(twice, once) {
		t.Errorf("%s: annotating twice differs from once", name)
	}
	if again.Removed < counts.Commented {
		t.Errorf("%s: %d comments replaced, want %d", name, again.Removed, counts.Commented)
	}
	if n := bytes.Count(once, []byte("ai/1 ")); uint64(n) < counts.Commented {
		t.Errorf("%s: %d comments in the output, want %d", name, n, counts.Commented)
	}
}
