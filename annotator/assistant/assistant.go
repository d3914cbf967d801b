// Package assistant puts Ampulla into the configuration of programs that speak
// the Model Context Protocol, and takes it out again.
package assistant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Client is a program that can start MCP servers.
type Client struct {
	Name string // as in --client
	Path string // of its configuration
	key  string // of the servers in it
}

// entry is the name under which Ampulla stands in a configuration.
const entry = "ampulla"

// beside is added to a configuration's name for the copy of what it was.
const beside = ".before-ampulla"

// maxFile bounds a configuration, in bytes.
const maxFile = 16 << 20

// known lists the clients. The folder of a configuration tells that a client is
// installed, but for files in the home folder itself.
func known() ([]Client, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return nil, err
	}
	return []Client{
		{"claude-desktop", filepath.Join(config, "Claude", "claude_desktop_config.json"), "mcpServers"},
		{"claude-code", filepath.Join(home, ".claude.json"), "mcpServers"},
		{"cursor", filepath.Join(home, ".cursor", "mcp.json"), "mcpServers"},
		{"vscode", filepath.Join(config, "Code", "User", "mcp.json"), "servers"},
		{"windsurf", filepath.Join(home, ".codeium", "windsurf", "mcp_config.json"), "mcpServers"},
		{"gemini", filepath.Join(home, ".gemini", "settings.json"), "mcpServers"},
	}, nil
}

// Names lists the clients that are known.
func Names() string {
	clients, _ := known() // names need no home
	names := make([]string, len(clients))
	for i, c := range clients {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Find returns the clients of those names, or all that are installed.
func Find(names []string) ([]Client, error) {
	clients, err := known()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(clients, func(c Client) bool { return c.Name == name }) {
			return nil, fmt.Errorf("no client %q", name)
		}
	}
	home, _ := os.UserHomeDir()
	return slices.DeleteFunc(clients, func(c Client) bool {
		if len(names) > 0 {
			return !slices.Contains(names, c.Name)
		}
		sign := filepath.Dir(c.Path)
		if sign == home {
			sign = c.Path
		}
		_, err := os.Stat(sign)
		return err != nil
	}), nil
}

// Install lets the client start program with args. It returns what was done.
func (c Client) Install(program string, args []string) (string, error) {
	server, err := json.Marshal(map[string]any{"command": program, "args": args})
	if err != nil {
		return "", err
	}
	return c.change(func(servers *object) bool {
		var before, after bytes.Buffer
		_ = json.Compact(&before, servers.get(entry))
		_ = json.Compact(&after, server)
		servers.set(entry, server)
		return !bytes.Equal(before.Bytes(), after.Bytes())
	}, "added to ")
}

// Remove undoes Install.
func (c Client) Remove() (string, error) {
	return c.change(func(servers *object) bool { return servers.remove(entry) }, "removed from ")
}

// change rewrites the servers of the configuration; the order of all keys stays.
func (c Client) change(edit func(servers *object) bool, done string) (string, error) {
	path := c.Path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved // replace the file, not the link to it
	}
	text, mode, err := read(path)
	if err != nil {
		return "", err
	}
	var whole, servers object
	if err := whole.parse(text); err != nil {
		return "", fmt.Errorf("%s: %w; change it by hand", c.Path, err)
	}
	if err := servers.parse(whole.get(c.key)); err != nil {
		return "", fmt.Errorf("%s: %s: %w; change it by hand", c.Path, c.key, err)
	}
	if !edit(&servers) {
		return "nothing to do in " + c.Path, nil
	}
	whole.set(c.key, servers.text())
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, whole.text(), "", "  "); err != nil {
		return "", err
	}
	pretty.WriteByte('\n')
	if text != nil {
		if err := replace(path+beside, text, mode); err != nil {
			return "", err
		}
	}
	return done + c.Path, replace(path, pretty.Bytes(), mode)
}

// read reads a configuration; nil if there is none.
func read(path string) (text []byte, mode fs.FileMode, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0o600, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if info.Size() > maxFile {
		return nil, 0, fmt.Errorf("%s: %d bytes, more than %d", path, info.Size(), maxFile)
	}
	text, err = os.ReadFile(path)
	return text, info.Mode().Perm(), err
}

// replace writes a file so that it is always whole.
func replace(path string, text []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".ampulla-")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
