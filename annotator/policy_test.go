package main_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tests in this file keep the repository the way CONTRIBUTING.md describes
// it. They read the sources only.

// root is the folder of the module, seen from this package's tests.
const root = ".."

const module = "ampulla/"

// mayImport lists, for each package, which of our own packages it may import.
// It is the drawing of the architecture: data flows pcapng -> packet -> flow ->
// feature -> score, detect -> baseline, incident -> verdict -> rewrite, transaction -> web ->
// report, and nothing looks ahead.
// Stages know no transport, and the annotator knows no extcap.
var mayImport = map[string][]string{
	"annotator/verdict":         {},
	"annotator/packet":          {},
	"annotator/pcapng":          {"annotator/packet"}, // hands out packet.Frame
	"annotator/lru":             {},
	"annotator/reread":          {},
	"annotator/flow":            {"annotator/packet", "annotator/lru"},
	"annotator/signature":       {"annotator/packet"},
	"annotator/feature":         {"annotator/packet", "annotator/flow", "annotator/signature"},
	"annotator/score":           {"annotator/feature", "annotator/verdict"},
	"annotator/score/scoretest": {"annotator/feature", "annotator/score"}, // for tests
	"annotator/score/ort":       {"annotator/feature", "annotator/score", "annotator/verdict"},
	"annotator/detect":          {"annotator/packet", "annotator/flow", "annotator/lru", "annotator/verdict"},
	"annotator/incident":        {"annotator/packet", "annotator/flow", "annotator/lru", "annotator/detect", "annotator/verdict"},
	"annotator/rule":            {"annotator/packet", "annotator/flow", "annotator/detect", "annotator/verdict"},
	"annotator/baseline":        {"annotator/packet", "annotator/flow", "annotator/lru", "annotator/score", "annotator/detect", "annotator/verdict"},
	"annotator/engine": {"annotator/packet", "annotator/flow", "annotator/feature", "annotator/score",
		"annotator/detect", "annotator/baseline", "annotator/incident", "annotator/rule", "annotator/verdict"},
	"annotator/output":   {"annotator/pcapng"},
	"annotator/feedback": {"annotator/output", "annotator/reread", "annotator/rule", "annotator/verdict"}, // the rules in a file
	"annotator/rewrite":  {"annotator/pcapng", "annotator/packet", "annotator/engine", "annotator/verdict"},
	"annotator/config":   {"annotator/detect", "annotator/engine", "annotator/rewrite", "annotator/web"},
	"annotator/eval": {"annotator/pcapng", "annotator/packet", "annotator/flow", "annotator/feature",
		"annotator/score", "annotator/detect", "annotator/baseline", "annotator/engine", "annotator/verdict", "annotator/rewrite"},
	"annotator/transaction": {"annotator/packet", "annotator/pcapng"},
	"annotator/web":         {"annotator/transaction"},
	"annotator/report":      {"annotator/packet", "annotator/pcapng", "annotator/verdict", "annotator/web"},
	"extcap/sentence":       {},
	"extcap/toolbar":        {"extcap/sentence"},
	"extcap/sink":           {},
	"extcap/source":         {"annotator/dumpcap", "annotator/pcapng"},
	"extcap/bridge":         {"annotator/backlog", "annotator/packet", "annotator/rewrite", "annotator/verdict", "grpc/client"},
	"annotator/plugin":      {"lua"}, // installs ai.lua
	"annotator/doctor": {"annotator/plugin", "annotator/dumpcap", "annotator/score/ort", "grpc/client", "grpc/socket",
		"models", "proto/annotator/v1"},
	"proto/annotator/v1": {},
	"grpc/socket":        {},
	"grpc/grpctest":      {"grpc/socket", "proto/annotator/v1"}, // for tests
	"grpc/wire":          {"annotator/packet", "proto/annotator/v1"},
	"grpc/server": {"annotator/pcapng", "annotator/packet", "annotator/feature", "annotator/score", "annotator/engine",
		"annotator/baseline", "annotator/rule", "annotator/feedback", "annotator/verdict", "annotator/output", "annotator/rewrite",
		"annotator/dumpcap", "annotator/backlog", "grpc/wire", "proto/annotator/v1"},
	// Jobs for people and programs, by asking the server as any client does.
	"grpc/analysis": {"annotator/pcapng", "annotator/packet", "annotator/reread", "annotator/rewrite", "annotator/verdict", "proto/annotator/v1"},
	"grpc/gateway":  {"grpc/analysis", "proto/annotator/v1"},
	"grpc/metrics":  {"annotator/baseline", "annotator/score", "grpc/analysis", "proto/annotator/v1"},
	"grpc/mcp":      {"grpc/analysis", "proto/annotator/v1"},
	// The client runs inside other programs, such as Wireshark: no engine.
	"grpc/client":           {"annotator/packet", "annotator/verdict", "grpc/socket", "grpc/wire", "proto/annotator/v1"},
	"annotator/assistant":   {},
	"annotator/capturetest": {},
	"annotator/dumpcap":     {},
	"annotator/backlog":     {},
	"lua":                   {}, // carries ai.lua
	// Runs inside Wireshark: no engine.
	"lua/native": {"annotator/pcapng", "annotator/packet", "annotator/verdict", "grpc/client", "proto/annotator/v1"},
	"models":     {},
	"testdata":   {"annotator/pcapng"}, // makes captures to measure with
}

