package server_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score/scoretest"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestHindsight: the annotated capture is what annotate writes in hindsight, of a
// file that is named and one that is sent, whole and cut off, and verdicts say
// which are.
func TestHindsight(t *testing.T) {
	client := serve(t, nil)
	whole := readFile(t, capturePath(t, "demo.pcapng"))
	for _, in := range [][]byte{whole, whole[:len(whole)/2]} {
		path := filepath.Join(t.TempDir(), "in.pcapng")
		if err := os.WriteFile(path, in, 0o600); err != nil {
			t.Fatal(err)
		}
		want := inHindsight(t, in)
		for _, tt := range []struct {
			options *annotatorv1.AnalyzeOptions
			sent    []byte
		}{
			{&annotatorv1.AnalyzeOptions{Path: path}, nil},
			{&annotatorv1.AnalyzeOptions{Size: uint64(len(in))}, slices.Concat(in, in)},
		} {
			tt.options.Hindsight, tt.options.Output = true, filepath.Join(t.TempDir(), "out.pcapng")
			got, err := analyze(t, client, tt.options, tt.sent)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(readFile(t, got.summary.GetOutput()), want) {
				t.Errorf("%d bytes, sent %v: the output is not what annotate writes", len(in), tt.sent != nil)
			}
			if !slices.ContainsFunc(got.verdicts, func(v *annotatorv1.Verdict) bool { return v.GetHindsight() }) {
				t.Error("no verdict is said to be in hindsight")
			}
			last := got.progress[len(got.progress)-1]
			if last.GetBytesTotal() != 2*uint64(len(in)) || last.GetBytesRead() > last.GetBytesTotal() {
				t.Errorf("progress %v of %d bytes, read twice", last, len(in))
			}
		}
	}
	if _, err := analyze(t, client, &annotatorv1.AnalyzeOptions{Hindsight: true}, whole); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a size: %v", err)
	}
	if _, err := analyze(t, client, &annotatorv1.AnalyzeOptions{Hindsight: true, Size: 5}, []byte("no capture")); status.Code(err) != codes.InvalidArgument {
		t.Errorf("of no capture: %v", err)
	}
}

// inHindsight annotates a capture as the pipeline itself does.
func inHindsight(t *testing.T, in []byte) []byte {
	t.Helper()
	cfg := engine.Default()
	cfg.Hindsight = true
	first, err := engine.New(cfg, scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := rewrite.Hindsight(t.Context(), bytes.NewReader(in), first, rewrite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	provenance := scoretest.Hash{}.Manifest().Provenance("test", 0.8, string(rewrite.CommentFlagged))
	provenance.Hindsight = true
	var out bytes.Buffer
	if _, err := rewrite.Annotate(t.Context(), bytes.NewReader(in), &out, rewrite.Config{
		Engine: second, Threshold: 0.8, Comments: rewrite.CommentFlagged, Provenance: provenance}); err != nil {
		t.Log(err)
	}
	return out.Bytes()
}
