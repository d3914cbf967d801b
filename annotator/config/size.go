package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes. In text it is a whole number with or without one of
// the units kB, MB and GB, which are 1024, 1024² and 1024³ bytes.
type Size int64

var units = []struct {
	name string
	size Size
}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}}

// String returns the size in the largest unit of which it is a multiple.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// parseSize reads a size. Units may be written in any case, with or without the
// B or an i between.
func parseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "kKmMgGiIbB ")
	unit := strings.ToLower(strings.TrimSpace(text[len(digits):]))
	n, err := strconv.ParseInt(digits, 10, 64)
	factor := Size(1)
	switch strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i") {
	case "":
	case "k":
		factor = 1 << 10
	case "m":
		factor = 1 << 20
	case "g":
		factor = 1 << 30
	default:
		return 0, notASize(text)
	}
	if err != nil || n < 0 || n > (1<<62)/int64(factor) {
		return 0, notASize(text)
	}
	return Size(n) * factor, nil
}

func notASize(text string) error {
	return fmt.Errorf("%q is no size such as 256MB", text)
}
