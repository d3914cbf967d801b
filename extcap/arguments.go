package main

import (
	"slices"
	"strings"
)

// switches are the flags that take no value.
var switches = []string{
	"capture", "extcap-interfaces", "extcap-dlts", "extcap-config", "extcap-cleanup-postkill", "help", "version",
}

// valued are the flags of extcap that take a value; those of the options, which
// do too, are added to them.
var valued = []string{
	"extcap-interface", "extcap-capture-filter", "extcap-reload-option", "fifo", "extcap-control-in", "extcap-control-out",
}

// arguments are the flags of a command line and their values, "true" where they
// have none.
type arguments map[string]string

// parseArguments reads a command line: flags in any order, as "--flag value" or
// "--flag=value". Flags that are not known, such as those of later versions of
// Wireshark, take what follows for their value, unless that is a flag itself.
// The last one of several counts.
func parseArguments(args []string, takesValue func(name string) bool) arguments {
	flags := arguments{}
	for i := 0; i < len(args); i++ {
		name, ok := strings.CutPrefix(args[i], "--")
		if !ok {
			continue
		}
		name, value, found := strings.Cut(name, "=")
		if !found {
			value = "true"
			if i+1 < len(args) && (takesValue(name) || !slices.Contains(switches, name) && !strings.HasPrefix(args[i+1], "--")) {
				i++
				value = args[i]
			}
		}
		flags[name] = value
	}
	return flags
}

// has tells whether a flag was given.
func (a arguments) has(name string) bool {
	_, ok := a[name]
	return ok
}
