package rewrite_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
)

// Blocks as on the wire. The packets hold one byte, the score that scripted
// gives them, in percent: 0x5a is 90, 0x0a is 10.
const (
	sectionLE = "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000"
	netifLE   = "01000000 14000000 01000000 00000400 14000000"
	highLE    = "06000000 24000000 00000000 00000000 07000000 01000000 01000000 5a000000 24000000"
	lowLE     = "06000000 24000000 00000000 00000000 07000000 01000000 01000000 0a000000 24000000"
	oldLE     = "02000000 24000000 0000ffff 00000000 07000000 01000000 01000000 5a000000 24000000"
	simpleLE  = "03000000 14000000 01000000 5a000000 14000000"
	unknownLE = "ee000080 10000000 01020304 10000000"

	sectionBE = "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"
	netifBE   = "00000001 00000014 0001 0000 00040000 00000014"
	highBE    = "00000006 00000024 00000000 00000000 00000007 00000001 00000001 5a000000 00000024"
)

func unhex(rows ...string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(strings.Join(rows, "")), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// scripted is an engine to which the first byte of a frame is its score, and
// all else is the same.
type scripted struct {
	seen  uint64
	calls []int
}

func (s *scripted) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	s.calls = append(s.calls, len(frames))
	for _, f := range frames {
		s.seen++
		v := verdict.Verdict{Frame: s.seen, Time: f.Time, Class: "dns", Flow: 1}
		if len(f.Data) > 0 {
			v.Score = float64(f.Data[0]) / 100
		}
		v.Level = verdict.LevelOf(v.Score)
		if v.Level == verdict.Anomalous {
			v.Type, v.Reason = verdict.Beacon, "every 60 s"
		}
		out = append(out, v)
	}
	return out, nil
}

// The comments that scripted leads to.
const (
	highComment = "AI: beacon, score 0.90: every 60 s\nai/1 class=dns conf=0.00 score=0.900 verdict=anomalous type=beacon flow=1"
	lowComment  = "AI: dns, score 0.10\nai/1 class=dns conf=0.00 score=0.100 verdict=normal flow=1"
)

func scriptedConfig() rewrite.Config {
	return rewrite.Config{Engine: new(scripted), Threshold: 0.8, Provenance: provenance}
}

// content lists the blocks of a capture: type, section length, and options as
// code:value with |end where there is an opt_endofopt.
func content(t *testing.T, in []byte) []string {
	t.Helper()
	var list []string
	r := pcapng.NewReader(bytes.NewReader(in))
	for {
		b, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%x", b.Type)
		if b.Type == pcapng.TypeSection {
			line += fmt.Sprintf(" length=%d", b.SectionLength())
		}
		for options := b.Options(); ; {
			o, ok := options.Next()
			if !ok {
				break
			}
			line += fmt.Sprintf(" %d:%s", o.Code, o.Value)
		}
		list = append(list, line)
	}
}

