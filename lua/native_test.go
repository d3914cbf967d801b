package lua_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
	if dir, _ := built(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// programs returns the folder with ampulla and ampulla.so, and skips the test
// where the annotator cannot run.
func programs(t testing.TB) string {
	t.Helper()
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
	const idle = "24h" // a machine that was asleep must not end the test
	a.Cmd = exec.Command(filepath.Join(programs(t), "ampulla"), "serve", "--socket", a.socket, "--idle", idle)
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
var patient = []string{"-o", "ai.timeout:600000"}

// eachAsking runs a test with every tshark that can load the module and an
// annotator of its own.
func eachAsking(t *testing.T, test func(t *testing.T, s *shark, a annotator)) {
	eachShark(t, func(t *testing.T, s *shark) {
		a := startAnnotator(t)
		s.asking(t, a.socket)
		test(t, s, a)
	})
}

func own(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(filepath.Dir(capturetest.Own(t)[0]), name)
}
