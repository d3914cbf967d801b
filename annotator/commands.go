//go:build unix

package main

import "github.com/urfave/cli/v2"

// commands lists what the program can do, in the order of its help.
func commands() []*cli.Command {
	return []*cli.Command{
		annotateCommand(), reportCommand(), baselineCommand(), serveCommand(), mcpCommand(), configCommand(), pluginCommand(), doctorCommand(), evalCommand(),
	}
}
