//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/assistant"
	"ampulla/grpc/analysis"
	"ampulla/grpc/client"
	"ampulla/grpc/mcp"
	annotatorv1 "ampulla/proto/annotator/v1"
)

func mcpCommand() *cli.Command {
	folder := func() cli.Flag {
		return &cli.StringSliceFlag{Name: "folder", Usage: "captures are read from and written to below this `FOLDER`; can be repeated", DefaultText: "your home folder"}
	}
	clients := &cli.StringSliceFlag{Name: "client", Usage: "only this `CLIENT`; can be repeated: " + assistant.Names()}
	return &cli.Command{
		Name:      "mcp",
		Usage:     "let an assistant look at captures (Model Context Protocol)",
		ArgsUsage: " ",
		Description: `Speaks MCP on standard input and output; an assistant's program starts it. What
it finds comes from the annotator, which is started if need be.

   ampulla mcp install                         # into every assistant that is installed
   ampulla mcp --folder ~/captures             # what they then run`,
		Flags:  []cli.Flag{folder(), configFlag(), &cli.StringFlag{Name: "socket", Usage: "ask the annotator at `PATH`", DefaultText: "your own"}},
		Action: runMCP,
		Subcommands: []*cli.Command{{
			Name:      "install",
			Usage:     "write the configuration of assistants",
			ArgsUsage: " ",
			Description: `Adds Ampulla to the MCP servers of the assistants that are installed. The
configuration as it was is kept beside it, as FILE.before-ampulla.`,
			Flags:  []cli.Flag{folder(), clients},
			Action: func(c *cli.Context) error { return changeAssistants(c, true) },
		}, {
			Name:      "remove",
			Usage:     "take it out of them again",
			ArgsUsage: " ",
			Flags:     []cli.Flag{clients},
			Action:    func(c *cli.Context) error { return changeAssistants(c, false) },
		}},
	}
}

func runMCP(c *cli.Context) error {
	if c.Args().Present() {
		return usage(fmt.Sprintf("no command %q", "mcp "+c.Args().First()), "ampulla mcp --help")
	}
	set, err := settings(c)
	if err != nil {
		return err
	}
	if len(set.Listeners.HTTP.Folders) == 0 {
		home, err := os.UserHomeDir()
		if err != nil {
			return usage("--folder is needed: "+err.Error(), "")
		}
		set.SetList("listeners.http.folders", []string{home}, "home")
	}
	address := ""
	if set.Listeners.Socket != "" {
		address = "unix:" + set.Listeners.Socket
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	conn, err := client.Dial(c.Context, client.Config{Address: address, Program: program, Arguments: configArguments(set)})
	if err != nil {
		return err
	}
	defer conn.Close()
	cfg := storeConfig(set, annotatorv1.NewAnnotatorClient(client.Keeping{Conn: conn}))
	cfg.Client = "mcp"
	store, err := analysis.New(cfg)
	if err != nil {
		return err
	}
	defer store.Close()
	log := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return mcp.Run(c.Context, mcp.New(mcp.Config{Store: store, Version: version, Log: log, Report: reportByProgram(configArguments(set))}))
}

// maxReport bounds a report, in bytes; what is beyond is left out.
const maxReport = 1 << 20

// reportByProgram lets this program write the report of a capture, as somebody
// at the command line would, with more arguments: what it takes in memory goes
// with it.
func reportByProgram(arguments []string) func(ctx context.Context, path string) (string, error) {
	return func(ctx context.Context, path string) (string, error) {
		program, err := os.Executable()
		if err != nil {
			return "", err
		}
		command := exec.CommandContext(ctx, program, slices.Concat([]string{"report"}, arguments, []string{"-o", "-", "--", path})...)
		var out, complaints bytes.Buffer
		command.Stdout, command.Stderr = &bounded{&out, maxReport}, &bounded{&complaints, 4096}
		if err := command.Run(); err != nil {
			return "", fmt.Errorf("report: %w: %s", err, complaints.String())
		}
		return out.String(), nil
	}
}

// bounded keeps the first bytes of what is written.
type bounded struct {
	*bytes.Buffer
	room int
}

// Write takes all and keeps what there is room for.
func (b *bounded) Write(p []byte) (int, error) {
	n := min(b.room, len(p))
	b.room -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}

func changeAssistants(c *cli.Context, install bool) error {
	if c.Args().Present() {
		return usage("this takes no arguments", "--client NAME")
	}
	clients, err := assistant.Find(c.StringSlice("client"))
	if err != nil {
		return usageError{err, "there are " + assistant.Names()}
	}
	if len(clients) == 0 {
		return usage("no assistant is installed here", "name one with --client: "+assistant.Names())
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"mcp"}
	for _, folder := range c.StringSlice("folder") {
		path, err := filepath.Abs(folder)
		if err != nil {
			return err
		}
		args = append(args, "--folder", path)
	}
	for _, client := range clients {
		change := client.Remove
		if install {
			change = func() (string, error) { return client.Install(program, args) }
		}
		done, err := change()
		if err != nil {
			return err
		}
		fmt.Fprintf(c.App.Writer, "%s: %s\n", client.Name, done)
	}
	return nil
}
