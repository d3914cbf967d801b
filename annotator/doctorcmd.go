//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/doctor"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "find what keeps Ampulla from working here, with the command that mends it",
		ArgsUsage: " ",
		Description: `Asks each Wireshark what it runs, has it show a packet's verdict, and looks at
capturing, the annotator and the models. It changes nothing. The exit code is 1
if something needs doing. --json is the same for support.

   ampulla doctor
   ampulla doctor --json > doctor.json`,
		Flags: []cli.Flag{
			userFlag(), fromFlag(), libraryFlag(),
			&cli.BoolFlag{Name: "json", Usage: "write JSON"},
		},
		Action: runDoctor,
	}
}

func runDoctor(c *cli.Context) error {
	cfg, err := pluginConfig(c)
	if err != nil {
		return err
	}
	report := doctor.Examine(c.Context, doctor.Config{Version: version, Plugin: cfg, Library: c.String("onnxruntime")})
	if err := c.Err(); err != nil {
		return err
	}
	if c.Bool("json") {
		encoder := json.NewEncoder(c.App.Writer)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		err = encoder.Encode(report)
	} else {
		err = showReport(c.App.Writer, report)
	}
	if err == nil && report.Wrong > 0 {
		return fmt.Errorf("%d of these need something done", report.Wrong)
	}
	return err
}

// showReport writes a report for people: one line for each finding, with what
// mends it below.
func showReport(w io.Writer, report doctor.Report) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Ampulla %s on %s, user %s\n", report.Version, report.System, report.User)
	for _, section := range report.Sections {
		text.WriteString("\n" + section.Title + "\n")
		for _, finding := range section.Findings {
			fmt.Fprintf(&text, "  %-9s  %s", finding.State, finding.About)
			if finding.Detail != "" {
				text.WriteString(": " + finding.Detail)
			}
			text.WriteString("\n")
			if finding.Mend != "" {
				fmt.Fprintf(&text, "  %9s  mend: %s\n", "", finding.Mend)
			}
		}
	}
	if report.Wrong == 0 {
		text.WriteString("\nAll is well.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
