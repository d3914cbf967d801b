package detect

import (
	"os"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/verdict"
)

var alarmLevel = func() float64 {
	if os.Getenv("ALARM_LEVEL") != "" {
		return 0.5
	}
	return 0.8000001
}()

func TestAlarms(t *testing.T) {
	dir := os.Getenv("ALARM_DIR")
	if dir == "" {
		t.Skip()
	}
	type al struct {
		n, first int
		f        Finding
	}
	for _, path := range capturetest.Files(t, dir) {
		fs := replay(t, path, All(Default()))
		m := map[verdict.Type]*al{}
		for i, f := range fs {
			if f.Score >= alarmLevel {
				if m[f.Type] == nil {
					m[f.Type] = &al{first: i + 1, f: f}
				}
				m[f.Type].n++
			}
		}
		for ty, a := range m {
			t.Logf("%s %s n=%d/%d first=%d %s", path[len(dir):], ty, a.n, len(fs), a.first, a.f.Reason)
		}
	}
}
