package main

import (
	"errors"
	"fmt"
	"testing"
	"unicode/utf8"

	"ampulla/grpc/client"
)

func TestInWords(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, "annotator has not come that far"},
		{client.ErrTimeout, "annotator does not answer"},
		{fmt.Errorf("%w: connection reset", client.ErrGone), "annotator has gone"},
		{errors.New("cannot start\nlog: line 1\nline 2"), "cannot start"},
		{errPanic("index out of range"), "bug in the native module: index out of range"},
	} {
		if got := inWords(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""},
		{"aé", 3, "aé"}, {"aé", 2, "a"}, {"日本", 5, "日"}, {"日本", 2, ""}, {"a😀", 4, "a"}, {"\x80\x80\x80", 2, ""},
	} {
		got := cut(tt.text, tt.most)
		if got != tt.want || utf8.ValidString(tt.text) && !utf8.ValidString(got) {
			t.Errorf("%q to %d bytes: %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}
