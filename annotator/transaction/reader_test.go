package transaction_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ampulla/annotator/pcapng"
	"ampulla/annotator/transaction"
)

// read passes a whole capture through a Reader.
func read(t *testing.T, capture, keys string, cfg transaction.Config) error {
	t.Helper()
	file, err := os.Open(capture)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := transaction.Start(t.Context(), keys, cfg)
	if err != nil {
		t.Fatal(err)
	}
	blocks := pcapng.NewReader(file)
	for frame := uint64(0); ; {
		b, err := blocks.Next()
		if err != nil {
			break
		}
		if b.IsFrame() {
			frame++
		}
		r.Block(b, frame, "dns", false)
	}
	return r.Close()
}

func needTshark(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark")
	}
}

// answer is what the log of the shop says of a request.
type answer struct {
	Method, Path string
	Status       int
	Seconds      float64
}

// TestReader holds the exchanges of each capture in testdata/shop to the log of
// the server: the same requests with the same answers, and nearly the same
// times.
func TestReader(t *testing.T) {
	needTshark(t)
	captures, err := filepath.Glob("../../testdata/shop/*.pcapng.zst")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, capture := range captures {
		base := strings.TrimSuffix(capture, ".pcapng.zst")
		t.Run(filepath.Base(base), func(t *testing.T) { holdToLog(t, base) })
	}
	for _, dir := range otherReleases(t) {
		t.Run("Wireshark "+filepath.Base(dir), func(t *testing.T) {
			t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
			t.Setenv("AMPULLA_UID", strconv.Itoa(os.Getuid()))
			holdToLog(t, "../../testdata/shop/timeout_http2")
		})
	}
}

// otherReleases returns the folders of the Wiresharks that lua/wireshark.sh
// unpacked.
func otherReleases(t *testing.T) []string {
	t.Helper()
	cache := os.Getenv("AMPULLA_WIRESHARKS")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil
		}
		cache = filepath.Join(dir, "ampulla-wireshark")
	}
	programs, _ := filepath.Glob(filepath.Join(cache, "*", "tshark"))
	var dirs []string
	for _, program := range programs {
		dirs = append(dirs, filepath.Dir(program))
	}
	return dirs
}

func holdToLog(t *testing.T, base string) {
	t.Helper()
	keys := ""
	if _, err := os.Stat(base + ".keys"); err == nil {
		keys = base + ".keys"
	}
	logged := answers(t, base+".nginx.jsonl")
	cfg := transaction.Default()
	cfg.OnExchange = func(x *transaction.Exchange) {
		if x.Server.Addr().String() != "10.77.1.1" {
			return // the application, who asks the payment service
		}
		if !logged.take(x) {
			t.Errorf("not in the log: %s %s %d, %d ns, frames %v", x.Method, x.Path, x.Status, x.Took(), x.Frames())
		}
	}
	if err := read(t, base+".pcapng.zst", keys, cfg); err != nil {
		t.Fatal(err)
	}
	for key, left := range logged {
		if len(left) > 0 {
			t.Errorf("only in the log: %s %v", key, left)
		}
	}
}

// log has the times of answers, in seconds, by method, path and status.
type log map[string][]float64

func key(method, path string, status int) string {
	return method + " " + path + " " + string(rune('0'+status/100)) + "xx"
}

func answers(t *testing.T, name string) log {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := log{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		k := key(a.Method, a.Path, a.Status)
		out[k] = append(out[k], a.Seconds)
	}
	return out
}

// take removes the answer of the log that fits an exchange: its time is within
// 5 %, or the 20 ms for which a busy machine lets a server wait.
func (l log) take(x *transaction.Exchange) bool {
	k := key(x.Method, x.Path, x.Status)
	took := float64(x.Took()) / 1e9
	for i, seconds := range l[k] {
		if math.Abs(seconds-took) <= max(0.05*seconds, 0.02) {
			l[k] = append(l[k][:i], l[k][i+1:]...)
			return true
		}
	}
	return false
}

// TestReaderWithoutTshark has no tshark, and ones that do not what they should.
func TestReaderWithoutTshark(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := transaction.Start(t.Context(), "", transaction.Default()); !errors.Is(err, transaction.ErrNoTshark) {
		t.Errorf("%v, want ErrNoTshark", err)
	}
	for script, want := range map[string]string{
		"echo 'tshark: no way' >&2; exit 2": "exit status 2: no way",
		"exit 0":                            "tshark: ", // too early
		"echo nonsense; while read -r _; do :; done":           "frame 0 after 0",
		"echo 99999999; while read -r _; do :; done":           "frame 99999999 after 0",
		"printf 'x%.0s' {1..100}; while read -r _; do :; done": "it ended after 0 of ",
	} {
		text := "#!/bin/bash\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, "tshark"), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		err := read(t, "../../testdata/captures/benign_web.pcapng", "", transaction.Default())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

func TestHAR(t *testing.T) {
	needTshark(t)
	var out bytes.Buffer
	h := transaction.NewHAR(&out, "1.0")
	cfg := transaction.Default()
	cfg.OnExchange = h.Add
	if err := read(t, "../../testdata/shop/timeout_http1.pcapng.zst", "", cfg); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	var archive struct {
		Log struct {
			Version string
			Entries []struct {
				StartedDateTime string
				Time            float64
				Request         struct{ Method, URL string }
				Response        struct{ Status int }
				Timings         map[string]float64
				Frames          []uint64 `json:"_frames"`
				Outcome         string   `json:"_outcome"`
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &archive); err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, e := range archive.Log.Entries {
		sum := 0.0
		for name, x := range e.Timings {
			if name != "ssl" && x > 0 { // it is within connect
				sum += x
			}
		}
		if math.Abs(sum-e.Time) > 0.001 || len(e.Frames) == 0 || e.StartedDateTime == "" {
			t.Errorf("%+v", e)
		}
		if e.Response.Status == 504 {
			late++
		}
	}
	if archive.Log.Version != "1.2" || late != 6 {
		t.Errorf("version %s, %d answers of 504, want 1.2, 6", archive.Log.Version, late)
	}
	if strings.Contains(out.String(), "5ca1ab1e") {
		t.Error("a session cookie is in the archive")
	}
}
