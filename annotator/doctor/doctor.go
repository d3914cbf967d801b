// Package doctor finds out what keeps Ampulla from working on a machine, and
// names the command that mends it. It asks the programs themselves, down to a
// packet that each tshark has judged by an annotator, and changes nothing.
package doctor

import (
	"context"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strings"

	"ampulla/annotator/plugin"
)

// Config says what to look at.
type Config struct {
	// Version is that of the running program.
	Version string
	// Plugin is what is to be installed into each Wireshark; see [plugin.For].
	Plugin plugin.Config
	// Library is the path of ONNX Runtime, if the user names one.
	Library string
}

// Report is all that was found. Its JSON is for support.
type Report struct {
	Version     string            `json:"version"` // of the program that looked
	System      string            `json:"system"`  // distribution and processor
	User        string            `json:"user"`
	Environment map[string]string `json:"environment"` // variables that change where things are
	Wrong       int               `json:"wrong"`       // how many findings need something done
	Sections    []Section         `json:"sections"`
}

// Section is what was found of one part.
type Section struct {
	Title    string    `json:"title"`
	Findings []Finding `json:"findings"`
}

// Finding is one thing that was looked at.
type Finding struct {
	State  string `json:"state"`            // one word or two; "ok", "info" or what is wrong
	About  string `json:"about"`            // a path, an interface, ...
	Detail string `json:"detail,omitempty"` // in words
	Mend   string `json:"mend,omitempty"`   // the command that mends it; empty if nothing is wrong
}

// environment lists the variables that change where things are looked for.
var environment = []string{
	"AMPULLA", "AMPULLA_SOCKET", "AMPULLA_ONNXRUNTIME", "AMPULLA_PROGRAM", "WIRESHARK_EXTCAP_DIR", "WIRESHARK_PLUGIN_DIR",
	"WIRESHARK_DATA_DIR", "WIRESHARK_RUN_FROM_BUILD_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PATH",
}

// Examine looks at everything. It takes a few seconds, or until ctx ends.
func Examine(ctx context.Context, cfg Config) Report {
	report := Report{Version: cfg.Version, System: system(), User: userName(), Environment: map[string]string{}}
	for _, name := range environment {
		if value, ok := os.LookupEnv(name); ok {
			report.Environment[name] = value
		}
	}
	models := modelSection(cfg)
	annotator, trial := annotatorSection(ctx, cfg)
	defer trial.end()
	report.Sections = slices.Concat(
		wiresharkSections(ctx, cfg, trial),
		[]Section{captureSection(ctx), annotator, models},
	)
	for _, section := range report.Sections {
		for _, finding := range section.Findings {
			if finding.Mend != "" {
				report.Wrong++
			}
		}
	}
	return report
}

// findings turns what package plugin says of files into findings.
func findings(items []plugin.Item) []Finding {
	var list []Finding
	for _, item := range items {
		list = append(list, Finding{item.State, item.Path, item.Detail, item.Mend})
	}
	return list
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// system names the distribution and the processor.
func system() string {
	name := runtime.GOOS
	text, _ := os.ReadFile("/etc/os-release") // empty elsewhere; see os-release(5)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			name = strings.Trim(value, `"'`)
		}
	}
	return name + ", " + runtime.GOARCH
}
