package feedback

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
)

// Append appends the text of a log: YAML, as Parse reads it.
func (l *Log) Append(b []byte) []byte {
	b = fmt.Appendf(b, "next: %d\nrules:\n", l.Next)
	for i := range l.Rules {
		b = AppendRule(b, &l.Rules[i])
	}
	return b
}

// AppendRule appends one rule, as it stands in the text of a log.
func AppendRule(b []byte, r *rule.Rule) []byte {
	b = fmt.Appendf(b, "- id: %d\n  says: %s\n", r.ID, r.Says)
	if hosts := r.HostNames(); len(hosts) > 0 {
		b = append(b, "  hosts: ["...)
		for i, host := range hosts {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = strconv.AppendQuote(b, host) // IPv6 has colons
		}
		b = append(b, "]\n"...)
	}
	for _, value := range [...][2]string{{"service", r.Service.String()}, {"type", string(r.Type)}} {
		if value[1] != "" {
			b = fmt.Appendf(b, "  %s: %s\n", value[0], value[1])
		}
	}
	if r.Who != "" {
		b = fmt.Appendf(b, "  who: %s\n", quote(r.Who))
	}
	if !r.When.IsZero() {
		b = fmt.Appendf(b, "  when: %s\n", r.When.UTC().Format(time.RFC3339))
	}
	if r.Why != "" {
		b = fmt.Appendf(b, "  why: %s\n", quote(r.Why))
	}
	return b
}

// quote writes a text in double quotes. Of what may need to be escaped, a rule
// has quotes and backslashes only.
func quote(s string) string {
	b := []byte{'"'}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '"'))
}

// Parse reads the text of a log. Rules without an ID get the next one. An error
// begins with the number of the line.
func Parse(text []byte) (*Log, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		if e, ok := errors.AsType[yaml.Error](err); ok {
			return nil, fmt.Errorf("%d: %s", e.GetToken().Position.Line, e.GetMessage())
		}
		return nil, fmt.Errorf("1: %w", err)
	}
	log := &Log{Next: 1}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			return nil, at(doc.Body, errors.New("a second document"))
		}
		err := pairs(doc.Body, func(key string, value ast.Node) error {
			switch key {
			case "next":
				return number(value, &log.Next)
			case "rules":
				return log.readRules(value)
			}
			return errUnknown
		})
		if err != nil {
			return nil, err
		}
	}
	return log, log.finish()
}

// finish gives IDs to rules that have none, and checks that each has its own.
func (l *Log) finish() error {
	if len(l.Rules) > rule.MaxRules {
		return fmt.Errorf("1: %d rules, more than %d", len(l.Rules), rule.MaxRules)
	}
	for i := range l.Rules {
		if id := l.Rules[i].ID; id >= l.Next && l.Next != 0 {
			l.Next = id + 1
		}
	}
	for i := range l.Rules {
		if l.Rules[i].ID == 0 {
			l.Rules[i].ID = l.Next
			l.Next++
		}
	}
	if _, err := rule.NewSet(l.Rules); err != nil {
		return fmt.Errorf("1: %w", err)
	}
	return nil
}

func (l *Log) readRules(node ast.Node) error {
	if node.Type() == ast.NullType {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return at(node, errors.New("this is no list of rules"))
	}
	for _, element := range list.Values {
		var r rule.Rule
		if err := pairs(element, func(key string, value ast.Node) error { return read(&r, key, value) }); err != nil {
			return err
		}
		if err := r.Check(); err != nil {
			return at(element, err)
		}
		l.Rules = append(l.Rules, r)
	}
	return nil
}

// errUnknown is the error of a key that there is not.
var errUnknown = errors.New("there is no such key")

// read takes over what a key of a rule says.
func read(r *rule.Rule, key string, node ast.Node) (err error) {
	if key == "hosts" {
		return readHosts(r, node)
	}
	if key == "id" {
		return number(node, &r.ID)
	}
	text, err := scalar(node)
	if err != nil {
		return err
	}
	switch key {
	case "says":
		r.Says = rule.Opinion(text)
	case "service":
		r.Service, err = rule.ParseService(text)
	case "type":
		r.Type = verdict.Type(text)
	case "who":
		r.Who = text
	case "why":
		r.Why = text
	case "when":
		if r.When, err = time.Parse(time.RFC3339, text); err != nil {
			err = fmt.Errorf("%q is no time such as 2026-11-29T03:04:05Z", text)
		}
	default:
		err = errUnknown
	}
	return err
}

func readHosts(r *rule.Rule, node ast.Node) error {
	var names []string
	elements := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		elements = list.Values
	}
	for _, element := range elements {
		name, err := scalar(element)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	hosts, err := rule.ParseHosts(names)
	r.Hosts = hosts
	return err
}

// pairs calls each with the keys and values of a mapping; its errors get the line
// and the key.
func pairs(node ast.Node, each func(key string, value ast.Node) error) error {
	var list []*ast.MappingValueNode
	switch n := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil
	case *ast.MappingNode:
		list = n.Values
	case *ast.MappingValueNode:
		list = []*ast.MappingValueNode{n}
	default:
		return at(node, errors.New("this is no mapping of keys to values"))
	}
	for _, pair := range list {
		key := pair.Key.GetToken().Value
		err := each(key, pair.Value)
		if placed := (*placedError)(nil); err != nil && !errors.As(err, &placed) {
			err = at(pair.Key, fmt.Errorf("%s: %w", key, err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// placedError says in which line something is wrong.
type placedError struct {
	line int
	err  error
}

func (e *placedError) Error() string { return fmt.Sprintf("%d: %v", e.line, e.err) }
func (e *placedError) Unwrap() error { return e.err }

func at(node ast.Node, err error) error { return &placedError{node.GetToken().Position.Line, err} }

// scalar returns the text of a single value.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	}
	return "", errors.New("this is no single value")
}

func number(node ast.Node, into *uint32) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is no number from 1 on", text)
	}
	*into = uint32(n)
	return nil
}
