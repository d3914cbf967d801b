package eval

// histogram counts scores, which have three decimals.
type histogram struct {
	bins [1001]uint64
	n    uint64
}

func (h *histogram) add(score float64) {
	h.bins[min(max(int(score*1000+0.5), 0), 1000)]++
	h.n++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.bins {
		h.bins[i] += n
	}
	h.n += other.n
}

// above returns the share of scores above a limit in thousandths.
func (h *histogram) above(limit int) float64 {
	var n uint64
	for _, k := range h.bins[min(limit+1, len(h.bins)):] {
		n += k
	}
	return share(n, h.n)
}

// limit returns the least limit, in thousandths, above which at most a share
// of the scores lies.
func (h *histogram) limit(most float64) int {
	var n uint64
	for i := len(h.bins) - 1; i >= 0; i-- {
		if n += h.bins[i]; share(n, h.n) > most {
			return i
		}
	}
	return -1
}

// auc is the chance that a random attack frame scores higher than a random
// benign one, ties counting half; 0 if there is none of either.
func auc(attack, benign *histogram) float64 {
	if attack.n == 0 || benign.n == 0 {
		return 0
	}
	var sum, below float64
	for i := range benign.bins {
		b := float64(benign.bins[i])
		sum += float64(attack.bins[i]) * (below + b/2)
		below += b
	}
	return sum / (float64(attack.n) * float64(benign.n))
}
