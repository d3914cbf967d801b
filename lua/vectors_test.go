package lua_test

import (
	"strings"
	"testing"

	"ampulla/annotator/verdict"

	"github.com/google/go-cmp/cmp"
)

// TestVectorsInGo holds the Go reader to what ai.lua is held to.
func TestVectorsInGo(t *testing.T) {
	for _, v := range vectors(t) {
		got, err := verdict.ParseComment(v.Comment)
		switch {
		case v.Error != "":
			if err == nil || !strings.HasPrefix(err.Error(), "ai/1 line: ") || !strings.Contains(err.Error(), v.Error) {
				t.Errorf("%s: error %v, want one about %s", v.Name, err, v.Error)
			}
		case v.Verdict == nil:
			if err != verdict.ErrNoVerdict {
				t.Errorf("%s: error %v, want %v", v.Name, err, verdict.ErrNoVerdict)
			}
		case err != nil:
			t.Errorf("%s: %v", v.Name, err)
		default:
			if diff := cmp.Diff(v.want(), resultOf(got)); diff != "" {
				t.Errorf("%s: %s", v.Name, diff)
			}
		}
	}
}

// resultOf returns v as testdata/parse.lua would print it: what is empty or
// zero is left out, but for the score.
func resultOf(v verdict.Verdict) result {
	values := map[string]any{
		"class": v.Class, "score": v.Score, "verdict": string(v.Level), "type": string(v.Type), "reason": v.Reason,
		"cid": v.CommunityID, "model": v.Model,
	}
	if v.Confidence != 0 {
		values["conf"] = v.Confidence
	}
	for key, n := range map[string]uint64{"flow": uint64(v.Flow), "incident": uint64(v.Incident), "first": v.IncidentFirst, "rule": uint64(v.Rule)} {
		if n != 0 {
			values[key] = float64(n)
		}
	}
	for key, value := range values {
		if value == "" {
			delete(values, key)
		}
	}
	return vector{Verdict: values}.want()
}