// option makes an option in hexadecimal, little endian.
func option(code byte, value string) string {
	b := append([]byte{code, 0, byte(len(value)), byte(len(value) >> 8)}, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return hex.EncodeToString(b)
}

// high makes a packet of score 0.9 with options, little endian.
func high(options ...string) string {
	body := unhex(options...)
	total := hex.EncodeToString([]byte{byte(36 + len(body)), byte((36 + len(body)) >> 8), 0, 0})
	return "06000000" + total + highLE[18:len(highLE)-9] + hex.EncodeToString(body) + total
}

func TestAnnotate(t *testing.T) {
	section := "a0d0d0a length=-1 1:" + provenance.Comment()
	commented := " 1:" + highComment
	tests := []struct {
		name     string
		comments rewrite.Comments
		in       []byte
		want     []string
		counts   rewrite.Counts
	}{
		{"flagged", "", unhex(sectionLE, netifLE, highLE, lowLE),
			[]string{section, "1", "6" + commented, "6"},
			rewrite.Counts{Frames: 2, Flagged: 1, Commented: 1}},
		{"all", rewrite.CommentAll, unhex(sectionLE, netifLE, highLE, lowLE),
			[]string{section, "1", "6" + commented, "6 1:" + lowComment},
			rewrite.Counts{Frames: 2, Flagged: 1, Commented: 2}},
		{"none", rewrite.CommentNone, unhex(sectionLE, netifLE, highLE, lowLE),
			[]string{section, "1", "6", "6"},
			rewrite.Counts{Frames: 2, Flagged: 1}},
		{"packets of all kinds, and other blocks in between", "", unhex(sectionLE, netifLE, unknownLE, oldLE, unknownLE, simpleLE, highLE, unknownLE),
			[]string{section, "1", "800000ee", "2" + commented, "800000ee", "3", "6" + commented, "800000ee"},
			rewrite.Counts{Frames: 3, Flagged: 3, Commented: 2, Uncommentable: 1}},
		{"sections of both byte orders", "", unhex(sectionLE, netifLE, highLE, sectionBE, netifBE, highBE),
			[]string{section, "1", "6" + commented, section, "1", "6" + commented},
			rewrite.Counts{Frames: 2, Flagged: 2, Commented: 2}},
		{"comments of others", "", unhex(sectionLE, netifLE, high(option(1, "mine"), option(2, "\x01\x00\x00\x00"))),
			[]string{section, "1", "6 1:mine 2:\x01\x00\x00\x00" + commented},
			rewrite.Counts{Frames: 1, Flagged: 1, Commented: 1}},
		{"earlier comments of ours", "", unhex(sectionLE, netifLE, high(option(1, lowComment), option(1, "mine"), option(1, highComment), "00000000")),
			[]string{section, "1", "6 1:mine" + commented},
			rewrite.Counts{Frames: 1, Flagged: 1, Commented: 1, Removed: 2}},
		{"comments that look like ours", "", unhex(sectionLE, netifLE, high(
			option(1, "ai/1 score=0.9"), option(1, "AI: hello"), option(1, "he said:\n"+highComment), option(1, highComment+"\n"))),
			[]string{section, "1", "6 1:ai/1 score=0.9 1:AI: hello 1:he said:\n" + highComment + " 1:" + highComment + "\n" + commented},
			rewrite.Counts{Frames: 1, Flagged: 1, Commented: 1}},
		{"empty section", "", unhex(sectionLE), []string{section}, rewrite.Counts{}},
		{"pcap", "", unhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000", "00000000 07000000 01000000 01000000 5a"),
			[]string{section, "1 9:\x06", "6" + commented},
			rewrite.Counts{Frames: 1, Flagged: 1, Commented: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := scriptedConfig()
			cfg.Comments = tt.comments
			out, counts, err := annotate(t, tt.in, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.counts, counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, content(t, out)); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
			cfg.Engine = new(scripted)
			if again, _, _ := annotate(t, out, cfg); !bytes.Equal(again, out) {
				t.Error("annotating twice differs from once")
			}
		})
	}
}

// TestStrip shows what is left of captures that were not annotated by this run.
func TestStrip(t *testing.T) {
	tests := []struct {
		name     string
		in, want []byte
		removed  uint64
	}{
		{"nothing of ours", unhex(sectionLE, netifLE, high(option(1, "mine"), option(1, "ai/1 score=0.9"), "00000000"), simpleLE),
			unhex(sectionLE, netifLE, high(option(1, "mine"), option(1, "ai/1 score=0.9"), "00000000"), simpleLE), 0},
		{"two of ours among others", unhex(sectionLE, netifLE, high(option(1, lowComment), option(1, "mine"), option(1, highComment), "00000000")),
			unhex(sectionLE, netifLE, high(option(1, "mine"), "00000000")), 2},
		{"end of options was there before", unhex(sectionLE, netifLE, high(option(1, highComment+pcapng.EndMark), "00000000")),
			unhex(sectionLE, netifLE, high("00000000")), 1},
		{"end of options came with the comment", unhex(sectionLE, netifLE, high(option(1, highComment), "00000000")),
			unhex(sectionLE, netifLE, highLE), 1},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		counts, err := rewrite.Strip(context.Background(), bytes.NewReader(tt.in), &out)
		if err != nil || counts.Removed != tt.removed || counts.Frames == 0 {
			t.Errorf("%s: counts %+v, error %v", tt.name, counts, err)
		}
		if diff := cmp.Diff(tt.want, out.Bytes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestSectionLength makes sure that a section header does not lie after its
// section grew, and that stripping brings the original back.
func TestSectionLength(t *testing.T) {
	for _, in := range [][]byte{
		unhex("0a0d0d0a 1c000000 4d3c2b1a 01000000 3800000000000000 1c000000", netifLE, highLE),
		unhex("0a0d0d0a 1c000000 4d3c2b1a 01000000 0000000000000000 1c000000", netifLE, highLE),
		unhex("0a0d0d0a 0000001c 1a2b3c4d 0001 0000 7fffffffffffffff 0000001c", netifBE, highBE),
		unhex("0a0d0d0a 0000001c 1a2b3c4d 0001 0000 8000000000000000 0000001c", netifBE, highBE), // nonsense stays
	} {
		once, _, err := annotate(t, in, scriptedConfig())
		if err != nil {
			t.Fatal(err)
		}
		b, err := pcapng.NewReader(bytes.NewReader(once)).Next()
		if err != nil {
			t.Fatal(err)
		}
		if n := b.SectionLength(); n >= 0 {
			t.Errorf("section length %d after annotating", n)
		}
		if twice, _, _ := annotate(t, once, scriptedConfig()); !bytes.Equal(twice, once) {
			t.Error("annotating twice differs from once")
		}
		if diff := cmp.Diff(in, strip(t, once)); diff != "" {
			t.Errorf("stripped (-want +got):\n%s", diff)
		}
	}
}

// TestCutAnywhere cuts a capture at each offset: what is complete is annotated,
// and the error names the place.
func TestCutAnywhere(t *testing.T) {
	in := unhex(sectionLE, netifLE, highLE, unknownLE, oldLE, high(option(1, "mine")), simpleLE, sectionBE, netifBE, highBE)
	type end struct {
		offset int // behind the block
		out    int // bytes of the annotated capture up to there
	}
	whole, _, err := annotate(t, in, scriptedConfig())
	if err != nil {
		t.Fatal(err)
	}
	ends := []end{{0, 0}}
	original, annotated := pcapng.NewReader(bytes.NewReader(in)), pcapng.NewReader(bytes.NewReader(whole))
	for {
		x, err := original.Next()
		if err == io.EOF {
			break
		}
		y, err := annotated.Next()
		if err != nil {
			t.Fatal(err)
		}
		last := ends[len(ends)-1]
		ends = append(ends, end{last.offset + len(x.Raw), last.out + len(y.Raw)})
	}
	for n := range in {
		i := 0
		for ends[i+1].offset <= n {
			i++
		}
		got, _, err := annotate(t, in[:n], scriptedConfig())
		if !bytes.Equal(got, whole[:ends[i].out]) {
			t.Errorf("cut at %d: output of %d bytes, want %d", n, len(got), ends[i].out)
		}
		var broken *pcapng.Error
		switch {
		case n > 0 && n == ends[i].offset:
			if err != nil {
				t.Errorf("cut at %d, between blocks: %v", n, err)
			}
		case !errors.As(err, &broken) || !errors.Is(err, pcapng.ErrTruncated) ||
			broken.Block != uint64(i+1) || broken.Offset != int64(ends[i].offset):
			t.Errorf("cut at %d: error %v, want block %d at offset %d", n, err, i+1, ends[i].offset)
		}
	}
}

func TestVerdicts(t *testing.T) {
	in := unhex(sectionLE, netifLE, highLE, simpleLE, lowLE)
	var got []string
	cfg := scriptedConfig()
	cfg.OnVerdict = func(v *verdict.Verdict) error {
		got = append(got, fmt.Sprint(v.Frame, " ", v.Score))
		return nil
	}
	counts, err := rewrite.Annotate(context.Background(), bytes.NewReader(in), nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1 0.9", "2 0.9", "3 0.1"}, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if want := (rewrite.Counts{Frames: 3, Flagged: 2}); counts != want {
		t.Errorf("counts %+v, want %+v", counts, want)
	}
}

// TestQueue makes sure that the bounds of the queue hold.
func TestQueue(t *testing.T) {
	in := append(unhex(sectionLE, netifLE), bytes.Repeat(unhex(highLE, unknownLE), 10)...)
	tests := []struct {
		name                string
		maxFrames, maxBytes int
		want                []int
	}{
		{"everything at once", 0, 0, []int{10}},
		{"frames", 4, 0, []int{3, 4, 3}}, // and twice as many blocks
		{"bytes", 0, 100, []int{1, 2, 2, 2, 2, 1}},
		{"one by one", 1, 1, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	}
	for _, tt := range tests {
		cfg := scriptedConfig()
		engine := cfg.Engine.(*scripted)
		cfg.MaxFrames, cfg.MaxBytes = tt.maxFrames, tt.maxBytes
		if _, _, err := annotate(t, in, cfg); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, engine.calls); diff != "" {
			t.Errorf("%s: frames per call (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestPausingInput makes sure that what was read is written when the input
// pauses, as a live capture does. It would hang otherwise.
func TestPausingInput(t *testing.T) {
	input, feed := io.Pipe()
	output, sink := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := rewrite.Annotate(context.Background(), input, sink, scriptedConfig())
		sink.Close()
		done <- err
	}()
	r := pcapng.NewReader(output)
	for _, in := range []string{sectionLE + netifLE, highLE, lowLE + highLE, unknownLE} {
		go feed.Write(unhex(in))
		for n := len(unhex(in)); n > 0; {
			b, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			var edited []byte
			edited, _, err = b.AppendEdited(nil, func(c []byte) bool { return verdict.IsOurs(string(c)) }, nil)
			if errors.Is(err, pcapng.ErrNoOptions) {
				edited = b.Raw
			}
			n -= len(edited)
		}
	}
	feed.Close()
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("error %v behind the last block", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMaxBlock(t *testing.T) {
	in := unhex(sectionLE, netifLE, highLE, high(option(1, highComment), "00000000"))
	cfg := scriptedConfig()
	cfg.MaxBlock = 100
	out, counts, err := annotate(t, in, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if want := (rewrite.Counts{Frames: 2, Flagged: 2, Uncommentable: 2, Removed: 1}); counts != want {
		t.Errorf("counts %+v, want %+v", counts, want)
	}
	if !bytes.HasSuffix(out, unhex(netifLE, highLE, highLE)) {
		t.Errorf("blocks %q", content(t, out))
	}
}

type failing struct{ err error }

func (f failing) Process(_ []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	return out, f.err
}

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestAnnotateErrors(t *testing.T) {
	in := unhex(sectionLE, netifLE, highLE)
	cause := errors.New("no power")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	with := func(change func(*rewrite.Config)) rewrite.Config {
		cfg := scriptedConfig()
		change(&cfg)
		return cfg
	}
	tests := []struct {
		name  string
		ctx   context.Context
		w     io.Writer
		cfg   rewrite.Config
		want  string
		cause error
	}{
		{"engine", context.Background(), io.Discard, with(func(c *rewrite.Config) { c.Engine = failing{cause} }), "frames 1 to 1: no power", cause},
		{"engine skips frames", context.Background(), io.Discard, with(func(c *rewrite.Config) { c.Engine = failing{} }), "frames 1 to 1: engine gave 0 verdicts", nil},
		{"output", context.Background(), failing{cause}, scriptedConfig(), "write capture: no power", cause},
		{"verdict", context.Background(), io.Discard, with(func(c *rewrite.Config) {
			c.OnVerdict = func(*verdict.Verdict) error { return cause }
		}), "no power", cause},
		{"cancelled", cancelled, io.Discard, scriptedConfig(), "context canceled", context.Canceled},
	}
	for _, tt := range tests {
		_, err := rewrite.Annotate(tt.ctx, bytes.NewReader(in), tt.w, tt.cfg)
		if err == nil || err.Error() != tt.want || tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := rewrite.Strip(context.Background(), bytes.NewReader(in), failing{cause}); !errors.Is(err, cause) {
		t.Errorf("strip: error %v", err)
	}
	if _, err := rewrite.Strip(cancelled, bytes.NewReader(in), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("strip: error %v", err)
	}
	if _, err := rewrite.Strip(context.Background(), bytes.NewReader(in[:60]), io.Discard); !errors.Is(err, pcapng.ErrTruncated) {
		t.Errorf("strip of a cut file: error %v", err)
	}
}

func FuzzAnnotate(f *testing.F) {
	f.Add(unhex(sectionLE, netifLE, highLE, lowLE, oldLE, simpleLE, unknownLE))
	f.Add(unhex(sectionBE, netifBE, highBE))
	f.Add(unhex("0a0d0d0a 1c000000 4d3c2b1a 01000000 3800000000000000 1c000000", netifLE, high("00000000"), high(option(1, highComment), "00000000")))
	f.Add(unhex(sectionLE, netifLE, high(option(1, highComment+pcapng.EndMark), "00000000"), high(option(1, "mine"))))
	f.Add(unhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000", "00000000 07000000 01000000 01000000 5a"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 0 && (in[0] == 0x1f || in[0] == 0x28) {
			return // compressed input is worth too much time
		}
		checkCapture(t, "capture", in)
	})
}

func BenchmarkAnnotate(b *testing.B) {
	in := append(unhex(sectionLE, netifLE), bytes.Repeat(unhex(highLE, lowLE, lowLE, lowLE), 10_000)...)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rewrite.Annotate(context.Background(), bytes.NewReader(in), io.Discard, scriptedConfig()); err != nil {
			b.Fatal(err)
		}
	}
}
