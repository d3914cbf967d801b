package feedback

import (
	"errors"

	"ampulla/annotator/reread"
	"ampulla/annotator/rule"
)

// File is a file of feedback as a program sees it that stays: it is read again
// when it has changed, by whomever. It is safe for concurrent use.
type File struct {
	path string
	set  *reread.File[*rule.Set]
}

// NewFile returns the file at a path, which need not be there yet. Where the path
// is empty nobody has said anything, nor can. What is wrong with the file while
// rules are asked for is told to warn, once.
func NewFile(path string, warn func(error)) *File {
	return &File{path: path, set: reread.New(path, loadSet, warn)}
}

func loadSet(path string) (*rule.Set, error) {
	log, err := Load(path)
	if err != nil {
		return nil, err
	}
	return log.Set()
}

// Rules returns the rules in force; nil for none. While the file cannot be read,
// they are those that it had.
func (f *File) Rules() *rule.Set { return f.set.Value() }

// errNowhere is the error of who has no folder for the file.
var errNowhere = errors.New("feedback: there is no configuration folder to keep it in")

// Load reads the file, see [Load].
func (f *File) Load() (*Log, error) {
	if f.path == "" {
		return &Log{Next: 1}, nil
	}
	return Load(f.path)
}

// Add adds a rule and returns it with its ID, see [Log.Add].
func (f *File) Add(r rule.Rule) (rule.Rule, error) {
	err := f.update(func(log *Log) (err error) {
		r, err = log.Add(r)
		return err
	})
	return r, err
}

// Undo takes a rule out and returns it.
func (f *File) Undo(id uint32) (r rule.Rule, err error) {
	err = f.update(func(log *Log) (err error) {
		r, err = log.Undo(id)
		return err
	})
	return r, err
}

func (f *File) update(change func(*Log) error) error {
	if f.path == "" {
		return errNowhere
	}
	return Update(f.path, change)
}
