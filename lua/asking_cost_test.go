package lua_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
)

// TestAskingCost measures what asking the annotator costs tshark, as ratios to
// a post-dissector that does nothing, of medians of interleaved runs; see
// bench.sh. One that does nothing lets through no packet (udp.port == 1), or as
// many as ours, which costs columns and lines. The captures are ours behind one
// another, mostly of attacks, and the labelled ones of ordinary traffic; each of
// 200,000 packets and more. Or there is just $AMPULLA_BENCH_CAPTURE.
func TestAskingCost(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("AMPULLA_BENCH"))
	if rounds <= 0 {
		t.Skip("measures, and tests nothing: see bench.sh")
	}
	if path := os.Getenv("AMPULLA_BENCH_CAPTURE"); path != "" {
		askingCost(t, path, rounds)
		return
	}
	t.Run("attacks", func(t *testing.T) { askingCost(t, manyPackets(t), rounds) })
	t.Run("ordinary", func(t *testing.T) { askingCost(t, ordinaryPackets(t), rounds) })
}

func askingCost(t *testing.T, path string, rounds int) {
	nothing := filepath.Join(t.TempDir(), "noop.lua")
	if err := os.WriteFile(nothing, []byte(noop), 0o644); err != nil {
		t.Fatal(err)
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		const none, ours = "udp.port == 1", "ai.anomaly.score > 0.8"
		shown := strings.Count(s.try(t, slices.Concat([]string{"-r", path, "-Y", ours}, patient)...).stdout, "\n")
		same := fmt.Sprint("frame.number <= ", shown)
		runs := []timed{
			{name: "no-op, shows none", script: nothing, options: []string{"-Y", none}},
			{name: "no-op, shows as many", script: nothing, options: []string{"-Y", same}},
			{name: "nobody looks, shows none", script: s.script, options: []string{"-Y", none}, aim: 1.15},
			{name: "one pass, " + ours, script: s.script, options: []string{"-Y", ours}, sameAs: 1, aim: 1.3},
			{name: "no-op -2, shows none", script: nothing, options: []string{"-2", "-Y", none}, base: 4},
			{name: "no-op -2, shows as many", script: nothing, options: []string{"-2", "-Y", same}, base: 4},
			{name: "two passes, " + ours, script: s.script, options: []string{"-2", "-Y", ours}, base: 4, sameAs: 5, aim: 1.3},
		}
		for range rounds {
			for i := range runs {
				runs[i].measure(t, s, path)
			}
		}
		t.Logf("%d packets shown", shown)
		for i := range runs {
			t.Log(runs[i].line(runs))
		}
	})
}

// timed is one way to run tshark, measured again and again.
type timed struct {
	name      string
	script    string
	options   []string
	base      int     // the run that it is compared with
	sameAs    int     // another one, which shows as many packets; 0 for none
	aim       float64 // wall time, times that of base, at most; 0 for none
	wall, cpu []time.Duration
}

func (r *timed) measure(t *testing.T, s *shark, path string) {
	t.Helper()
	cmd := exec.Command(s.path, append([]string{"-X", "lua_script:" + r.script, "-r", path}, r.options...)...)
	cmd.Env = append(append(os.Environ(), "HOME="+s.home), s.env...)
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	r.wall = append(r.wall, time.Since(begin))
	r.cpu = append(r.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
}

// line says what was measured, beside the others.
func (r *timed) line(all []timed) string {
	times := func(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }
	base := &all[r.base]
	line := fmt.Sprintf("%-36s %.2f s x%.2f, processor %.2f s x%.2f", r.name,
		median(r.wall).Seconds(), times(r.wall, base.wall), median(r.cpu).Seconds(), times(r.cpu, base.cpu))
	if r.sameAs > 0 {
		line += fmt.Sprintf("; beside as many shown x%.2f, processor x%.2f", times(r.wall, all[r.sameAs].wall), times(r.cpu, all[r.sameAs].cpu))
	}
	if r.aim > 0 {
		line += fmt.Sprintf(" (aim: x%.2f)", r.aim)
	}
	return line
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
	return merged(t, args)
}

// ordinaryPackets writes the labelled captures in which all is benign behind one
// another into one, of 287,000 packets.
func ordinaryPackets(t *testing.T) string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(capturetest.Labelled(t), "anomaly", "captures", "benign-*"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, folder := range folders {
		files = append(files, capturetest.Files(t, folder)...)
	}
	return merged(t, files)
}

// merged writes captures behind one another into one.
func merged(t *testing.T, files []string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "many.pcapng")
	run(t, "mergecap", append([]string{"-a", "-w", path}, files...)...)
	return path
}
