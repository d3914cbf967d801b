package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"ampulla/annotator/feedback"
	"ampulla/annotator/rule"
)

// ruleFile is the user's file of feedback as a program sees it that stays: it is
// read again when it has changed. While it cannot be read, the rules that it had
// are in force; what is wrong with it is said once. It is safe for concurrent
// use.
type ruleFile struct {
	path   string
	stderr io.Writer

	mu   sync.Mutex
	info fs.FileInfo // of what was read last; nil for none
	set  *rule.Set
}

func newRuleFile(stderr io.Writer) *ruleFile {
	path, err := feedback.Path()
	if err != nil {
		path = "" // nobody without a home has said anything
	}
	return &ruleFile{path: path, stderr: stderr}
}

// rules returns the rules in force; nil for none.
func (f *ruleFile) rules() *rule.Set {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	switch {
	case f.path == "" || os.IsNotExist(err):
		f.info, f.set = nil, nil
		return nil
	case err == nil && f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()):
		return f.set
	}
	f.info = info
	log, err := feedback.Load(f.path)
	if err == nil {
		var set *rule.Set
		if set, err = log.Set(); err == nil {
			f.set = set
			return set
		}
	}
	fmt.Fprintf(f.stderr, "ampulla: warning: %v; the rules from before are in force\n", err)
	return f.set
}
