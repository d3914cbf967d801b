package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Settings is a configuration that remembers where its values come from. It is
// not safe for concurrent use.
type Settings struct {
	Config
	// Path is the file that was read; empty for none.
	Path string

	origins map[string]string // by key; absent for defaults
}

// Defaults returns the settings without any file.
func Defaults() *Settings {
	return &Settings{Config: Default(), origins: map[string]string{}}
}

// Paths are the files that are read when none is named: the user's own, and
// that of the machine. The first that exists counts.
func Paths() []string {
	var paths []string
	if dir, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "ampulla", "config.yaml"))
	}
	return append(paths, "/etc/ampulla/config.yaml")
}

// Find reads the first of Paths that exists, and returns the defaults if none
// does.
func Find() (*Settings, error) {
	for _, path := range Paths() {
		s, err := Load(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	return Defaults(), nil
}

// Load reads a configuration file. What is absent keeps its default. The error
// names the file, the line and the key.
func Load(path string) (*Settings, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	s := Defaults()
	s.Path = path
	if err := s.read(text); err != nil {
		return nil, fmt.Errorf("configuration %w", err)
	}
	return s, s.Check()
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return text, err
}

// read takes over the values of a file.
func (s *Settings) read(text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		if e, ok := errors.AsType[yaml.Error](err); ok {
			return fmt.Errorf("%s: %s", s.place(e.GetToken().Position.Line), e.GetMessage())
		}
		return fmt.Errorf("%s: %w", s.Path, err)
	}
	table := map[string]entry{}
	for _, e := range entries(&s.Config) {
		table[e.key] = e
	}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			return fmt.Errorf("%s: a second document", s.place(doc.Body.GetToken().Position.Line))
		}
		if err := s.readMapping("", doc.Body, table); err != nil {
			return err
		}
	}
	return nil
}

// readMapping takes over the keys of a mapping that has a key itself, or none at
// the top of the file.
func (s *Settings) readMapping(prefix string, node ast.Node, table map[string]entry) error {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil // nothing is said
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		where := "the file holds"
		if prefix != "" {
			where = strings.TrimSuffix(prefix, ".") + " is"
		}
		return fmt.Errorf("%s: %s no mapping of keys to values", s.place(node.GetToken().Position.Line), where)
	}
	for _, pair := range pairs {
		key, place := prefix+pair.Key.GetToken().Value, s.place(pair.Key.GetToken().Position.Line)
		if e, ok := table[key]; ok {
			if err := readValue(e, pair.Value); err != nil {
				return fmt.Errorf("%s: %s: %w", place, key, err)
			}
			s.resolve(key, e)
			s.origins[key] = place
			continue
		}
		if !isSection(key, table) {
			return fmt.Errorf("%s: there is no key %s", place, key)
		}
		if err := s.readMapping(key+".", pair.Value, table); err != nil {
			return err
		}
	}
	return nil
}

func isSection(key string, table map[string]entry) bool {
	for known := range table {
		if strings.HasPrefix(known, key+".") {
			return true
		}
	}
	return false
}

// readValue gives an entry what its key has in the file.
func readValue(e entry, node ast.Node) error {
	switch n := node.(type) {
	case *ast.SequenceNode:
		var elements []string
		for _, element := range n.Values {
			text, err := scalar(element)
			if err != nil {
				return err
			}
			elements = append(elements, text)
		}
		return e.setList(elements)
	default:
		text, err := scalar(n)
		if err != nil {
			return err
		}
		return e.set(text)
	}
}

// scalar returns the text of a node that is a single value.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case nil, *ast.NullNode:
		return "", errors.New("there is no value")
	}
	return "", errors.New("this is no single value")
}

// resolve makes the paths of a file ones from the file's own folder: it is not
// the user who starts the annotator, mostly. A leading ~ is the user's home.
func (s *Settings) resolve(key string, e entry) {
	if !slices.Contains(paths, key) {
		return
	}
	dir, _ := filepath.Abs(filepath.Dir(s.Path))
	from := func(path string) string {
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			if home, err := os.UserHomeDir(); err == nil {
				return filepath.Join(home, rest)
			}
		}
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	switch v := e.value.Addr().Interface().(type) {
	case *string:
		*v = from(*v)
	case *[]string:
		for i := range *v {
			(*v)[i] = from((*v)[i])
		}
	}
}

func (s *Settings) place(line int) string { return fmt.Sprintf("%s:%d", s.Path, line) }

// Set gives a key another value, in the way of the file, and notes where that
// comes from. It panics if there is no such key. Check has to follow.
func (s *Settings) Set(key, value, origin string) error {
	for _, e := range entries(&s.Config) {
		if e.key != key {
			continue
		}
		if err := e.set(value); err != nil {
			return fmt.Errorf("%s %w", origin, err)
		}
		s.origins[key] = origin
		return nil
	}
	panic("config: there is no key " + key)
}

// SetList is Set for a list of paths, which may be relative to the working
// directory.
func (s *Settings) SetList(key string, values []string, origin string) {
	for i, value := range values {
		if path, err := filepath.Abs(value); err == nil {
			values[i] = path
		}
	}
	for _, e := range entries(&s.Config) {
		if e.key == key && e.setList(values) == nil {
			s.origins[key] = origin
			return
		}
	}
	panic("config: there is no list " + key)
}

// Check returns an error that says where the first value comes from that makes
// no sense.
func (s *Settings) Check() error {
	bad := s.validate()
	if bad == nil {
		return nil
	}
	switch origin := s.Origin(bad.key); {
	case strings.HasPrefix(origin, "--"):
		return errors.New(origin + " " + bad.text)
	default:
		return fmt.Errorf("configuration %s: %s: %s", origin, bad.key, bad.text)
	}
}

// DefaultOrigin is the origin of values that nobody changed.
const DefaultOrigin = "default"

// Origin tells where the value of a key comes from: a flag, the file with the
// line, or DefaultOrigin.
func (s *Settings) Origin(key string) string {
	if origin, ok := s.origins[key]; ok {
		return origin
	}
	return DefaultOrigin
}

// Write writes the settings as a configuration file with the origin of each
// value beside it.
func (s *Settings) Write(w io.Writer) error {
	var lines [][2]string // text, comment
	var open []string     // sections that the last key stands in
	width := 0
	for _, e := range entries(&s.Config) {
		sections := strings.Split(e.key, ".")
		name := sections[len(sections)-1]
		sections = sections[:len(sections)-1]
		common := 0
		for common < min(len(open), len(sections)) && open[common] == sections[common] {
			common++
		}
		for i, section := range sections[common:] {
			lines = append(lines, [2]string{strings.Repeat("  ", common+i) + section + ":"})
		}
		open = sections
		text := strings.Repeat("  ", len(sections)) + name + ": " + e.text()
		width = max(width, min(len(text), 48))
		lines = append(lines, [2]string{text, s.Origin(e.key)})
	}
	for _, line := range lines {
		text := line[0]
		if line[1] != "" {
			text = fmt.Sprintf("%-*s # %s", width, text, line[1])
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
