package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, `# ours
limits:
  max_packets: 500        # fewer
  packet_buffer: 64 MiB
detectors:
  port_scan: {rate: 7.5, window: 90m}
listeners: {idle: 0s, socket: run/a.sock}
`)
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Limits.MaxPackets, want.Limits.PacketBuffer = 500, 64<<20
	want.Detectors.PortScan.Rate, want.Detectors.PortScan.Window = 7.5, 90*time.Minute
	want.Listeners.Idle, want.Listeners.Socket = 0, filepath.Join(filepath.Dir(path), "run/a.sock")
	if diff := cmp.Diff(want, s.Config); diff != "" {
		t.Error(diff)
	}
	if err := s.Set("limits.max_sessions", "3", "--max-sessions"); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"limits.max_packets":         path + ":3",
		"detectors.port_scan.window": path + ":6",
		"listeners.socket":           path + ":7",
		"limits.max_sessions":        "--max-sessions",
		"limits.batch_size":          DefaultOrigin,
	} {
		if got := s.Origin(key); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
}

// TestMistakes checks that each mistake is named with its line.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "limits:\n  max_packet: 3\n", ":2: there is no key limits.max_packet"},
		{"unknown section", "\nlimit:\n  a: 3\n", ":2: there is no key limit"},
		{"unknown key inside", "detectors:\n  flood: {sigma: 3, rates: 4}\n", ":2: there is no key detectors.flood.rates"},
		{"text for a number", "limits:\n\n  batch_size: many\n", `:3: limits.batch_size: "many" is no whole number`},
		{"fraction", "limits:\n  batch_size: 1.5\n", `:2: limits.batch_size: "1.5" is no whole number`},
		{"too large for an int", "limits: {batch_size: 99999999999999999999}", `:1: limits.batch_size: "99999999999999999999" is no whole number`},
		{"not a number", "detectors: {flood: {sigma: .nan}}", `:1: detectors.flood.sigma: this is no single value`},
		{"no unit", "limits:\n  packet_buffer: 5 parsecs\n", `:2: limits.packet_buffer: "5 parsecs" is no size such as 256MB`},
		{"size beyond all bounds", "limits: {packet_buffer: 9999999999999GB}", "is no size"},
		{"negative size", "limits: {packet_buffer: -1}", "is no size"},
		{"no time", "listeners:\n  idle: 10\n", `:2: listeners.idle: "10" is no time`},
		{"list for a value", "limits: {workers: [1, 2]}", ":1: limits.workers: a list is given"},
		{"mapping for a value", "limits: {workers: {a: 1}}", ":1: limits.workers: this is no single value"},
		{"value for a section", "limits: 3\n", ":1: limits is no mapping"},
		{"list at the top", "- limits\n", ":1: the file holds no mapping"},
		{"nothing behind a key", "limits:\n  workers:\n", ":2: limits.workers: there is no value"},
		{"twice", "limits:\n  workers: 1\n  workers: 2\n", ":3: mapping key"},
		{"no YAML", "limits:\n  workers: [\n", ":2: "},
		{"alias", "limits: &a\n  workers: 1\nlisteners: *a\n", ":1: limits is no mapping"},
		{"merge key", "limits:\n  <<: {workers: 1}\n", ":2: there is no key limits.<<"},
		{"two documents", "limits: {workers: 1}\n---\nlimits: {workers: 2}\n", ":3: a second document"},
		{"too small", "limits:\n  max_packets: 0\n", ":2: limits.max_packets: 0 is less than 1"},
		{"too large", "limits:\n  batch_size: 5000\n", ":2: limits.batch_size: 5000 is more than 4096"},
		{"buffer too small", "limits:\n  packet_buffer: 4kB\n", ":2: limits.packet_buffer: 4kB is less than 1MB"},
		{"negative time", "listeners:\n  idle: -1s\n", ":2: listeners.idle: -1s is less than 0s"},
		{"detector", "detectors:\n  beacon:\n    jitter: 1.5\n", ":3: detectors.beacon.jitter: 1.5 is not above 0 and at most 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			_, err := Load(path)
			if err == nil || !strings.Contains(err.Error(), path+tt.want) && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
		})
	}
}

// TestWriteIsRead checks that what Write prints says the same when it is read.
func TestWriteIsRead(t *testing.T) {
	s := Defaults()
	for key, value := range map[string]string{
		"limits.packet_buffer": "3MB", "listeners.idle": "1h0m5s", "detectors.flood.sigma": "0.125",
		"listeners.socket": `/a "b" ` + "\u00fc # x", "listeners.grpc": "[::1]:7",
	} {
		if err := s.Set(key, value, "--x"); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	if err := s.Write(&text); err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, text.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if diff := cmp.Diff(s.Config, again.Config); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"  packet_buffer: 3MB ", "# --x", "    sigma: 0.125 ", "  batch_size: "} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, text.String())
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "limits:\n", "limits: {}\ndetectors:\n"} {
		s, err := Load(write(t, text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(Default(), s.Config); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("limits:\n  max_packets: 3\n")
	f.Add("detectors: {flood: {sigma: 3}}\n---\n")
	f.Add("? [a]\n: b\n")
	f.Add("a: &x [*x]\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := Defaults()
		s.Path = "c.yaml"
		if s.read([]byte(text)) == nil && s.Check() == nil {
			if bad := s.validate(); bad != nil {
				t.Errorf("%q: accepted with %v", text, bad)
			}
		}
	})
}
