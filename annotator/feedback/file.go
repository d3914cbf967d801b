// Package feedback keeps what people said of verdicts, as rules that they can
// read, in a file of theirs. Several programs may write to it; whoever reads it
// sees it before or after, never in between.
package feedback

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ampulla/annotator/output"
	"ampulla/annotator/rule"
)

// maxFile bounds the file, in bytes: what rule.MaxRules rules take at most.
const maxFile = 2 << 20

// head is what the file begins with.
const head = "# What people said of verdicts on this network. `ampulla baseline feedback` writes\n" +
	"# this file; you may, too, while nothing else does.\n"

// Path is where the rules of the user are.
func Path() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "ampulla", "feedback.yaml"), err
}

// Log are the rules of a file.
type Log struct {
	Next  uint32      // ID of the next rule
	Rules []rule.Rule // in the order of their IDs
}

// Load reads a file; one that is not there has no rules. Errors name the line and
// the key.
func Load(path string) (*Log, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Log{Next: 1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("feedback: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("feedback: %s: %w", path, err)
	}
	log, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("feedback: %s:%w", path, err)
	}
	return log, nil
}

// Set returns the rules as an engine takes them; nil for none.
func (l *Log) Set() (*rule.Set, error) {
	if len(l.Rules) == 0 {
		return nil, nil
	}
	return rule.NewSet(l.Rules)
}

// Add adds a rule, which gets an ID and, unless it has a time, that of now. If
// there is one already that says the same of the same, it is returned instead.
func (l *Log) Add(r rule.Rule) (rule.Rule, error) {
	if err := r.Check(); err != nil {
		return r, err
	}
	for i := range l.Rules {
		if l.Rules[i].Same(&r) {
			return l.Rules[i], nil
		}
	}
	if len(l.Rules) >= rule.MaxRules {
		return r, fmt.Errorf("%w: %d, undo some", ErrFull, rule.MaxRules)
	}
	if l.Next == 0 {
		return r, fmt.Errorf("%w: there are no numbers left", ErrFull)
	}
	if r.When.IsZero() {
		r.When = time.Now()
	}
	r.ID, r.When = l.Next, r.When.UTC().Truncate(time.Second)
	l.Rules = append(l.Rules, r)
	l.Next++
	return r, nil
}

// Undo takes a rule out and returns it.
func (l *Log) Undo(id uint32) (rule.Rule, error) {
	i, err := l.find(id)
	if err != nil {
		return rule.Rule{}, err
	}
	r := l.Rules[i]
	l.Rules = slices.Delete(l.Rules, i, i+1)
	return r, nil
}

// Find returns a rule.
func (l *Log) Find(id uint32) (rule.Rule, error) {
	i, err := l.find(id)
	if err != nil {
		return rule.Rule{}, err
	}
	return l.Rules[i], nil
}

// ErrFull is the error of who adds a rule that there is no room for.
var ErrFull = errors.New("there are as many rules as there may be")

// ErrNoRule is the error of who asks for a rule that is not there.
var ErrNoRule = errors.New("there is no such rule")

func (l *Log) find(id uint32) (int, error) {
	i := slices.IndexFunc(l.Rules, func(r rule.Rule) bool { return r.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("rule %d: %w", id, ErrNoRule)
	}
	return i, nil
}

// Update reads a file, has change do so, and writes it, all while no other
// program does. If change fails, or the file cannot be read, nothing is written.
func Update(path string, change func(*Log) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	defer unlock()
	log, err := Load(path)
	if err != nil {
		return err
	}
	if err := change(log); err != nil {
		return err
	}
	out, err := output.Create(path, nil)
	if err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	defer out.Discard()
	if _, err := out.Write(append([]byte(head), log.Append(nil)...)); err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	if err := out.Commit(); err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	return nil
}