// mains may import everything of ours but each other.
var mains = []string{"extcap", "annotator"}

// onlyImporters names the packages that alone may import something, and why.
var onlyImporters = []struct {
	path      string
	importers []string
	why       string
}{
	{"github.com/yalue/onnxruntime_go", []string{"annotator/score/ort"},
		"native code stays in one package, which has a stub for builds without cgo"},
	{"github.com/google/gopacket", []string{"annotator/packet"},
		"gopacket decodes frames, behind a recover; it is not trusted with files"},
	{"github.com/urfave/cli/v2", []string{"annotator"}, "only a main talks to the command line"},
	{"unsafe", []string{"annotator/lru", "annotator/score/ort", "lua/native"},
		"memory is only reinterpreted at the edge of native code, and where tables hold nothing that the garbage collector has to see"},
}

// impure lists what the engine, and whatever of ours it reaches, may not
// import: it is a pure function of the ordered frames.
var impure = map[string]string{
	"os":                        "the engine does no I/O",
	"net":                       "the engine does no I/O (net/netip is fine)",
	"net/http":                  "the engine does no I/O",
	"log":                       "errors are returned; only mains log",
	"log/slog":                  "errors are returned; only mains log",
	"math/rand":                 "the engine knows no chance",
	"math/rand/v2":              "the engine knows no chance",
	"crypto/rand":               "the engine knows no chance",
	module + "annotator/pcapng": "the engine gets frames, it does not know files",
}

// clock lists the names of package time that read or wait for the clock of the
// machine; the engine's only time is the packets'.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// rootEntries is all that may stand in the root folder, beside hidden files and
// what git ignores.
var rootEntries = []string{
	"extcap", "annotator", "grpc", "proto", "lua", "models", "testdata", "packaging",
	"go.mod", "go.sum", "install.sh", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
	"bin", "dist",
}

// meaningless lists package names that say nothing of what is inside.
var meaningless = []string{"util", "utils", "common", "types", "helper", "helpers", "misc", "base", "shared", "pkg", "lib"}

const (
	maxFileLines     = 700
	maxFunctionLines = 80
)

// source is one parsed Go file.
type source struct {
	path string // from the root, with slashes
	dir  string // the package's folder, from the root
	text []byte
	file *ast.File
}

func (s *source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports returns the import paths with their positions.
func (s *source) imports() map[string]token.Pos {
	paths := map[string]token.Pos{}
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths[p] = spec.Pos()
	}
	return paths
}

// sources parses every Go file of the repository.
func sources(t *testing.T) (*token.FileSet, []*source) {
	t.Helper()
	fset := token.NewFileSet()
	var all []*source
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		text := read(t, name)
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &source{path: name, dir: path.Dir(name), text: text, file: file})
	})
	if len(all) == 0 {
		t.Fatal("no Go files found; is the root right?")
	}
	return fset, all
}

