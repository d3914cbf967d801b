// Package sentence writes the sentences by which a capture program describes
// itself to Wireshark, see extcap(4) and the chapter on extcap of Wireshark's
// developer's guide. They use what Wireshark 4.0 understands.
package sentence

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Sentence is one line of an answer.
type Sentence interface {
	sentence() line
}

// Write writes sentences, one a line.
func Write(w io.Writer, sentences ...Sentence) error {
	var b strings.Builder
	for _, s := range sentences {
		l := s.sentence()
		b.WriteString(l.kind + " " + l.parameters.String() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type line struct {
	kind       string
	parameters strings.Builder
}

// with adds a parameter, unless it is empty.
func (l *line) with(name, value string) *line {
	if value != "" {
		fmt.Fprintf(&l.parameters, "{%s=%s}", name, tame.Replace(value))
	}
	return l
}

func (l *line) withNumber(name string, n int) *line { return l.with(name, strconv.Itoa(n)) }

// withTrue adds a parameter that is false when it is missing.
func (l *line) withTrue(name string, value bool) *line {
	if value {
		l.with(name, "true")
	}
	return l
}

// tame replaces what would end a value: there is no way to escape it.
var tame = strings.NewReplacer("{", "(", "}", ")", "\n", " ", "\r", " ")

// Extcap introduces the program.
type Extcap struct {
	Version string
	Display string
}

func (e Extcap) sentence() line {
	l := line{kind: "extcap"}
	l.with("version", e.Version).with("display", e.Display)
	return l
}

// Interface is one that Wireshark lists.
type Interface struct {
	Value   string // its name
	Display string
}

func (i Interface) sentence() line {
	l := line{kind: "interface"}
	l.with("value", i.Value).with("display", i.Display)
	return l
}

// DLT is the link-layer type of an interface.
type DLT struct {
	Number        int
	Name, Display string
}

func (d DLT) sentence() line {
	l := line{kind: "dlt"}
	l.withNumber("number", d.Number).with("name", d.Name).with("display", d.Display)
	return l
}

// Type is the kind of an [Arg] or [Control].
type Type string

// Types of an Arg.
const (
	Unsigned   Type = "unsigned"
	Double     Type = "double"
	String     Type = "string"     // Control too
	Boolean    Type = "boolean"    // called with true or false; Control too
	Selector   Type = "selector"   // one of its Values; Control too
	MultiCheck Type = "multicheck" // any of its Values, with commas between them
	FileSelect Type = "fileselect"
	Button     Type = "button" // Control only
)

// Arg is an option in the dialog of an interface.
type Arg struct {
	Number      int
	Call        string // flag on the command line
	Display     string
	Type        Type
	Tooltip     string
	Placeholder string
	Default     string
	Range       string // "from,to"
	Validation  string // regular expression
	Group       string // tab
	MustExist   bool   // of a file
	Reload      bool   // its Values can be asked for again
}

func (a Arg) sentence() line {
	l := line{kind: "arg"}
	l.withNumber("number", a.Number).with("call", a.Call).with("display", a.Display).with("type", string(a.Type)).
		with("tooltip", a.Tooltip).with("placeholder", a.Placeholder).with("default", a.Default).with("range", a.Range).
		with("validation", a.Validation).withTrue("mustexist", a.MustExist).withTrue("reload", a.Reload).with("group", a.Group)
	return l
}

// Value is one of those that an Arg can take.
type Value struct {
	Arg     int // number
	Value   string
	Display string
	Default bool
}

func (v Value) sentence() line {
	l := line{kind: "value"}
	// Without enabled, a multicheck has nothing to check.
	l.withNumber("arg", v.Arg).with("value", v.Value).with("display", v.Display).withTrue("default", v.Default).with("enabled", "true")
	return l
}

// ControlValue is one of those that a [Control] of type Selector can take; more may
// come while capturing.
type ControlValue struct {
	Control int // number
	Value   string
	Display string
	Default bool
}

func (v ControlValue) sentence() line {
	l := line{kind: "value"}
	l.withNumber("control", v.Control).with("value", v.Value).with("display", v.Display).withTrue("default", v.Default)
	return l
}

// Role is what a [Control] of type Button does.
type Role string

// Roles.
const (
	RoleControl Role = "control" // tells the program; also of all that is no button
	RoleLogger  Role = "logger"  // opens the log
	RoleRestore Role = "restore" // restores the defaults of the toolbar
)

// Control is a part of the toolbar.
type Control struct {
	Number     int
	Type       Type
	Role       Role
	Display    string
	Tooltip    string
	Default    string
	Validation string // regular expression
}

func (c Control) sentence() line {
	l := line{kind: "control"}
	l.withNumber("number", c.Number).with("type", string(c.Type)).with("role", string(c.Role)).with("display", c.Display).
		with("tooltip", c.Tooltip).with("default", c.Default).with("validation", c.Validation)
	return l
}
