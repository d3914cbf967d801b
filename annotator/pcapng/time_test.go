package pcapng

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestUnitsPerSecond(t *testing.T) {
	for tsresol, want := range map[byte]uint64{
		0: 1, 3: 1000, 6: 1_000_000, 9: 1_000_000_000, 19: 10_000_000_000_000_000_000, 20: 0, 0x7f: 0,
		0x80: 1, 0x8a: 1024, 0xbf: 1 << 63, 0xc0: 0, 0xff: 0,
	} {
		if got := unitsPerSecond(tsresol); got != want {
			t.Errorf("%#x: %d units, want %d", tsresol, got, want)
		}
	}
}

func TestNanoseconds(t *testing.T) {
	tests := []struct {
		name         string
		stamp, units uint64
		offset       int64
		want         int64
	}{
		{"microseconds", 1_500_000_000_123_456, 1_000_000, 0, 1_500_000_000_123_456_000},
		{"nanoseconds", 1_500_000_000_123_456_789, 1_000_000_000, 0, 1_500_000_000_123_456_789},
		{"picoseconds are cut", 1_999_999, 1_000_000_000_000, 0, 1999},
		{"powers of two", 1<<20 | 1, 1 << 20, 0, 1_000_000_953},
		{"offset", 5, 1, -7, -2_000_000_000},
		{"fraction of a negative time", 5_500_000, 1_000_000, -7, -1_500_000_000},
		{"unknown units", 12345, 0, 3, 3_000_000_000},
		{"last", math.MaxInt64, 1_000_000_000, 0, math.MaxInt64},
		{"one too many", math.MaxInt64 + 1, 1_000_000_000, 0, math.MaxInt64},
		{"far too many", math.MaxUint64, 1, 0, math.MaxInt64},
		{"sum overflows", math.MaxInt64, 1, math.MaxInt64, math.MaxInt64},
		{"far too early", 0, 1, math.MinInt64, math.MinInt64},
		{"first", 145_224_192, 1_000_000_000, -9_223_372_037, math.MinInt64},
		{"one too early", 145_224_191, 1_000_000_000, -9_223_372_037, math.MinInt64},
		{"second", 145_224_193, 1_000_000_000, -9_223_372_037, math.MinInt64 + 1},
	}
	for _, tt := range tests {
		if got := nanoseconds(tt.stamp, tt.units, tt.offset); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestNanosecondsExactly compares with arithmetic that cannot overflow.
func TestNanosecondsExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		stamp := random.Uint64() >> random.UintN(64)
		units := unitsPerSecond(byte(random.UintN(20)) | byte(random.UintN(2))<<7)
		offset := int64(random.Uint64()) >> random.UintN(64)

		x := new(big.Int).SetUint64(stamp)
		x.Mul(x, big.NewInt(1e9)).Div(x, new(big.Int).SetUint64(units))
		x.Add(x, new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9)))
		want := int64(math.MaxInt64)
		if x.IsInt64() {
			want = x.Int64()
		} else if x.Sign() < 0 {
			want = math.MinInt64
		}
		if got := nanoseconds(stamp, units, offset); got != want {
			t.Fatalf("nanoseconds(%d, %d, %d) = %d, want %d", stamp, units, offset, got, want)
		}
	}
}
