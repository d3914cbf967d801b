package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/rewrite"
)

func TestMain(m *testing.M) {
	play()
	testscript.Main(tidy{m}, map[string]func(){
		"ampulla-extcap": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/*.txtar: the questions that Wireshark asks, and the
// answers.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}

func TestParseArguments(t *testing.T) {
	for _, tt := range []struct {
		line string
		want arguments
	}{
		{"", arguments{}},
		{"--extcap-interfaces --extcap-version=4.0", arguments{"extcap-interfaces": "true", "extcap-version": "4.0"}},
		{"--extcap-interfaces --extcap-version", arguments{"extcap-interfaces": "true", "extcap-version": "true"}},
		{"--capture --extcap-interface ai --fifo /tmp/f", arguments{"capture": "true", "extcap-interface": "ai", "fifo": "/tmp/f"}},
		{"--fifo /tmp/f --extcap-interface=ai --capture", arguments{"capture": "true", "extcap-interface": "ai", "fifo": "/tmp/f"}},
		{"--promiscuous false --monitor true", arguments{"promiscuous": "false", "monitor": "true"}},
		{"--extcap-capture-filter --weird", arguments{"extcap-capture-filter": "--weird"}}, // a value, whatever it looks like
		{"--brand-new --capture", arguments{"brand-new": "true", "capture": "true"}},
		{"--brand-new 7 --capture", arguments{"brand-new": "7", "capture": "true"}},
		{"stray --capture words", arguments{"capture": "true"}},
		{"--threshold=a=b", arguments{"threshold": "a=b"}},
		{"--fifo", arguments{"fifo": "true"}},
		{"--interface a --interface b", arguments{"interface": "b"}},
	} {
		if diff := cmp.Diff(tt.want, parseArguments(strings.Fields(tt.line), takesValue)); diff != "" {
			t.Errorf("%s: %s", tt.line, diff)
		}
	}
}

// FuzzParseArguments checks that no command line is too strange, and that what
// Wireshark wants is found wherever it stands.
func FuzzParseArguments(f *testing.F) {
	f.Add("--extcap-version=4.6", "--unknown", "x")
	f.Add("--", "--=", "=")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		args := []string{a, "--fifo", "F", b, "--extcap-interface=ai", c}
		flags := parseArguments(args, takesValue)
		swallowed := strings.HasPrefix(a, "--") && takesValue(strings.TrimPrefix(a, "--")) // it took --fifo for its value
		if !swallowed && flags["fifo"] != "F" && !strings.HasPrefix(b, "--fifo") && !strings.HasPrefix(c, "--fifo") {
			t.Errorf("%q: fifo %q", args, flags["fifo"])
		}
		_, _ = readSettings(flags)
	})
}

func TestReadSettings(t *testing.T) {
	standard := settings{
		capture:   dumpcap.Config{SnapLen: maxSnapLen, BufferMB: 16},
		threshold: 0.8, comments: rewrite.CommentFlagged, context: 5, speed: 1,
	}
	for _, tt := range []struct {
		flags arguments
		want  func(s *settings)
	}{
		{arguments{}, func(*settings) {}},
		{arguments{"snaplen": "", "threshold": " ", "comments": "", "replay": "", "interface": ""}, func(*settings) {}},
		{arguments{"interface": "eth0,wlan0"}, func(s *settings) { s.capture.Interfaces = []string{"eth0", "wlan0"} }},
		{arguments{"promiscuous": "false", "monitor": "TRUE"}, func(s *settings) { s.capture.NoPromiscuous, s.capture.Monitor = true, true }},
		{arguments{"snaplen": "96", "buffer": " 64 "}, func(s *settings) { s.capture.SnapLen, s.capture.BufferMB = 96, 64 }},
		{arguments{"timestamps": "adapter"}, func(s *settings) { s.capture.TimestampType = "adapter" }},
		{arguments{"timestamps": "default"}, func(*settings) {}},
		{arguments{"filter": "tcp"}, func(s *settings) { s.capture.Filter = "tcp" }},
		{arguments{"filter": "tcp", "extcap-capture-filter": "port 1 or port 2"}, func(s *settings) {
			s.capture.Filter = "(port 1 or port 2) and (tcp)"
		}},
		{arguments{"extcap-capture-filter": "port 1"}, func(s *settings) { s.capture.Filter = "port 1" }},
		{arguments{"threshold": "0,9", "comments": "all"}, func(s *settings) { s.threshold, s.comments = 0.9, rewrite.CommentAll }},
		{arguments{"baseline": "/a b.baseline", "alarms": "0,5"}, func(s *settings) { s.baseline, s.alarms = "/a b.baseline", 0.5 }},
		{arguments{"nofeedback": "true"}, func(s *settings) { s.noFeedback = true }},
		{arguments{"onlyflagged": "true", "context": "0"}, func(s *settings) { s.onlyFlagged, s.context = true, 0 }},
		{arguments{"replay": "/a b.pcapng", "speed": "max"}, func(s *settings) { s.replay, s.speed = "/a b.pcapng", 0 }},
		{arguments{"speed": "2.5", "annotator": "unix:/a"}, func(s *settings) { s.speed, s.annotator = 2.5, "unix:/a" }},
	} {
		want := standard
		tt.want(&want)
		got, err := readSettings(tt.flags)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{}), cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%v: %v %s", tt.flags, err, diff)
		}
	}
	for name, values := range map[string][]string{
		"promiscuous": {"maybe"}, "snaplen": {"63", "261889", "1e3"}, "buffer": {"0", "1025", "x"},
		"threshold": {"-0.1", "1.1", "NaN"}, "alarms": {"-1", "Inf", "NaN", "few"}, "comments": {"some"}, "context": {"-1", "10001"}, "speed": {"0", "-1", "Inf", "NaN", "fast"},
	} {
		for _, value := range values {
			if s, err := readSettings(arguments{name: value}); err == nil || !strings.HasPrefix(err.Error(), "--"+name+" "+value+": ") {
				t.Errorf("--%s %q: %+v, %v", name, value, s, err)
			}
		}
	}
}

// TestOptionNames checks what makes an option usable as extcap.ai.<name>:
// Wireshark leaves out whatever is no letter or digit.
func TestOptionNames(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range options() {
		if o.name != strings.ToLower(o.name) || strings.ContainsAny(o.name, "-_. ") || seen[o.name] {
			t.Errorf("name %q", o.name)
		}
		seen[o.name] = true
		if o.arg.Display == "" || o.arg.Tooltip == "" || o.arg.Group == "" {
			t.Errorf("%s: %+v", o.name, o.arg)
		}
	}
}
