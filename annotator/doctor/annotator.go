package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/status"

	"ampulla/annotator/plugin"
	"ampulla/grpc/client"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// annotatorSection looks at the program that Wireshark starts, starts one for a
// trial, and asks the user's own if it is running.
func annotatorSection(ctx context.Context, cfg Config) (Section, *trial) {
	section := Section{Title: "Annotator"}
	add := func(f ...Finding) { section.Findings = append(section.Findings, f...) }
	program, err := client.FindProgramFrom("") // as Wireshark looks for it
	if err != nil {
		program = self()
		add(Finding{"missing", "ampulla", "Wireshark looks for it in ~/.local/bin, /usr/local/bin, /usr/bin and PATH; for now " + program + " is tried", reinstall(program)})
	} else {
		add(programFinding(ctx, cfg, program))
	}
	trial, info := begin(ctx, program)
	if trial.err != nil {
		add(Finding{"failed", program + " serve", trial.err.Error(), cmp.Or(trial.hint, reinstall(program))})
	} else {
		add(Finding{"ok", program + " serve", "version " + info.GetVersion() + " answers, with models " + info.GetModel(), ""})
	}
	add(runningFindings(ctx, cfg.Version)...)
	units, err := plugin.ServiceStatus(cfg.Plugin)
	if err != nil {
		add(Finding{"unreadable", "systemd's units", err.Error(), plugin.InstallCommand(cfg.Plugin.Everyone) + " --service"})
	}
	add(findings(units)...)
	add(pathFinding(program)...)
	return section, trial
}

// programFinding compares the program that Wireshark starts with this one.
func programFinding(ctx context.Context, cfg Config, program string) Finding {
	finding := Finding{State: "ok", About: program, Detail: "what Wireshark starts"}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	words := strings.Fields(string(out))
	switch {
	case err != nil || len(words) == 0:
		finding.State, finding.Detail, finding.Mend = "broken", "it does not run", reinstall(program)
		if err != nil {
			finding.Detail += ": " + err.Error()
		}
	case words[len(words)-1] != cfg.Version:
		finding.State = "differs"
		finding.Detail = "Wireshark starts this one, version " + words[len(words)-1] + "; this program is " + cfg.Version
		finding.Mend = program + " plugin install, or update it"
	}
	return finding
}

// runningFindings tell whether the user's annotator answers, and what has changed
// since its baseline was learned. Where systemd listens, asking starts it.
func runningFindings(ctx context.Context, version string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	finding := Finding{State: "ok", About: socket.Path()}
	conn, err := client.Dial(ctx, client.Config{Program: client.NoStart})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		finding.State, finding.Detail = "idle", "started when somebody asks"
		return []Finding{finding}
	}
	if err == nil {
		defer conn.Close()
		info, failure := client.Info(ctx, conn)
		if err = failure; err == nil {
			finding.State, finding.Detail = "running", "version "+info.GetVersion()
			switch {
			case info.GetReplaced():
				finding.Detail += ", which gives way to an update with the next capture"
			case info.GetVersion() != version:
				finding.Detail += ", not this program's; it ends when nobody has asked for a while"
			}
			return append([]Finding{finding}, baselineFindings(info.GetBaseline())...)
		}
	}
	finding.State, finding.Detail = "broken", status.Convert(err).Message()
	finding.Mend = "fuser -k " + socket.Path()
	return []Finding{finding}
}

// baselineFindings tell what an annotator measures against, if anything, and how
// what it has seen of late differs. That is news, but nothing to mend.
func baselineFindings(b *annotatorv1.Baseline) []Finding {
	if b == nil {
		return nil
	}
	list := []Finding{{State: "ok", About: b.GetFile(), Detail: fmt.Sprintf("the baseline, of %.1f hours; compared with %d packets of late", b.GetHours(), b.GetFrames())}}
	for _, c := range b.GetChanges() {
		list = append(list, Finding{State: "changed", About: c.GetWhat(), Detail: c.GetText()})
	}
	return list
}

// pathFinding says so if the shell does not find the program where it was
// installed.
func pathFinding(program string) []Finding {
	folder := filepath.Dir(program)
	if _, err := exec.LookPath("ampulla"); err == nil || !strings.HasSuffix(folder, "/.local/bin") {
		return nil
	}
	return []Finding{{"not in PATH", folder, "so the shell does not find ampulla",
		"echo 'export PATH=\"" + folder + ":$PATH\"' >> ~/.profile; export PATH=\"" + folder + ":$PATH\""}}
}

// self returns the path of the running program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return "ampulla"
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
