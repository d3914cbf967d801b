package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ampulla/annotator/plugin"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){
		"ampulla": func() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/*.txtar: commands as a user types them, and what
// they print. In them $CAPTURES is the project's own folder of captures.
func TestScripts(t *testing.T) {
	captures, err := filepath.Abs("../testdata/captures")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CAPTURES", captures)
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir) // not what the developer configured
			// Where the installer puts ONNX Runtime depends on the real home.
			env.Setenv("AMPULLA_ONNXRUNTIME", os.Getenv("AMPULLA_ONNXRUNTIME"))
			if home, err := os.UserHomeDir(); err == nil {
				env.Setenv("HOME", home)
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "plugin-for-everyone" {
				return false, fmt.Errorf("no condition %q", name)
			}
			sharks, err := plugin.Find(t.Context())
			return slices.ContainsFunc(sharks, plugin.Wireshark.ForEveryone), err
		},
	})
}
