package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
	"ampulla/extcap/sentence"
)

// settings are what the options of an AI capture say.
type settings struct {
	capture dumpcap.Config

	threshold   float64
	alarms      float64 // an hour, by which the baseline chooses the threshold; 0: as it is
	comments    rewrite.Comments
	onlyFlagged bool
	noFeedback  bool
	context     int
	baseline    string // absolute path; empty: the annotator's own, if any
	annotator   string // address; empty: the user's own

	replay string  // file; empty: capture
	speed  float64 // multiple of the file's own pace; 0: as fast as possible
}

// maxSnapLen is the longest part of a frame that is captured, in bytes: with the
// head and the options of its block, it has to fit into the 262,144 bytes that
// Wireshark accepts from a capture program at once.
const maxSnapLen = maxBlock - 256

// maxContext bounds how many frames are held back.
const maxContext = 10_000

// Tabs of the dialog.
const (
	tabCapture  = "Capture"
	tabVerdicts = "Verdicts"
	tabSaved    = "Saved capture"
)

// option is one in the dialog, on the command line as --name, and in Wireshark's
// preferences as extcap.ai.name.
type option struct {
	name   string
	arg    sentence.Arg // without Number and Call
	values []sentence.Value
	set    func(s *settings, value string) error
}

// optionInterface is the name of the option that depends on the machine.
const optionInterface = "interface"

// options are all options, in the order of the dialog.
func options() []option {
	return slices.Concat(captureOptions(), verdictOptions(), savedOptions())
}

func captureOptions() []option {
	return []option{
		{name: optionInterface, arg: sentence.Arg{Display: "Interfaces", Type: sentence.MultiCheck, Group: tabCapture, Reload: true,
			Tooltip: "What to capture from; with none chosen, the first one that is no loopback interface"},
			set: func(s *settings, value string) error {
				s.capture.Interfaces = strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
				return nil
			}},
		{name: "filter", arg: sentence.Arg{Display: "Capture filter", Type: sentence.String, Group: tabCapture, Placeholder: "tcp port 443",
			Tooltip: "Capture only frames that pass; in addition to the filter given to Wireshark"},
			set: func(s *settings, value string) error { s.capture.Filter = value; return nil }},
		{name: "promiscuous", arg: sentence.Arg{Display: "Promiscuous mode", Type: sentence.Boolean, Group: tabCapture, Default: "true",
			Tooltip: "Capture what is meant for other machines too"},
			set: func(s *settings, value string) error {
				on, err := parseBool(value)
				s.capture.NoPromiscuous = !on
				return err
			}},
		{name: "monitor", arg: sentence.Arg{Display: "Monitor mode", Type: sentence.Boolean, Group: tabCapture, Default: "false",
			Tooltip: "Capture all Wi-Fi frames; most adapters leave their network for it"},
			set: func(s *settings, value string) (err error) { s.capture.Monitor, err = parseBool(value); return err }},
		{name: "snaplen", arg: sentence.Arg{Display: "Snap length in bytes", Type: sentence.Unsigned, Group: tabCapture,
			Default: strconv.Itoa(maxSnapLen), Range: fmt.Sprintf("64,%d", maxSnapLen),
			Tooltip: "Longest part of a frame to capture"},
			set: func(s *settings, value string) (err error) {
				s.capture.SnapLen, err = parseInt(value, 64, maxSnapLen)
				return err
			}},
		{name: "timestamps", arg: sentence.Arg{Display: "Time stamps", Type: sentence.Selector, Group: tabCapture,
			Tooltip: "Who takes them; not every interface offers each"},
			values: []sentence.Value{
				{Value: "default", Display: "The interface's own choice", Default: true},
				{Value: "host", Display: "Host"},
				{Value: "host_lowprec", Display: "Host, low precision"},
				{Value: "host_hiprec", Display: "Host, high precision"},
				{Value: "host_hiprec_unsynced", Display: "Host, high precision, not synchronised"},
				{Value: "adapter", Display: "Adapter"},
				{Value: "adapter_unsynced", Display: "Adapter, not synchronised"},
			},
			set: func(s *settings, value string) error {
				s.capture.TimestampType = strings.TrimPrefix(value, "default")
				return nil
			}},
		{name: "buffer", arg: sentence.Arg{Display: "Kernel buffer in MiB", Type: sentence.Unsigned, Group: tabCapture,
			Default: "16", Range: "1,1024", Tooltip: "Where frames wait for being captured"},
			set: func(s *settings, value string) (err error) {
				s.capture.BufferMB, err = parseInt(value, 1, 1024)
				return err
			}},
	}
}

