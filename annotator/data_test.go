package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score"
	"ampulla/annotator/score/ort"
	"ampulla/annotator/verdict"
	"ampulla/models"
)

// testScorer returns the shipped models.
func testScorer(t testing.TB) score.Scorer {
	t.Helper()
	scorer, err := ort.Open(ort.Config{}, models.FS)
	if errors.As(err, new(*ort.LibraryError)) {
		t.Skip("no ONNX Runtime here (make deps installs it): ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return scorer
}

// rewritten returns a capture with its verdicts, and counts.
func rewritten(t testing.TB, scorer score.Scorer, in []byte) (out []byte, err error) {
	t.Helper()
	e, err := engine.New(engine.Default(), scorer)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	_, err = rewrite.Annotate(context.Background(), bytes.NewReader(in), &buf, rewrite.Config{
		Engine: e, Comments: rewrite.CommentFlagged, Threshold: verdict.AnomalousScore,
		Provenance: verdict.Provenance{Version: "test", Model: scorer.Manifest().Version, Comments: "flagged"},
	})
	return buf.Bytes(), err
}

// TestThereAndBack annotates real captures and strips them again: nothing
// fails, annotating twice changes nothing, and a pcapng file comes back bit for
// bit.
func TestThereAndBack(t *testing.T) {
	scorer := testScorer(t)
	files := append(capturetest.Own(t), capturetest.Files(t, capturetest.Labelled(t))...)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			in, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			annotated, err := rewritten(t, scorer, in)
			// Some labelled captures are broken; Wireshark must think so too, and
			// what comes before the break must still be right.
			broken := pcapng.IsBroken(err)
			if err != nil && (!broken || acceptedByWireshark(t, path)) {
				t.Fatal(err)
			}
			again, err := rewritten(t, scorer, annotated)
			if err != nil {
				t.Fatal("annotating twice: ", err)
			}
			if !bytes.Equal(again, annotated) {
				t.Error("annotating twice gives another file")
			}
			var stripped bytes.Buffer
			if _, err := rewrite.Strip(context.Background(), bytes.NewReader(annotated), &stripped); err != nil {
				t.Fatal(err)
			}
			isPcapng := bytes.HasPrefix(in, []byte{0x0a, 0x0d, 0x0d, 0x0a})
			if isPcapng && !bytes.HasPrefix(in, stripped.Bytes()) || isPcapng && !broken && stripped.Len() != len(in) {
				t.Error("stripping does not give the original back")
			}
		})
	}
}

// acceptedByWireshark tells whether capinfos reads a capture to its end.
func acceptedByWireshark(t *testing.T, path string) bool {
	t.Helper()
	if _, err := exec.LookPath("capinfos"); err != nil {
		t.Skip("no capinfos here")
	}
	return exec.Command("capinfos", "-c", path).Run() == nil
}

// TestOwnCaptures checks the verdicts on the project's own captures: each attack
// is flagged with the right type, and nothing else is.
func TestOwnCaptures(t *testing.T) {
	scorer := testScorer(t)
	results, err := eval.Run(context.Background(), "../testdata/captures", "../testdata/labels", runtime.GOMAXPROCS(0), judge(engine.Default(), scorer))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*eval.Result{}
	for i := range results {
		byName[results[i].Name] = &results[i]
	}
	for _, fields := range readTable(t, "../testdata/expect.tsv") {
		name, want := fields[0], fields[1]
		t.Run(name, func(t *testing.T) {
			checkOwn(t, byName[name], want)
		})
	}
}

// readTable reads tab-separated rows; lines starting with "#" are comments.
func readTable(t *testing.T, path string) [][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(strings.TrimRight(line, "\n"), "\t"))
		}
	}
	if len(rows) == 0 {
		t.Fatal(path, " is empty")
	}
	return rows
}

// TestOwnClasses checks the protocols that the classifier names in the
// project's own captures, on usual ports and odd ones: the last frame of each
// flow must carry the right class.
func TestOwnClasses(t *testing.T) {
	scorer := testScorer(t)
	verdicts := map[string][]string{} // classes by file and frame
	for _, row := range readTable(t, "../testdata/classes.tsv") {
		file, want := row[0], row[1]
		if verdicts[file] == nil {
			err := judge(engine.Default(), scorer)(context.Background(), filepath.Join("../testdata/captures", file), func(v *verdict.Verdict) error {
				verdicts[file] = append(verdicts[file], v.Class)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		last, err := strconv.Atoi(row[8])
		if err != nil || last > len(verdicts[file]) {
			t.Fatal("last frame ", row[8], " of ", file)
		}
		if got := verdicts[file][last-1]; got != want {
			t.Errorf("%s: flow %s %s:%s > %s:%s: %s, want %s", file, row[2], row[3], row[4], row[5], row[6], got, want)
		}
	}
}

func checkOwn(t *testing.T, r *eval.Result, want string) {
	t.Helper()
	if r == nil {
		t.Fatal("no such capture")
	}
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if r.Alarms > 0 {
		t.Errorf("%d alarms on benign frames, the first at frame %d: %v", r.Alarms, r.FirstAlarm, r.AlarmTypes)
	}
	var types []string
	for _, attack := range r.Names() {
		f := r.Attacks[attack]
		t.Logf("%s: %d of %d frames flagged, %d with the right type", attack, f.Flagged, f.Frames, f.Right)
		if f.Right == 0 {
			t.Errorf("%s: none of %d frames is flagged with the right type (%d otherwise)", attack, f.Frames, f.Flagged)
		}
		types = append(types, string(eval.ExpectedType(attack)))
	}
	if want == "benign" {
		want = ""
	}
	expected := strings.FieldsFunc(want, func(r rune) bool { return r == ',' })
	slices.Sort(types)
	slices.Sort(expected)
	if diff := cmp.Diff(expected, slices.Compact(types), cmpopts.EquateEmpty()); diff != "" {
		t.Error("types of the labelled attacks: ", diff)
	}
}

// TestCutAnywhere cuts a capture at every byte of its beginning, and at sampled
// bytes of the rest: what was read is annotated, the break is named.
func TestCutAnywhere(t *testing.T) {
	scorer := testScorer(t)
	in, err := os.ReadFile("../testdata/captures/demo.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	in = in[:min(len(in), 6000)]
	boundary := map[int]bool{}
	for r := pcapng.NewReader(bytes.NewReader(in)); ; {
		block, err := r.Next()
		if err != nil {
			break
		}
		boundary[int(block.Offset)+len(block.Raw)] = true
	}
	for n := 1; n < len(in); n += 7 {
		out, err := rewritten(t, scorer, in[:n])
		if (err == nil) != boundary[n] {
			t.Fatalf("cut at %d: error %v, block boundary %v", n, err, boundary[n])
		}
		var broken *pcapng.Error
		if err != nil && (!errors.As(err, &broken) || broken.Offset < 0 || int(broken.Offset) > n || broken.Block == 0) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		var stripped bytes.Buffer
		if len(out) == 0 {
			continue
		}
		if _, err := rewrite.Strip(context.Background(), bytes.NewReader(out), &stripped); err != nil {
			t.Fatalf("cut at %d: output: %v", n, err)
		}
		if !bytes.HasPrefix(in, stripped.Bytes()) || broken != nil && int64(stripped.Len()) != broken.Offset {
			t.Fatalf("cut at %d: %d bytes came back, %v", n, stripped.Len(), err)
		}
	}
}
