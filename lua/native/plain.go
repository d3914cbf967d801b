package main

import (
	"fmt"
	"strings"

	"ampulla/grpc/client"
)

// maxUnusual is how many values an explanation shows.
const maxUnusual = 10

// inPlainWords says what the model saw of a frame: the values beyond what benign
// packets have, or that there are none.
func inPlainWords(e *client.Explanation) string {
	if len(e.Features) == 0 {
		return "The model was not asked: too little is known of this host yet.\n"
	}
	var b strings.Builder
	n := 0
	for _, f := range e.Features {
		if f.GetWords() == "" || f.GetExcessPercent() <= 0 || n == maxUnusual {
			continue
		}
		if n++; n == 1 {
			b.WriteString("What is unusual for the model, and what half, 99 % and 99.9 % of benign\npackets have at most:\n")
		}
		fmt.Fprintf(&b, "\n  %s\n      half %s, 99 %% %s, 99.9 %% %s\n", f.GetWords(), f.GetMedian(), f.GetMost(), f.GetRare())
	}
	if n == 0 {
		return "No single value is unusual for the model: each is within what 99 % of\nbenign packets have.\n"
	}
	return b.String()
}
