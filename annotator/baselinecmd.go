package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func baselineCommand() *cli.Command {
	return &cli.Command{
		Name:        "baseline",
		Usage:       "say what is normal on your network",
		Subcommands: []*cli.Command{feedbackCommand()},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage(fmt.Sprintf("no command %q", c.Args().First()), "ampulla baseline --help lists the commands")
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}
