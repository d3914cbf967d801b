package lua_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/grpc/socket"
)

// built has the annotator and the native module, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ampulla-lua")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "ampulla"), "../annotator"},
		{"build", "-buildmode=c-shared", "-o", filepath.Join(dir, "ampulla.so"), "./native"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return dir, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if asked() {
		if dir, _ := built(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// asked tells whether to test asking the annotator. install.sh does not install
// the module yet, and its tests take minutes.
func asked() bool { return capturetest.Full() || os.Getenv("AMPULLA_BENCH") != "" }

// programs returns the folder with ampulla and ampulla.so, and skips the test
// where the annotator cannot run.
func programs(t testing.TB) string {
	t.Helper()
	if !asked() {
		t.Skip("tests of the native module are run with AMPULLA_FULL=1")
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "ampulla"), "annotate", "--verdicts", "-", capturetest.Own(t)[0]).CombinedOutput()
	if err != nil {
		if bytes.Contains(out, []byte("ONNX Runtime")) {
			t.Skipf("no ONNX Runtime here (make deps installs it): %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// annotator is an annotator of the test's own.
type annotator struct {
	*exec.Cmd
	socket string
}

func startAnnotator(t testing.TB) annotator {
	t.Helper()
	a := annotator{socket: filepath.Join(t.TempDir(), "run", "a.sock")}
	a.Cmd = exec.Command(filepath.Join(programs(t), "ampulla"), "serve", "--socket", a.socket)
	a.Stderr = os.Stderr
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Process.Kill(); _ = a.Wait() })
	for range 1000 {
		if conn, err := socket.Dial(t.Context(), a.socket); err == nil {
			_ = conn.Close()
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the annotator does not answer")
	return a
}

// asking makes s ask at a socket, patiently: other tests may take all the
// processor's time.
func (s *shark) asking(t testing.TB, socket string) {
	t.Helper()
	s.env = []string{
		"AMPULLA_NATIVE=" + filepath.Join(programs(t), "ampulla.so"), "AMPULLA_SOCKET=" + socket, "AMPULLA_PROGRAM=-",
	}
}

// patient are options for tests that want verdicts, whatever else the machine
// does.
var patient = []string{"-o", "ai.timeout:60000"}

// eachAsking runs a test with every tshark that can load the module and an
// annotator of its own.
func eachAsking(t *testing.T, test func(t *testing.T, s *shark, a annotator)) {
	eachShark(t, func(t *testing.T, s *shark) {
		a := startAnnotator(t)
		s.asking(t, a.socket)
		test(t, s, a)
	})
}

// expected returns what annotate says about a capture, a line for each frame:
// number, class, confidence, score, verdict, type, reason, flow.
func expected(t testing.TB, path string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs(t), "ampulla"), "annotate", "--verdicts", "-", path)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err) // a truncated capture is judged as far as it goes
	}
	var b strings.Builder
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var v struct {
			Frame                        uint64
			Class, Verdict, Type, Reason string
			Confidence, Score            float64
			Flow                         uint32
		}
		if err := d.Decode(&v); err == io.EOF {
			return b.String()
		} else if err != nil {
			t.Fatal(err)
		}
		flow := ""
		if v.Flow != 0 {
			flow = strconv.Itoa(int(v.Flow))
		}
		fmt.Fprintf(&b, "%d|%s|%v|%v|%s|%s|%s|%s|\n", v.Frame, v.Class, v.Confidence, v.Score, v.Verdict, v.Type, v.Reason, flow)
	}
}

var verdictArgs = []string{
	"-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "ai.class", "-e", "ai.class.confidence",
	"-e", "ai.anomaly.score", "-e", "ai.anomaly.verdict", "-e", "ai.anomaly.type", "-e", "ai.anomaly.reason", "-e", "ai.flow",
	"-e", "ai.status",
}

// verdicts runs tshark with options and returns what it says about a capture,
// in the form of expected.
func (s *shark) verdicts(t testing.TB, path string, options ...string) string {
	t.Helper()
	args := append([]string{"-r", path}, patient...)
	out := s.try(t, append(append(args, options...), verdictArgs...)...)
	if exit := new(exec.ExitError); out.err != nil && !errors.As(out.err, &exit) {
		t.Fatal(out.err)
	}
	return out.stdout
}

// captures are ours, and labelled ones: a sample, or all of them.
func captures(t *testing.T) []string {
	list := capturetest.Own(t)
	t.Run("labelled", func(t *testing.T) {
		files := capturetest.Files(t, capturetest.Labelled(t))
		step := max(1, len(files)/25)
		if capturetest.Full() {
			step = 1
		}
		for i := 0; i < len(files); i += step {
			list = append(list, files[i])
		}
	})
	return list
}

// TestSameVerdicts holds tshark to what annotate says, frame by frame.
func TestSameVerdicts(t *testing.T) {
	list := captures(t)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		plain := s.env
		for i, path := range list {
			if s.version != "4.0" && i%4 != 0 && !capturetest.Full() {
				continue
			}
			if s.version != "4.0" { // the fetched ones see /tmp only
				path = copied(t, path)
			}
			want := expected(t, path)
			for _, mode := range []struct {
				name    string
				options []string
				env     []string
			}{
				{"one pass", nil, nil},
				{"two passes", []string{"-2"}, nil},
				{"two passes, filter that all pass", []string{"-2", "-R", "frame"}, nil},
				{"one pass, no read-ahead", nil, []string{"AMPULLA_READAHEAD=0"}},
				{"two passes, no read-ahead", []string{"-2"}, []string{"AMPULLA_READAHEAD=0"}},
			} {
				s.env = append(plain[:len(plain):len(plain)], mode.env...)
				if got := s.verdicts(t, path, mode.options...); got != want {
					t.Errorf("%s, %s: %s", path, mode.name, firstDifference(want, got))
				}
			}
		}
	})
}

// copied returns a copy of a file in a folder of the test.
func copied(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// firstDifference shows the first line that differs: all would be too many.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d: got %s, want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(g), len(w))
}

// TestRenumbered drops frames with a read filter, after which Wireshark numbers
// the rest anew.
func TestRenumbered(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		all := strings.Split(expected(t, path), "\n")
		kept := s.try(t, "-r", path, "-Y", "tcp.flags.syn == 1 && tcp.dstport > 1000", "-T", "fields", "-e", "frame.number")
		want := ""
		for i, number := range strings.Fields(kept.stdout) {
			n, _ := strconv.Atoi(number)
			_, rest, _ := strings.Cut(all[n-1], "|")
			want += fmt.Sprintf("%d|%s\n", i+1, rest)
		}
		plain := s.env
		for _, env := range []string{"A=", "AMPULLA_READAHEAD=0"} {
			s.env = append(plain[:len(plain):len(plain)], env)
			got := s.verdicts(t, path, "-2", "-R", "tcp.flags.syn == 1 && tcp.dstport > 1000")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", env, diff)
			}
		}
	})
}

func own(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(filepath.Dir(capturetest.Own(t)[0]), name)
}
