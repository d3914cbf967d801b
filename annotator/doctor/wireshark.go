package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"ampulla/annotator/plugin"
)

// wiresharkSections looks at each Wireshark of the machine.
func wiresharkSections(ctx context.Context, cfg Config, trial *trial) []Section {
	sharks, problems := plugin.Search(ctx)
	var sections []Section
	for _, shark := range sharks {
		sections = append(sections, wiresharkSection(ctx, cfg, shark, trial))
	}
	var others []Finding
	for _, problem := range problems {
		others = append(others, broken("tshark", problem))
	}
	others = append(others, sandboxed()...)
	if len(others) > 0 {
		sections = append(sections, Section{"Other Wiresharks", others})
	}
	return sections
}

// wiresharkSection looks at one Wireshark.
func wiresharkSection(ctx context.Context, cfg Config, shark plugin.Wireshark, trial *trial) Section {
	section := Section{Title: fmt.Sprintf("Wireshark %s (%s)", shark.Version, shark.Program)}
	if shark.IsOld() {
		section.Findings = append(section.Findings,
			Finding{"too old", shark.Program, "the plugin is made for Wireshark 4.0 and newer", installTshark()})
	}
	items, err := plugin.Status(ctx, cfg.Plugin, shark)
	if err != nil {
		section.Findings = append(section.Findings, broken(shark.Program, err))
		return section
	}
	section.Findings = append(section.Findings, findings(items)...)
	if slices.ContainsFunc(items, plugin.Item.IsRunningScript) {
		section.Findings = append(section.Findings, trial.judge(ctx, shark, cfg.Plugin.Everyone))
	}
	return section
}

// broken is a finding about a tshark that does not say what it is asked. One that
// takes too long may be whole, on a machine that is busy.
func broken(about string, err error) Finding {
	if errors.Is(err, context.DeadlineExceeded) {
		return Finding{"busy", about, err.Error(), "time tshark --version; ampulla doctor"}
	}
	return Finding{"broken", about, err.Error(), installTshark()}
}

// sandboxed returns the Wiresharks that live in a sandbox, which keeps plugins of
// the system out.
func sandboxed() []Finding {
	var list []Finding
	for _, place := range []struct{ kind, path string }{
		{"Flatpak", "/var/lib/flatpak/app/org.wireshark.Wireshark"},
		{"Flatpak", filepath.Join(os.Getenv("HOME"), ".local/share/flatpak/app/org.wireshark.Wireshark")},
		{"Snap", "/snap/wireshark"},
	} {
		if _, err := os.Stat(place.path); err == nil {
			finding := Finding{"info", place.path, "from " + place.kind + ", whose sandbox keeps plugins out; verdicts are in the system's Wireshark only", ""}
			if _, err := exec.LookPath("tshark"); err != nil {
				finding.State, finding.Mend = "unusable", installTshark()
			}
			list = append(list, finding)
		}
	}
	return list
}

// disabled returns why Wireshark was told to show no verdicts, with the command
// that turns them on again; nothing if it was not.
func disabled(ctx context.Context, shark plugin.Wireshark) (why, mend string) {
	protocols := filepath.Join(shark.Settings, "disabled_protos")
	if text, err := os.ReadFile(protocols); err == nil {
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) == "ai" {
				return "the protocol is turned off in Analyze > Enabled Protocols", "sed -i '/^ai *$/d' '" + protocols + "'"
			}
		}
	}
	listing, _ := exec.CommandContext(ctx, shark.Program, "-G", "currentprefs").Output()
	for _, preference := range []string{"ai.enable", "ai.ask"} {
		if strings.Contains("\n"+string(listing), "\n"+preference+": FALSE") {
			return "the preference " + preference + " is off",
				"sed -i '/^" + preference + ":/d' '" + filepath.Join(shark.Settings, "preferences") + "'"
		}
	}
	return "", ""
}
