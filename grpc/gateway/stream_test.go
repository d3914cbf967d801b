package gateway

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// recorded notes the deadlines that are set.
type recorded struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (r *recorded) SetReadDeadline(t time.Time) error {
	r.deadlines = append(r.deadlines, t)
	return nil
}

// TestPacedBody checks that a body has so long as it may take, and no longer.
func TestPacedBody(t *testing.T) {
	w := &recorded{ResponseRecorder: httptest.NewRecorder()}
	body := paced(w, io.NopCloser(strings.NewReader(strings.Repeat("x", 2*minRate))))
	buffer := make([]byte, minRate)
	for {
		if _, err := body.Read(buffer); err != nil {
			break
		}
	}
	if len(w.deadlines) != 4 || !w.deadlines[3].IsZero() {
		t.Fatalf("%v", w.deadlines)
	}
	for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
		if got := w.deadlines[i].Sub(w.deadlines[0]); got != want {
			t.Errorf("read %d: %v later than the first, want %v", i, got, want)
		}
	}
}
