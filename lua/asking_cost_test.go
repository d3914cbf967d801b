package lua_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
)

// TestAskingCost measures what asking the annotator costs tshark, as ratios to
// a post-dissector that does nothing, of medians of interleaved runs; see
// bench.sh. The capture is $AMPULLA_BENCH_CAPTURE, or ours behind one another
// until they are 200,000 packets.
func TestAskingCost(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("AMPULLA_BENCH"))
	if rounds <= 0 {
		t.Skip("measures, and tests nothing: see bench.sh")
	}
	path := benchCapture(t)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		nothing := filepath.Join(t.TempDir(), "noop.lua")
		if err := os.WriteFile(nothing, []byte(noop), 0o644); err != nil {
			t.Fatal(err)
		}
		const other, ours = "udp.port == 1", "ai.anomaly.score > 0.8"
		kinds := []struct {
			name         string
			script       string
			options      []string
			base         int // what it is compared with
			wall, cpu    []time.Duration
			mostWallWith float64 // aim; 0 for none
		}{
			{name: "no-op", script: nothing, options: []string{"-Y", other}},
			{name: "nobody looks", script: s.script, options: []string{"-Y", other}, mostWallWith: 1.15},
			{name: "one pass, " + ours, script: s.script, options: []string{"-Y", ours}, mostWallWith: 1.3},
			{name: "no-op -2", script: nothing, options: []string{"-2", "-Y", other}, base: 3},
			{name: "two passes, " + ours, script: s.script, options: []string{"-2", "-Y", ours}, base: 3, mostWallWith: 1.3},
		}
		for range rounds {
			for i := range kinds {
				k := &kinds[i]
				cmd := exec.Command(s.path, append([]string{"-X", "lua_script:" + k.script, "-r", path}, k.options...)...)
				cmd.Env = append(append(os.Environ(), "HOME="+s.home), s.env...)
				begin := time.Now()
				if err := cmd.Run(); err != nil {
					t.Fatal(err)
				}
				k.wall = append(k.wall, time.Since(begin))
				k.cpu = append(k.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			}
		}
		for _, k := range kinds {
			base := kinds[k.base]
			line := fmt.Sprintf("%-40s %.2f s x%.2f, processor %.2f s x%.2f", k.name,
				median(k.wall).Seconds(), float64(median(k.wall))/float64(median(base.wall)),
				median(k.cpu).Seconds(), float64(median(k.cpu))/float64(median(base.cpu)))
			if k.mostWallWith > 0 {
				line += fmt.Sprintf(" (aim: %.2f)", k.mostWallWith)
			}
			t.Log(line)
		}
	})
}

// TestTroubleCost measures how much longer tshark takes with annotators that are
// of no use, or cease to be half-way, than with a good one. It ends well and
// prints every frame with all of them.
func TestTroubleCost(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("AMPULLA_BENCH"))
	if rounds <= 0 {
		t.Skip("measures the time, which no other test does: see bench.sh")
	}
	path := benchCapture(t)
	eachShark(t, func(t *testing.T, s *shark) {
		const aim = 2 * time.Second // more than usual, at most
		good := startAnnotator(t)
		s.asking(t, good.socket)
		took := func(s *shark) (time.Duration, int) {
			begin := time.Now()
			out := s.ends(t, append([]string{"-r", path}, looking...)...)
			return time.Since(begin), strings.Count(out, "\n")
		}
		var times []time.Duration
		frames := 0
		for range rounds {
			d, n := took(s)
			times, frames = append(times, d), n
		}
		usual := median(times)
		t.Logf("%-40s %.2f s", "usual", usual.Seconds())
		list := troubles()
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSTOP} {
			list = append(list, trouble{name: signal.String() + " half-way", begin: func(t *testing.T, s *shark) {
				a := startAnnotator(t)
				s.asking(t, a.socket)
				time.AfterFunc(usual/2, func() { _ = a.Process.Signal(signal) })
			}})
		}
		for _, tt := range list {
			bad := *s
			tt.begin(t, &bad)
			d, n := took(&bad)
			if n != frames {
				t.Errorf("%s: %d frames instead of %d", tt.name, n, frames)
			}
			t.Logf("%-40s %+.2f s (aim: %+.2f)", tt.name, (d - usual).Seconds(), aim.Seconds())
		}
	})
}

// benchCapture is the capture to measure with.
func benchCapture(t *testing.T) string {
	if path := os.Getenv("AMPULLA_BENCH_CAPTURE"); path != "" {
		return path
	}
	return manyPackets(t)
}

// manyPackets writes our captures behind one another into one.
func manyPackets(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "many.pcapng")
	var args []string
	for packets := 0; packets < 200_000; {
		for _, file := range capturetest.Own(t) {
			out, err := exec.Command("capinfos", "-T", "-r", "-c", "-M", file).Output()
			if err != nil {
				t.Skip("no capinfos: ", err)
			}
			var n int
			if _, err := fmt.Sscan(string(out[len(file):]), &n); err != nil {
				t.Fatal(err)
			}
			args, packets = append(args, file), packets+n
		}
	}
	if out, err := exec.Command("mergecap", append([]string{"-a", "-w", path}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