// walk calls visit with every file that is not hidden or ignored, as a path
// from the root.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == root {
			return nil
		}
		if hidden := strings.HasPrefix(d.Name(), "."); hidden || d.Name() == "bin" || d.Name() == "dist" {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			rel, _ := filepath.Rel(root, name)
			visit(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestFormat(t *testing.T) {
	_, all := sources(t)
	for _, s := range all {
		formatted, err := format.Source(s.text)
		if err != nil {
			t.Errorf("%s: %v", s.path, err)
			continue
		}
		if !bytes.Equal(formatted, s.text) {
			t.Errorf("%s: not formatted; run gofmt -w on it", s.path)
		}
	}
}

func TestImportsOfOurs(t *testing.T) {
	fset, all := sources(t)
	for _, s := range all {
		if s.isTest() || slices.Contains(mains, s.dir) {
			continue
		}
		allowed, known := mayImport[s.dir]
		if !known {
			t.Errorf("%s: package %s is not in mayImport: draw it into the architecture first", s.path, s.dir)
			continue
		}
		for imported, pos := range s.imports() {
			if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s: %s may not import %s, see mayImport", fset.Position(pos), s.dir, ours)
			}
		}
	}
}

func TestImportsOfOthers(t *testing.T) {
	fset, all := sources(t)
	for _, s := range all {
		for imported, pos := range s.imports() {
			for _, rule := range onlyImporters {
				if (imported == rule.path || strings.HasPrefix(imported, rule.path+"/")) &&
					!slices.Contains(rule.importers, s.dir) && !s.isTest() && !ast.IsGenerated(s.file) {
					t.Errorf("%s: only %s may import %s: %s",
						fset.Position(pos), strings.Join(rule.importers, ", "), rule.path, rule.why)
				}
			}
		}
	}
}

func TestEngineIsPure(t *testing.T) {
	fset, all := sources(t)
	reached := reachable("annotator/engine", all)
	if len(reached) < 2 {
		t.Fatalf("the engine reaches only %v", reached)
	}
	for _, s := range all {
		if s.isTest() || !slices.Contains(reached, s.dir) {
			continue
		}
		for imported, pos := range s.imports() {
			if why, bad := impure[imported]; bad {
				t.Errorf("%s: the engine reaches %s, which may not import %s: %s", fset.Position(pos), s.dir, imported, why)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
					t.Errorf("%s: time.%s: the engine's only time is the packets'", fset.Position(n.Pos()), sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// reachable returns the folders of our packages that one imports, directly or
// not, itself included.
func reachable(from string, all []*source) []string {
	reached := []string{from}
	for i := 0; i < len(reached); i++ {
		for _, s := range all {
			if s.dir != reached[i] || s.isTest() {
				continue
			}
			for imported := range s.imports() {
				if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(reached, ours) {
					reached = append(reached, ours)
				}
			}
		}
	}
	return reached
}

func TestRootFolder(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !strings.HasSuffix(e.Name(), ".prof") && !slices.Contains(rootEntries, e.Name()) {
			t.Errorf("%s: the root folder holds %s and hidden files only", e.Name(), strings.Join(rootEntries, ", "))
		}
	}
}

func TestSize(t *testing.T) {
	code := []string{".go", ".lua", ".sh", ".py", ".c", ".h", ".proto"}
	walk(t, func(name string) {
		if !slices.Contains(code, path.Ext(name)) {
			return
		}
		text := read(t, name)
		if n := bytes.Count(text, []byte("\n")); n > maxFileLines && !bytes.Contains(append([]byte("\n"), text...), []byte("\n// Code generated ")) {
			t.Errorf("%s: %d lines, more than %d: split it by subject", name, n, maxFileLines)
		}
	})
	fset, all := sources(t)
	for _, s := range all {
		if s.isTest() || ast.IsGenerated(s.file) {
			continue
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", fset.Position(f.Pos()), f.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

func TestNames(t *testing.T) {
	fset, all := sources(t)
	for _, s := range all {
		if name := s.file.Name.Name; slices.Contains(meaningless, name) {
			t.Errorf("%s: package %s: a package is a noun of the data flow", s.path, name)
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !ast.IsGenerated(s.file) {
				t.Errorf("%s: init: nothing registers itself; write the list down", fset.Position(f.Pos()))
			}
		}
	}
}

func TestDocumentation(t *testing.T) {
	fset, all := sources(t)
	documented := map[string]bool{}
	for _, s := range all {
		if s.isTest() || ast.IsGenerated(s.file) {
			continue
		}
		documented[s.dir] = documented[s.dir] || s.file.Doc != nil
		for _, decl := range s.file.Decls {
			for _, missing := range undocumented(decl) {
				t.Errorf("%s: exported %s has no comment", fset.Position(missing.pos), missing.name)
			}
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment", dir)
		}
	}
}

type name struct {
	name string
	pos  token.Pos
}

// undocumented returns the exported names that a declaration leaves without a
// comment. The comment of a group covers its constants and variables.
func undocumented(decl ast.Decl) []name {
	var missing []name
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && receiverExported(d) && d.Doc == nil {
			missing = append(missing, name{d.Name.Name, d.Pos()})
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && spec.Doc == nil && d.Doc == nil {
					missing = append(missing, name{spec.Name.Name, spec.Pos()})
				}
				missing = append(missing, undocumentedMethods(spec)...)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					if id.IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
						missing = append(missing, name{id.Name, id.Pos()})
					}
				}
			}
		}
	}
	return missing
}

// undocumentedMethods looks at the methods of an exported interface. The comment
// of an interface covers its only method.
func undocumentedMethods(spec *ast.TypeSpec) []name {
	it, ok := spec.Type.(*ast.InterfaceType)
	if !ok || !spec.Name.IsExported() || len(it.Methods.List) == 1 {
		return nil
	}
	var missing []name
	for _, m := range it.Methods.List {
		for _, id := range m.Names {
			if id.IsExported() && m.Doc == nil && m.Comment == nil {
				missing = append(missing, name{fmt.Sprintf("%s.%s", spec.Name.Name, id.Name), id.Pos()})
			}
		}
	}
	return missing
}

// receiverExported tells whether a function can be seen from outside: it is no
// method, or that of an exported type. The methods Error, Unwrap, Is, String and
// those of sort and heap say what they do by their name.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	switch d.Name.Name {
	case "Error", "Unwrap", "Is", "String", "Len", "Less", "Swap", "Push", "Pop":
		return false
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch x := typ.(type) {
	case *ast.IndexExpr:
		typ = x.X
	case *ast.IndexListExpr:
		typ = x.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}
