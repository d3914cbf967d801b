// Command ampulla says which packets of a capture deserve attention.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
)

// version is set by the build, see Makefile.
var version = "0.1.0-dev"

func main() {
	collectByShare()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is the whole program; it returns the exit code. Results go to stdout,
// everything for people to stderr, one line each and prefixed "ampulla:".
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name:            "ampulla",
		Usage:           "says which packets of a capture deserve attention, and why",
		Version:         version,
		HideHelpCommand: true,
		Reader:          stdin,
		Writer:          stdout,
		ErrWriter:       stderr,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    asUsageError,
		Commands:        commands(),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{fmt.Errorf("no command %q", c.Args().First()), "ampulla --help lists the commands"}
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = asUsageError
		for _, sub := range command.Subcommands {
			sub.OnUsageError = asUsageError
		}
	}
	err := app.RunContext(ctx, flagsFirst(app, args))
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "ampulla: error: %v\n", err)
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		fmt.Fprintf(stderr, "ampulla: hint: %s\n", hinted.Hint())
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// usageError is an error of whoever typed the command.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }
func (e usageError) Hint() string  { return e.hint }

func asUsageError(c *cli.Context, err error, _ bool) error {
	return usageError{err, c.Command.HelpName + " --help shows how"}
}

// hintError adds what the user can do about an error.
type hintError struct {
	err  error
	hint string
}

func (e hintError) Error() string { return e.err.Error() }
func (e hintError) Unwrap() error { return e.err }
func (e hintError) Hint() string  { return e.hint }

// flagsFirst moves a command's flags before its arguments, so that people can
// write them anywhere, as with other tools; urfave/cli stops at the first
// argument. Everything behind "--" stays where it is.
func flagsFirst(app *cli.App, args []string) []string {
	first, command := 1, &cli.Command{Subcommands: app.Commands} // the first argument of command
	for first < len(args) && len(command.Subcommands) > 0 {
		i := slices.IndexFunc(command.Subcommands, func(sub *cli.Command) bool { return sub.HasName(args[first]) })
		if i < 0 {
			return args
		}
		first, command = first+1, command.Subcommands[i]
	}
	takesValue := map[string]bool{}
	for _, flag := range command.Flags {
		_, isBool := flag.(*cli.BoolFlag)
		for _, name := range flag.Names() {
			takesValue[name] = !isBool
		}
	}
	flags, rest := args[:first:first], []string(nil)
	for i := first; i < len(args); i++ {
		arg := args[i]
		switch name := strings.TrimLeft(arg, "-"); {
		case arg == "--":
			return append(append(flags, rest...), args[i:]...)
		case name == arg || name == "": // an argument, "-" included
			rest = append(rest, arg)
		default:
			flags = append(flags, arg)
			if takesValue[name] && i+1 < len(args) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	return append(flags, rest...)
}
