package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ampulla/annotator/dumpcap"
)

// mostInterfaces bounds how many interfaces are asked for their time stamps: each
// takes a dumpcap of its own.
const mostInterfaces = 16

// captureSection looks at dumpcap, and at what it may do.
func captureSection(ctx context.Context) Section {
	section := Section{Title: "Capturing"}
	add := func(f Finding) { section.Findings = append(section.Findings, f) }
	program, err := dumpcap.Find()
	if err != nil {
		add(failed("dumpcap", err, installTshark()))
		return section
	}
	interfaces, err := program.Interfaces(ctx)
	if err == nil {
		// Only who may open an interface can compile a filter for it.
		err = program.CheckFilter(ctx, anInterface(interfaces), "ip")
	}
	rights := program.Rights().String()
	if err != nil {
		add(failed(string(program), err, "look at: dumpcap -D"))
		add(Finding{State: "info", About: string(program), Detail: rights})
	} else {
		add(Finding{State: "ok", About: string(program), Detail: "you may capture (" + rights + ")"})
	}
	section.Findings = append(section.Findings, timestamps(ctx, program, interfaces)...)
	return section
}

// anInterface returns the name of an interface that any machine has.
func anInterface(list []dumpcap.Interface) string {
	for _, netif := range list {
		if netif.Loopback {
			return netif.Name
		}
	}
	return ""
}

// timestamps tells who can take the time stamps, one finding for all interfaces of
// which the same is said.
func timestamps(ctx context.Context, program dumpcap.Program, interfaces []dumpcap.Interface) []Finding {
	var list []Finding
	for _, netif := range interfaces[:min(len(interfaces), mostInterfaces)] {
		types, err := program.TimestampTypes(ctx, netif.Name)
		var names []string
		for _, t := range types {
			names = append(names, t.Name)
		}
		says := "time stamps by " + strings.Join(names, ", ")
		switch {
		case err != nil:
			says = "cannot be captured from now"
		case len(names) == 0:
			says = "time stamps by the kernel"
		}
		if i := slices.IndexFunc(list, func(f Finding) bool { return f.Detail == says }); i >= 0 {
			list[i].About += ", " + netif.Name
		} else {
			list = append(list, Finding{State: "info", About: netif.Name, Detail: says})
		}
	}
	return list
}

// failed is a finding about an error of dumpcap's, which knows what mends it.
func failed(about string, err error, otherwise string) Finding {
	finding := Finding{"failed", about, err.Error(), otherwise}
	if problem, ok := errors.AsType[*dumpcap.Error](err); ok && problem.Hint != "" {
		// "why; run: command; then what else"
		if why, command, ok := strings.Cut(problem.Hint, "run: "); ok {
			command, then, _ := strings.Cut(command, "; then ")
			finding.Detail, finding.Mend = finding.Detail+"; "+strings.TrimRight(why, "; "), command
			if then != "" {
				finding.Detail += "; " + then + " afterwards"
			}
		} else {
			finding.Mend = problem.Hint
		}
	}
	return finding
}
