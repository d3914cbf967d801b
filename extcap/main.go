// Command ampulla-extcap is the interface "AI capture" of Wireshark and tshark:
// it captures by dumpcap, has the annotator judge every frame, and hands the
// frames on with their verdicts as comments. Wireshark runs it, see extcap(4).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// version is set by the build, see Makefile.
var version = "0.1.0-dev"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `ampulla-extcap is the interface "AI capture" of Wireshark, which runs it.
"tshark -D" lists it as "ai" once it is in the folder that the line "Personal
Extcap path" of "tshark -G folders" names (Wireshark 4.0: ~/.config/wireshark/extcap).

   tshark -i ai
   tshark -i ai -o extcap.ai.interface:eth0 -f 'not port 22' -Y 'ai.anomaly.score > 0.8'
   tshark -i ai -o extcap.ai.replay:saved.pcapng -o extcap.ai.speed:10

Options, each as -o extcap.ai.<name>:<value>:

`

// run is the whole program; it returns the exit code. Nothing but the reason of
// a failure goes to stderr: Wireshark shows whatever is there as an error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := parseArguments(args, takesValue)
	var err error
	switch {
	case flags.has("version"):
		_, err = fmt.Fprintf(stdout, "ampulla-extcap version %s\n", version)
	case flags.has("help"):
		err = printUsage(stdout)
	case flags.has("capture"):
		err = capture(ctx, flags)
	default:
		err = answer(ctx, flags, stdout)
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "ampulla-extcap: error: %v\n", err)
	if h := hint(err); h != "" {
		fmt.Fprintf(stderr, "ampulla-extcap: hint: %s\n", h)
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

func takesValue(name string) bool {
	return slices.Contains(valued, name) || slices.ContainsFunc(options(), func(o option) bool { return o.name == name })
}

func printUsage(w io.Writer) error {
	if _, err := io.WriteString(w, usage); err != nil {
		return err
	}
	for _, o := range options() {
		standard := o.standard()
		if standard == "" {
			standard = "-"
		}
		if _, err := fmt.Fprintf(w, "   %-12s %-8s %s\n", o.name, standard, o.arg.Tooltip); err != nil {
			return err
		}
	}
	return nil
}

// usageError is an error of whoever typed the command.
type usageError string

func (e usageError) Error() string { return string(e) }

// hintError adds what the user can do about an error.
type hintError struct {
	err  error
	hint string
}

func (e hintError) Error() string { return e.err.Error() }
func (e hintError) Unwrap() error { return e.err }
