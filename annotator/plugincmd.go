//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/output"
	"ampulla/annotator/plugin"
)

func pluginCommand() *cli.Command {
	return &cli.Command{
		Name:  "plugin",
		Usage: "put Ampulla into Wireshark, take it out again, or see what is there",
		Description: `Installs for the user who runs it, or for everyone when root does.

   ampulla plugin install
   ampulla plugin status`,
		HideHelpCommand: true,
		Subcommands:     []*cli.Command{pluginInstallCommand(), pluginRemoveCommand(), pluginStatusCommand(), pluginProfileCommand()},
		Action: func(c *cli.Context) error {
			return usage("plugin needs one of install, remove, status and profile", "ampulla plugin --help")
		},
	}
}

func pluginInstallCommand() *cli.Command {
	return &cli.Command{
		Name:      "install",
		Usage:     "put the plugin into every Wireshark of this machine, or update it",
		ArgsUsage: " ",
		Description: `Says what it did with each file. Copies of the plugin that an older layout left
are removed. Do it again at any time, for instance after an update of Wireshark.

   ampulla plugin install --service`,
		Flags: []cli.Flag{
			userFlag(), fromFlag(),
			&cli.BoolFlag{Name: "service", Usage: "let systemd start the annotator, in each user's session"},
			&cli.BoolFlag{Name: "with-program", Usage: "install the program too, in ~/.local/bin or /usr/local/bin; install.sh does it so"},
		},
		Action: runPluginInstall,
	}
}

func pluginRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "remove the files that plugin install has put there",
		ArgsUsage:   " ",
		Description: "The program itself stays unless told otherwise.\n\n   ampulla plugin remove",
		Flags: []cli.Flag{userFlag(),
			&cli.BoolFlag{Name: "with-program", Usage: "remove the program too, if plugin install or install.sh has installed it"}},
		Action: runPluginRemove,
	}
}

func pluginStatusCommand() *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "tell which files each Wireshark finds; ampulla doctor looks at everything",
		ArgsUsage:   " ",
		Description: "The exit code is 1 if something needs doing; what, comes last.\n\n   ampulla plugin status",
		Flags:       []cli.Flag{userFlag(), fromFlag()},
		Action:      runPluginStatus,
	}
}

func pluginProfileCommand() *cli.Command {
	return &cli.Command{
		Name:      "profile",
		Usage:     "write the profile AI as a zip file, for a Wireshark elsewhere",
		ArgsUsage: "FILE",
		Description: `Columns, colours and filter buttons. In Wireshark: Edit > Configuration Profiles,
Import, from zip file.

   ampulla plugin profile AI.zip`,
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return usage("plugin profile needs the name of a file", "ampulla plugin profile AI.zip")
			}
			out, err := output.Create(c.Args().First(), c.App.Writer)
			if err != nil {
				return err
			}
			defer out.Discard() // does nothing once in place
			if err := plugin.WriteProfile(out); err != nil {
				return err
			}
			return out.Commit()
		},
	}
}

func userFlag() cli.Flag {
	return &cli.BoolFlag{Name: "user", Usage: "for this user only, even if that is root"}
}

func fromFlag() cli.Flag {
	return &cli.StringFlag{Name: "from", Usage: "look for the files of the build in `FOLDER` first, then beside the program and in its lib/ampulla"}
}

// pluginConfig reads what the subcommands have in common.
func pluginConfig(c *cli.Context) (plugin.Config, error) {
	if c.Args().Present() {
		return plugin.Config{}, usage(strings.TrimPrefix(c.Command.HelpName, "ampulla ")+" takes no arguments", "")
	}
	cfg, err := plugin.For(os.Geteuid() == 0 && !c.Bool("user"))
	if from := c.String("from"); from != "" {
		cfg.From = append([]string{from}, cfg.From...)
	}
	return cfg, err
}

// findWiresharks returns the Wiresharks of this machine.
func findWiresharks(c *cli.Context) ([]plugin.Wireshark, error) {
	sharks, err := plugin.Find(c.Context)
	if err != nil {
		return nil, hintError{err, "install Wireshark's command line, such as Debian's package tshark"}
	}
	for _, shark := range sharks {
		if shark.IsOld() {
			note(c, fmt.Sprintf("the plugin is made for Wireshark 4.0 and newer; %s is %s", shark.Program, shark.Version))
		}
	}
	return sharks, nil
}

func runPluginInstall(c *cli.Context) error {
	cfg, err := pluginConfig(c)
	if err != nil {
		return err
	}
	cfg.Program, cfg.Service = c.Bool("with-program"), c.Bool("service")
	sharks, err := findWiresharks(c)
	if err != nil {
		return err
	}
	items, err := plugin.Install(c.Context, cfg, sharks)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted, and nothing was changed")
	}
	if err != nil {
		return err
	}
	showItems(c, items)
	if cfg.HasService() {
		startService(c, cfg)
	}
	return nil
}

// startService makes systemd listen now, and says how to where it cannot.
func startService(c *cli.Context, cfg plugin.Config) {
	if !cfg.Everyone {
		if plugin.StartService(c.Context) == nil {
			return
		}
	}
	note(c, "systemd starts the annotator in sessions from the next log-in on; in this one: "+plugin.StartCommand)
}

func runPluginRemove(c *cli.Context) error {
	cfg, err := pluginConfig(c)
	if err != nil {
		return err
	}
	cfg.Program = c.Bool("with-program")
	if cfg.HasService() && !cfg.Everyone {
		_ = plugin.StopService(c.Context) // without systemd nothing has been started
	}
	items, err := plugin.Remove(cfg)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		note(c, "nothing was installed")
	}
	showItems(c, items)
	return nil
}

func runPluginStatus(c *cli.Context) error {
	cfg, err := pluginConfig(c)
	if err != nil {
		return err
	}
	sharks, err := findWiresharks(c)
	if err != nil {
		return err
	}
	var mends []string
	for _, shark := range sharks {
		items, err := plugin.Status(c.Context, cfg, shark)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "Wireshark %s (%s)\n", shark.Version, shark.Program)
		mends = append(mends, showItems(c, items)...)
	}
	items, err := plugin.ServiceStatus(cfg)
	if err != nil {
		return err
	}
	if len(items) > 0 {
		fmt.Fprintln(c.App.Writer, "systemd")
		mends = append(mends, showItems(c, items)...)
	}
	if len(mends) > 0 {
		slices.Sort(mends)
		return hintError{fmt.Errorf("%d of these need something done", len(mends)), strings.Join(slices.Compact(mends), "; ")}
	}
	return nil
}

func note(c *cli.Context, text string) { fmt.Fprintln(c.App.ErrWriter, "ampulla:", text) }

// showItems prints one line for each file, and returns what mends those that
// need it.
func showItems(c *cli.Context, items []plugin.Item) (mends []string) {
	for _, item := range items {
		line := fmt.Sprintf("  %-9s  %s", item.State, item.Path)
		if item.Detail != "" {
			line += " (" + item.Detail + ")"
		}
		fmt.Fprintln(c.App.Writer, line)
		if item.Mend != "" {
			mends = append(mends, item.Mend)
		}
	}
	return mends
}
