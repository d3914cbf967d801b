package feature

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLog checks that logarithms are those of the library to the last bit:
// counts, what lies around the edges of steps and of float32, and anything.
func TestLog(t *testing.T) {
	check := func(x float64) {
		if got, want := log1p(x), float32(math.Log1p(x)); math.Float32bits(got) != math.Float32bits(want) && x > 0 {
			t.Fatalf("log1p(%v) = %v, want %v", x, got, want)
		}
	}
	for n := range uint32(200_000) {
		check(float64(n))
		if got, want := logs.ofCount(n), float32(math.Log1p(float64(n))); got != want {
			t.Fatalf("ofCount(%d) = %v, want %v", n, got, want)
		}
	}
	for exponent := range 70 {
		for step := range 2 * logSteps {
			edge := math.Ldexp(1+float64(step)/(2*logSteps), exponent)
			for range 3 {
				check(edge - 1)
				edge = math.Nextafter(edge, math.Inf(1))
			}
		}
	}
	random := rand.New(rand.NewPCG(7, 8))
	for range 1_000_000 {
		check(math.Exp(random.Float64()*90 - 30))
	}
	for range 100_000 { // results that lie between two float32
		low := float32(random.Float64() * 25)
		middle := (float64(low) + float64(math.Nextafter32(low, 100))) / 2
		check(math.Expm1(middle))
	}
	for _, x := range []float64{0, math.SmallestNonzeroFloat64, 1e-300, math.MaxUint32, math.MaxInt64, math.MaxFloat64, math.Inf(1)} {
		check(x)
	}
}

// TestLogSeldomDoubts checks that the fast way is the usual one.
func TestLogSeldomDoubts(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	doubts := 0
	for range 1_000_000 {
		y := logs.approximate(1 + math.Exp(random.Float64()*20))
		if float32(y-logError) != float32(y+logError) {
			doubts++
		}
	}
	if doubts > 100 {
		t.Errorf("%d of a million need math.Log1p", doubts)
	}
}

func BenchmarkLog(b *testing.B) {
	values := make([]float64, 4096)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range values {
		values[i] = math.Exp(random.Float64() * 20)
	}
	sum := float32(0)
	for _, kind := range []struct {
		name string
		log  func(float64) float32
	}{{"ours", log1p}, {"library", func(x float64) float32 { return float32(math.Log1p(x)) }}} {
		b.Run(kind.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				sum += kind.log(values[i%4096])
				i++
			}
		})
	}
}
