package sentence_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"ampulla/extcap/sentence"
)

func TestWrite(t *testing.T) {
	for _, tt := range []struct {
		sentence sentence.Sentence
		want     string
	}{
		{sentence.Extcap{Version: "1.2", Display: "Ampulla"}, "extcap {version=1.2}{display=Ampulla}"},
		{sentence.Interface{Value: "ai", Display: "AI capture"}, "interface {value=ai}{display=AI capture}"},
		{sentence.DLT{Number: 1, Name: "EN10MB", Display: "Ethernet"}, "dlt {number=1}{name=EN10MB}{display=Ethernet}"},
		{sentence.Arg{Number: 0, Call: "--x", Display: "X", Type: sentence.String}, "arg {number=0}{call=--x}{display=X}{type=string}"},
		{sentence.Arg{Number: 3, Call: "--n", Display: "N", Type: sentence.Unsigned, Tooltip: "t", Placeholder: "p", Default: "7", Range: "1,9",
			Validation: "^[0-9]{1,2}$", Group: "G", MustExist: true, Reload: true},
			"arg {number=3}{call=--n}{display=N}{type=unsigned}{tooltip=t}{placeholder=p}{default=7}{range=1,9}{validation=^[0-9](1,2)$}{mustexist=true}{reload=true}{group=G}"},
		{sentence.Value{Arg: 3, Value: "v", Display: "V"}, "value {arg=3}{value=v}{display=V}{enabled=true}"},
		{sentence.Value{Arg: 3, Value: "v", Display: "V", Default: true}, "value {arg=3}{value=v}{display=V}{default=true}{enabled=true}"},
		{sentence.Control{Number: 2, Type: sentence.Button, Role: sentence.RoleLogger, Display: "Log", Tooltip: "t"},
			"control {number=2}{type=button}{role=logger}{display=Log}{tooltip=t}"},
		{sentence.Interface{Value: "ai", Display: "a}b {c}\r\nd"}, "interface {value=ai}{display=a)b (c)  d}"},
	} {
		var b strings.Builder
		if err := sentence.Write(&b, tt.sentence); err != nil || b.String() != tt.want+"\n" {
			t.Errorf("%v\ngot  %swant %s", err, b.String(), tt.want)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("full")

func TestWriteError(t *testing.T) {
	if err := sentence.Write(full{}, sentence.Interface{}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

// parameter is how Wireshark finds the parameters of a sentence.
var parameter = regexp.MustCompile(`\{([a-zA-Z_-]*?)=(.*?)\}(\{|$|\s)`)

// FuzzWrite checks that Wireshark finds what was written, whatever it is.
func FuzzWrite(f *testing.F) {
	f.Add("eth0", "Ethernet {0}")
	f.Add("}{default=true}", "a\nb")
	f.Fuzz(func(t *testing.T, value, display string) {
		if value == "" || display == "" {
			return
		}
		var b strings.Builder
		if err := sentence.Write(&b, sentence.Value{Arg: 7, Value: value, Display: display}); err != nil {
			t.Fatal(err)
		}
		line, ok := strings.CutSuffix(b.String(), "\n")
		if !ok || strings.Contains(line, "\n") || strings.Count(line, "{") != 4 || strings.Count(line, "}") != 4 {
			t.Errorf("%q", line)
		}
		if !strings.HasPrefix(line, "value {arg=7}{value=") || !strings.HasSuffix(line, "}{enabled=true}") || !parameter.MatchString(line) {
			t.Errorf("%q", line)
		}
	})
}
