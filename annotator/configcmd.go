package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/config"
)

// flagKeys are the flags that win over a key of the configuration.
var flagKeys = map[string]string{
	"workers":      "limits.workers",
	"max-sessions": "limits.max_sessions",
	"max-memory":   "limits.max_memory",
	"baseline":     "baseline",
	"socket":       "listeners.socket",
	"idle":         "listeners.idle",
	"listen":       "listeners.grpc",
	"http":         "listeners.http.address",
	"metrics":      "listeners.http.metrics",
	"profiles":     "listeners.profiles",
	"folder":       "listeners.http.folders",
	"tls-cert":     "listeners.tls_cert",
	"tls-key":      "listeners.tls_key",
	"token-file":   "listeners.token_file",
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "read the configuration from the YAML `FILE`", DefaultText: "the one that is installed, if any"}
}

// settings returns what is in force for a command: the defaults, the file, the
// flags. Without --config the file is that of the user or of the machine.
func settings(c *cli.Context) (*config.Settings, error) {
	if c.String("config") == "" {
		s, err := config.Find()
		if err != nil {
			return nil, hintError{err, "put that right, or take the file away"}
		}
		return s, applyFlags(c, s)
	}
	return namedSettings(c)
}

// namedSettings is settings without a look for files that were not named: what
// is measured has to be measured alike everywhere.
func namedSettings(c *cli.Context) (*config.Settings, error) {
	s := config.Defaults()
	if path := c.String("config"); path != "" {
		var err error
		if s, err = config.Load(path); err != nil {
			return nil, err
		}
	}
	return s, applyFlags(c, s)
}

// configArguments make another process of this program read the same file.
func configArguments(s *config.Settings) []string {
	if s.Path == "" {
		return nil
	}
	path, _ := filepath.Abs(s.Path) // of a file that could be read
	return []string{"--config", path}
}

func applyFlags(c *cli.Context, s *config.Settings) error {
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		if key, ok := flagKeys[name]; ok && c.IsSet(name) {
			if list, ok := c.Value(name).(cli.StringSlice); ok {
				s.SetList(key, list.Value(), "--"+name)
				continue
			}
			if err := s.Set(key, fmt.Sprint(c.Value(name)), "--"+name); err != nil {
				return usageError{err, ""}
			}
		}
	}
	if err := s.Check(); err != nil {
		return usageError{err, ""} // the file has been checked
	}
	return nil
}

// workers is how many goroutines a command that judges one capture uses.
func workers(s *config.Settings) int { return cmp.Or(s.Limits.Workers, runtime.GOMAXPROCS(0)) }

func configCommand() *cli.Command {
	flags := []cli.Flag{configFlag(), workersFlag()}
	for _, flag := range listenFlags() {
		if !slices.Contains(flag.Names(), "config") {
			flags = append(flags, flag)
		}
	}
	return &cli.Command{
		Name:  "config",
		Usage: "show the configuration that is in force",
		Subcommands: []*cli.Command{{
			Name:      "show",
			Usage:     "print each value and where it comes from",
			ArgsUsage: " ",
			Description: `Prints a configuration file that says what is in force, with the place where
each value comes from beside it: the default, a line of the file, or a flag.

   ampulla config show
   ampulla config show --config my.yaml --idle 1h`,
			Flags:  flags,
			Action: runConfigShow,
		}},
	}
}

func runConfigShow(c *cli.Context) error {
	if c.Args().Present() {
		return usage("config show takes no arguments", "")
	}
	s, err := settings(c)
	if err != nil {
		return err
	}
	return s.Write(c.App.Writer)
}
