package engine

import (
	"cmp"

	"ampulla/annotator/feature"
	"ampulla/annotator/flow"
)

// combination is the reason where no single value stands out.
const combination = "a rare combination of rates, counts and sizes, each of which is ordinary by itself"

// wordsLen is how many reasons are remembered at most.
const wordsLen = 256

// words remembers the model's latest reasons: what it said of one packet often
// holds for those that follow.
type words map[[2]flow.Standout]string

// of returns the reason of an opinion with such standouts.
func (w *words) of(s [2]flow.Standout, normal []feature.Quantiles) string {
	if text, ok := (*w)[s]; ok {
		return text
	}
	if len(*w) >= wordsLen || *w == nil {
		*w = make(words)
	}
	text := cmp.Or(feature.Explain(s, normal), combination)
	(*w)[s] = text
	return text
}
