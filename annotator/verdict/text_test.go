package verdict

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestText compares the texts of a comment with what their definitions say, byte
// by byte.
func TestText(t *testing.T) {
	const edges = "\x00\x1f !$%&~\x7f\x80\xff"
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		b := make([]byte, r.IntN(30))
		for i := range b {
			switch r.IntN(30) {
			case 0:
				b[i] = edges[r.IntN(len(edges))]
			default:
				b[i] = byte('!' + r.IntN('~'-'!'+1))
			}
		}
		s := string(b)
		plain := !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
		if isPlain(s) != plain {
			t.Fatalf("isPlain(%q) is %v", s, !plain)
		}
		var want strings.Builder
		for i := range len(s) {
			if c := s[i]; c > ' ' && c <= '~' && c != '%' {
				want.WriteByte(c)
			} else {
				fmt.Fprintf(&want, "%%%02X", c)
			}
		}
		if got := escape(s); got != want.String() {
			t.Fatalf("escape(%q) is %q, want %q", s, got, want.String())
		}
	}
}

func TestShare(t *testing.T) {
	check := func(x float64) {
		t.Helper()
		for _, decimals := range []int{2, 3} {
			want := strconv.FormatFloat(x, 'f', decimals, 64)
			if got := string(appendShare(nil, x, decimals)); got != want {
				t.Errorf("%v with %d decimals is %s, want %s", x, decimals, got, want)
			}
		}
	}
	for n := range 1002 {
		check(float64(n) / 1000)
		check(float64(n) * 0.001)
		check(-float64(n+1) / 1000)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		check(r.Float64() * 1.1)
		check(r.NormFloat64() * 1e6)
	}
}
