package assistant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// home makes a home folder with that file.
func home(t *testing.T, name, text string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, ".config"))
	path = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir, path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestInstall checks that what others configured stays as it is and in its
// order, that installing twice changes nothing, and that removing undoes it.
func TestInstall(t *testing.T) {
	before := `{"zebra": 1, "mcpServers": {"other": {"command": "x", "env": {"b": "1", "a": "2"}}}, "alpha": [1,2]}`
	_, path := home(t, ".cursor/mcp.json", before)
	clients, err := Find(nil)
	if err != nil || len(clients) != 1 || clients[0].Name != "cursor" {
		t.Fatalf("%v, %v", clients, err)
	}
	c := clients[0]
	if done, err := c.Install("/usr/local/bin/ampulla", []string{"mcp", "--folder", "/data"}); err != nil || done != "added to "+path {
		t.Fatalf("%s, %v", done, err)
	}
	want := `{
  "zebra": 1,
  "mcpServers": {
    "other": {
      "command": "x",
      "env": {
        "b": "1",
        "a": "2"
      }
    },
    "ampulla": {
      "args": [
        "mcp",
        "--folder",
        "/data"
      ],
      "command": "/usr/local/bin/ampulla"
    }
  },
  "alpha": [
    1,
    2
  ]
}
`
	if got := readFile(t, path); got != want {
		t.Errorf("%s", got)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if got := readFile(t, path+beside); got != before {
		t.Errorf("kept: %s", got)
	}
	if done, err := c.Install("/usr/local/bin/ampulla", []string{"mcp", "--folder", "/data"}); err != nil || !strings.HasPrefix(done, "nothing to do") {
		t.Errorf("again: %s, %v", done, err)
	}
	if got := readFile(t, path+beside); got != before {
		t.Errorf("kept, again: %s", got)
	}
	if done, err := c.Remove(); err != nil || done != "removed from "+path {
		t.Errorf("%s, %v", done, err)
	}
	if got := readFile(t, path); strings.Contains(got, "ampulla") || !strings.Contains(got, `"other"`) {
		t.Errorf("removed: %s", got)
	}
	if done, err := c.Remove(); err != nil || !strings.HasPrefix(done, "nothing to do") {
		t.Errorf("removed twice: %s, %v", done, err)
	}
}

func TestInstallAnew(t *testing.T) {
	dir, _ := home(t, "x", "")
	clients, err := Find([]string{"vscode"})
	if err != nil || len(clients) != 1 {
		t.Fatalf("%v, %v", clients, err)
	}
	if _, err := clients[0].Install("ampulla", []string{"mcp"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ".config/Code/User/mcp.json")
	if got := readFile(t, path); !strings.Contains(got, `"servers": {`) {
		t.Errorf("%s", got)
	}
	if _, err := os.Stat(path + beside); err == nil {
		t.Error("there was nothing to keep")
	}
}

// TestInstallRefuses leaves files alone that it does not understand.
func TestInstallRefuses(t *testing.T) {
	for _, text := range []string{"{ // mine\n}", "[]", `{"mcpServers": []}`, `{"mcpServers": {`, "{} {}"} {
		_, path := home(t, ".cursor/mcp.json", text)
		clients, err := Find([]string{"cursor"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := clients[0].Install("ampulla", nil); err == nil || !strings.Contains(err.Error(), "change it by hand") {
			t.Errorf("%s: %v", text, err)
		}
		if got := readFile(t, path); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	if _, err := Find([]string{"hal"}); err == nil {
		t.Error("a client that is unknown")
	}
}

// TestInstallThroughLink writes to where a link leads, as people have their
// configurations elsewhere.
func TestInstallThroughLink(t *testing.T) {
	dir, path := home(t, ".cursor/mcp.json", "")
	real := filepath.Join(dir, "dotfiles.json")
	if err := os.WriteFile(real, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, path); err != nil {
		t.Fatal(err)
	}
	clients, _ := Find([]string{"cursor"})
	if _, err := clients[0].Install("ampulla", nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 || !strings.Contains(readFile(t, real), "ampulla") {
		t.Errorf("%v, %v", info, err)
	}
}