func verdictOptions() []option {
	return []option{
		{name: "threshold", arg: sentence.Arg{Display: "Threshold", Type: sentence.Double, Group: tabVerdicts,
			Default: strconv.FormatFloat(verdict.AnomalousScore, 'g', -1, 64), Range: "0,1",
			Tooltip: "Frames with a higher score are flagged; about one benign frame in a thousand scores 0.8 or more"},
			set: func(s *settings, value string) (err error) { s.threshold, err = parseShare(value); return err }},
		{name: "baseline", arg: sentence.Arg{Display: "Baseline", Type: sentence.FileSelect, Group: tabVerdicts, MustExist: true,
			Tooltip: "What is normal on your network, as ampulla baseline learn wrote it; empty: the annotator's own, if any"},
			set: func(s *settings, value string) (err error) {
				if value != "" {
					s.baseline, err = filepath.Abs(value)
				}
				return err
			}},
		{name: "alarms", arg: sentence.Arg{Display: "Alarms an hour", Type: sentence.String, Group: tabVerdicts, Placeholder: "1", Validation: "^([0-9]+([.,][0-9]+)?)?$",
			Tooltip: "Have the baseline choose a threshold above which so many new incidents are to be expected; empty: the threshold above"},
			set: func(s *settings, value string) (err error) {
				if value != "" {
					s.alarms, err = parseBudget(value)
				}
				return err
			}},
		{name: "nofeedback", arg: sentence.Arg{Display: "Without feedback", Type: sentence.Boolean, Group: tabVerdicts, Default: "false",
			Tooltip: "Leave out what people said is normal here, or bad"},
			set: func(s *settings, value string) (err error) { s.noFeedback, err = parseBool(value); return err }},
		{name: "comments", arg: sentence.Arg{Display: "Comments", Type: sentence.Selector, Group: tabVerdicts,
			Tooltip: "Which frames carry their verdict as a comment"},
			values: []sentence.Value{
				{Value: string(rewrite.CommentFlagged), Display: "On flagged frames", Default: true},
				{Value: string(rewrite.CommentAll), Display: "On all frames"},
				{Value: string(rewrite.CommentNone), Display: "None"},
			},
			set: func(s *settings, value string) error {
				s.comments = rewrite.Comments(value)
				return oneOf(value, string(rewrite.CommentFlagged), string(rewrite.CommentAll), string(rewrite.CommentNone))
			}},
		{name: "onlyflagged", arg: sentence.Arg{Display: "Only flagged frames", Type: sentence.Boolean, Group: tabVerdicts, Default: "false",
			Tooltip: "Leave all others out of the capture"},
			set: func(s *settings, value string) (err error) { s.onlyFlagged, err = parseBool(value); return err }},
		{name: "context", arg: sentence.Arg{Display: "Frames around them", Type: sentence.Unsigned, Group: tabVerdicts,
			Default: "5", Range: fmt.Sprintf("0,%d", maxContext),
			Tooltip: "So many frames right before and behind each flagged one stay as well"},
			set: func(s *settings, value string) (err error) {
				s.context, err = parseInt(value, 0, maxContext)
				return err
			}},
		{name: "annotator", arg: sentence.Arg{Display: "Annotator", Type: sentence.String, Group: tabVerdicts, Placeholder: "unix:/path",
			Tooltip: "Address of the annotator, unix:<path>; empty: your own, which is started when needed"},
			set: func(s *settings, value string) error { s.annotator = value; return nil }},
	}
}

func savedOptions() []option {
	return []option{
		{name: "replay", arg: sentence.Arg{Display: "File", Type: sentence.FileSelect, Group: tabSaved, MustExist: true,
			Tooltip: "A saved capture to take instead of the interfaces; for demonstrations, tests and training"},
			set: func(s *settings, value string) error { s.replay = value; return nil }},
		{name: "speed", arg: sentence.Arg{Display: "Speed", Type: sentence.String, Group: tabSaved, Default: "1", Validation: "^(max|[0-9]+([.,][0-9]+)?)$",
			Tooltip: "1: at its own pace; 10: ten times as fast; max: as fast as possible"},
			set: func(s *settings, value string) (err error) { s.speed, err = parseSpeed(value); return err }},
	}
}

// readSettings takes the options from a command line. What is not given, or
// empty, has the default that the dialog shows.
func readSettings(flags arguments) (settings, error) {
	var s settings
	for _, o := range options() {
		value := strings.TrimSpace(flags[o.name])
		if value == "" {
			value = o.standard()
		}
		if err := o.set(&s, value); err != nil {
			return s, fmt.Errorf("--%s %s: %w", o.name, value, err)
		}
	}
	s.capture.Filter = bothFilters(flags["extcap-capture-filter"], s.capture.Filter)
	return s, nil
}

// standard is an option's default.
func (o option) standard() string {
	for _, v := range o.values {
		if v.Default {
			return v.Value
		}
	}
	return o.arg.Default
}

// bothFilters joins two capture filters, each of which may be empty.
func bothFilters(a, b string) string {
	if strings.TrimSpace(a) == "" {
		return b
	}
	if strings.TrimSpace(b) == "" {
		return a
	}
	return "(" + a + ") and (" + b + ")"
}

func parseBool(value string) (bool, error) {
	b, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil {
		return false, fmt.Errorf("neither true nor false")
	}
	return b, nil
}

func parseInt(value string, from, to int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < from || n > to {
		return 0, fmt.Errorf("not a whole number from %d to %d", from, to)
	}
	return n, nil
}

// parseShare reads a number from 0 to 1, with the comma of some languages too.
// parseNumber reads a number with a point or, as people write who have one, a comma.
func parseNumber(value string) (float64, error) {
	return strconv.ParseFloat(strings.Replace(value, ",", ".", 1), 64)
}

func parseShare(value string) (float64, error) {
	x, err := parseNumber(value)
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("not a number from 0 to 1")
	}
	return x, nil
}

func parseBudget(value string) (float64, error) {
	x, err := parseNumber(value)
	if err != nil || !(x >= 0) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("not a number from 0 on")
	}
	return x, nil
}

func parseSpeed(value string) (float64, error) {
	if value == "max" {
		return 0, nil
	}
	x, err := parseNumber(value)
	if err != nil || !(x > 0) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("neither max nor a number above 0")
	}
	return x, nil
}

func oneOf(value string, known ...string) error {
	if !slices.Contains(known, value) {
		return fmt.Errorf("none of %s", strings.Join(known, ", "))
	}
	return nil
}
