package engine

import "testing"

// TestRounded: a score that is not suspicious does not become so by rounding.
func TestRounded(t *testing.T) {
	for score, want := range map[float64]float64{
		0: 0, 0.1234: 0.123, 0.1235: 0.124, 0.4994: 0.499, 0.4996: 0.499, 0.4999999: 0.499, 0.5: 0.5, 0.5004: 0.5,
		0.7996: 0.8, 0.8004: 0.8, 0.8006: 0.801, 0.9996: 1, 1: 1,
	} {
		if got := rounded(score); got != want {
			t.Errorf("%v: %v, want %v", score, got, want)
		}
	}
}
