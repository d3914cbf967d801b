package engine

import (
	"cmp"

	"ampulla/annotator/feature"
)

// combination is the reason where no single value stands out.
const combination = "a rare combination of rates, counts and sizes, each of which is ordinary by itself"

// wordsLen is how many reasons are remembered at most.
const wordsLen = 256

// words remembers the model's latest reasons: what it said of one packet often
// holds for those that follow.
type words struct {
	*feature.Words
	said map[[2]feature.Standout]string
}

func newWords(normal []feature.Quantiles) words {
	return words{feature.NewWords(normal), make(map[[2]feature.Standout]string)}
}

// of returns the reason of an opinion with such standouts.
func (w *words) of(s [2]feature.Standout) string {
	if text, ok := w.said[s]; ok {
		return text
	}
	if len(w.said) >= wordsLen {
		clear(w.said)
	}
	text := cmp.Or(w.Of(s), combination)
	w.said[s] = text
	return text
}
