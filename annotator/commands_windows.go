package main

import "github.com/urfave/cli/v2"

// commands lists what the program can do on Windows: what needs files only. The
// annotator's socket, and with it whatever asks it, is not made for Windows yet.
func commands() []*cli.Command {
	return []*cli.Command{annotateCommand(), reportCommand(), baselineCommand(), configCommand(), evalCommand()}
}

// listenFlags are those of serve, which is not here.
func listenFlags() []cli.Flag { return nil }
