package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkQueries asks the program, as Wireshark does, all that it asks. Each
// answer should take less than 50 ms; that with the interfaces takes dumpcap -D
// and what is added.
func BenchmarkQueries(b *testing.B) {
	built, err := programs()
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(built, "ampulla-extcap")
	for name, args := range map[string][]string{
		"interfaces":    {program, "--extcap-interfaces", "--extcap-version=4.0"},
		"dlts":          {program, "--extcap-dlts", "--extcap-interface", "ai"},
		"config":        {program, "--extcap-config", "--extcap-interface", "ai"},
		"reload":        {program, "--extcap-config", "--extcap-interface", "ai", "--extcap-reload-option", "interface"},
		"filter":        {program, "--extcap-interface", "ai", "--extcap-capture-filter", "tcp port 443"},
		"cleanup":       {program, "--extcap-cleanup-postkill", "--extcap-interface", "ai"},
		"plain_dumpcap": {"dumpcap", "-D", "-M"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
		})
	}
}
