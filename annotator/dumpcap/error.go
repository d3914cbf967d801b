package dumpcap

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Kinds of [Error].
var (
	ErrMissing    = errors.New("dumpcap is not installed")
	ErrPermission = errors.New("no right to capture")
	ErrInterface  = errors.New("interface cannot be captured from")
	ErrFilter     = errors.New("capture filter is not valid")
	ErrFailed     = errors.New("dumpcap failed") // anything else
)

// Error is why dumpcap does not do what it was told to.
type Error struct {
	Kind error  // one of the above, which errors.Is matches
	Text string // one line
	Hint string // what the user can do about it, if we know
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Kind }

// phrases tell the kind of an error by what dumpcap, or libpcap, says.
var phrases = []struct {
	text string
	kind error
}{
	{"permission", ErrPermission},
	{"Operation not permitted", ErrPermission},
	{"capture filter", ErrFilter},
	{"no device named", ErrInterface},
	{"No such device", ErrInterface},
	{"no interface on which", ErrInterface}, // and none was named
	{"is not up", ErrInterface},
	{"went down", ErrInterface},
	{"disappeared", ErrInterface},
	{"no longer available", ErrInterface},
	{"not supported on", ErrInterface},
}

// explain makes an error of what dumpcap wrote to standard error.
func (p Program) explain(said string) error {
	text, detail := complaint(said)
	if text == "" {
		return &Error{Kind: ErrFailed, Text: "dumpcap ended without saying why"}
	}
	e := &Error{Kind: ErrFailed, Text: text}
	for _, phrase := range phrases {
		if strings.Contains(said, phrase.text) {
			e.Kind = phrase.kind
			break
		}
	}
	switch e.Kind {
	case ErrPermission:
		e.Hint = p.permissionHint()
	case ErrInterface:
		e.Hint = "dumpcap -D lists the interfaces"
	}
	if detail != "" && !strings.Contains(text, detail) {
		e.Text += " (" + detail + ")"
	}
	return e
}

// complaint returns the line in which dumpcap says what is wrong, and what it
// adds in parentheses.
func complaint(said string) (text, detail string) {
	_, said, found := strings.Cut(said, name+": ") // at times behind a count of packets
	if !found {
		return "", ""
	}
	text, said, _ = strings.Cut(said, "\n")
	if _, inner, ok := strings.Cut(said, "("); ok {
		detail, _, _ = strings.Cut(inner, "\n")
		detail = strings.TrimRight(detail, ".)")
	}
	return strings.TrimRight(text, "."), detail
}

// cannotRun explains why dumpcap could not even be started.
func (p Program) cannotRun(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &Error{Kind: ErrPermission, Text: fmt.Sprintf("you may not run %s", p), Hint: p.permissionHint()}
	}
	return &Error{Kind: ErrFailed, Text: fmt.Sprintf("%s: %v", p, errors.Unwrap(err))}
}
