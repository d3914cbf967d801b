package feedback_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/detect"
	"ampulla/annotator/feedback"
	"ampulla/annotator/packet"
	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
)

const text = `next: 9
rules:
- id: 7
  says: normal
  hosts: ["10.0.0.66", "2001:db8::/32"]
  service: tcp/22
  type: port_scan
  who: "alice \"a\\b\" é"
  when: 2026-11-29T03:04:05Z
  why: "the nightly inventory: all of it # really"
- id: 8
  says: bad
  type: beacon
`

var rules = []rule.Rule{
	{ID: 7, Says: rule.Normal, Scope: rule.Scope{
		Hosts:   []netip.Prefix{netip.MustParsePrefix("10.0.0.66/32"), netip.MustParsePrefix("2001:db8::/32")},
		Service: detect.Service{Proto: packet.ProtoTCP, Port: 22}, Type: verdict.PortScan,
	}, Who: `alice "a\b" é`, When: time.Date(2026, 11, 29, 3, 4, 5, 0, time.UTC), Why: "the nightly inventory: all of it # really"},
	{ID: 8, Says: rule.Bad, Scope: rule.Scope{Type: verdict.Beacon}},
}

var compare = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestText(t *testing.T) {
	log := &feedback.Log{Next: 9, Rules: rules}
	if diff := cmp.Diff(text, string(log.Append(nil))); diff != "" {
		t.Error(diff)
	}
	back, err := feedback.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(log, back, compare); diff != "" {
		t.Error(diff)
	}
}

// TestByHand: people leave out what goes without saying.
func TestByHand(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "next: 1\nrules:\n",
		"# nothing\nrules:\n": "next: 1\nrules:\n",
		"rules:\n- says: bad\n  hosts: 10.0.0.5\n": "next: 2\nrules:\n- id: 1\n  says: bad\n  hosts: [\"10.0.0.5\"]\n",
		"rules:\n- {id: 4, says: normal, type: flood}\n- {says: bad, service: udp/53}\n": "next: 6\nrules:\n- id: 4\n  says: normal\n  type: flood\n" +
			"- id: 5\n  says: bad\n  service: udp/53\n",
	} {
		log, err := feedback.Parse([]byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, string(log.Append(nil))); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}

func TestErrors(t *testing.T) {
	for in, want := range map[string]string{
		"rules:\n- says: maybe\n  type: flood\n":                  `2: says: "maybe" is neither normal nor bad`,
		"rules:\n- says: bad\n  type: flood\n  port: 4\n":         "4: port: there is no such key",
		"rules:\n- says: bad\n  hosts: [10.0.0.5, x]\n":           `3: hosts: "x" is no address and no network`,
		"rules:\n- says: bad\n  service: [1]\n":                   "3: service: this is no single value",
		"rules:\n- says: bad\n  service: tcp\n":                   `3: service: "tcp" is no service such as tcp/22`,
		"rules:\n- says: bad\n  type: flood\n  when: yesterday\n": `4: when: "yesterday" is no time such as 2026-11-29T03:04:05Z`,
		"rules:\n- id: 0\n  says: bad\n":                          `2: id: "0" is no number from 1 on`,
		"rules:\n- says: bad\n":                                   "2: there is no scope: name hosts, a service or a type",
		"rules: 5\n":                                              "1: this is no list of rules",
		"rules:\n- 5\n":                                           "2: this is no mapping of keys to values",
		"rule:\n":                                                 "1: rule: there is no such key",
		"next: -1\n":                                              `1: next: "-1" is no number from 1 on`,
		"next: 2\n---\nnext: 3\n":                                 "3: a second document",
		"rules:\n- {id: 3, says: bad, type: flood}\n- {id: 3, says: bad, type: beacon}\n": "1: rule 3: its number is not its own",
		"rules: [\n": "1: ",
	} {
		log, err := feedback.Parse([]byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", in, log, err, want)
		}
	}
}

// TestUpdate: programs that write at the same time lose nothing, numbers are not
// given twice, and a file that cannot be read stays as it is.
func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "feedback.yaml")
	const programs = 20
	var group sync.WaitGroup
	for i := range programs {
		group.Go(func() {
			err := feedback.Update(path, func(log *feedback.Log) error {
				hosts, _ := rule.ParseHosts([]string{fmt.Sprintf("10.0.0.%d", i)})
				_, err := log.Add(rule.Rule{Says: rule.Bad, Scope: rule.Scope{Hosts: hosts}})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	log, err := feedback.Load(path)
	if err != nil || len(log.Rules) != programs || log.Next != programs+1 || log.Rules[0].When.IsZero() {
		t.Fatalf("%v, %+v", err, log)
	}
	undo := func(log *feedback.Log) error { _, err := log.Undo(programs); return err }
	if err := feedback.Update(path, undo); err != nil {
		t.Fatal(err)
	}
	if err := feedback.Update(path, undo); !errors.Is(err, feedback.ErrNoRule) {
		t.Error(err)
	}
	add := func(log *feedback.Log) error {
		r, err := log.Add(rules[1])
		if r.ID != programs+1 {
			t.Errorf("number %d is given again", r.ID)
		}
		again, err2 := log.Add(rules[1])
		if again.ID != r.ID || len(log.Rules) != programs {
			t.Errorf("said twice: %+v", log.Rules)
		}
		return errors.Join(err, err2)
	}
	if err := feedback.Update(path, add); err != nil {
		t.Fatal(err)
	}
	broken := []byte("rules:\n- says: what\n")
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := feedback.Update(path, add); err == nil || err.Error() != "feedback: "+path+`:2: says: "what" is neither normal nor bad` {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(broken) {
		t.Errorf("%v: %q", err, after)
	}
}

func TestBounds(t *testing.T) {
	log := &feedback.Log{Next: 1}
	for i := range rule.MaxRules {
		if _, err := log.Add(rule.Rule{Says: rule.Bad, Scope: rule.Scope{Service: detect.Service{Proto: packet.ProtoTCP, Port: uint16(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Add(rules[0]); err == nil {
		t.Error("one rule too many")
	}
	path := filepath.Join(t.TempDir(), "feedback.yaml")
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", 2<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := feedback.Load(path); err == nil || !strings.Contains(err.Error(), "more than 2097152 bytes") {
		t.Error(err)
	}
}

// FuzzParse: whatever the file holds, nothing breaks, and what can be read can be
// written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte("rules:\n- says: bad\n  hosts: 10.0.0.5\n  why: \"\\u2028\"\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		log, err := feedback.Parse(in)
		if err != nil {
			return
		}
		back, err := feedback.Parse(log.Append(nil))
		if err != nil {
			t.Fatalf("%q: %v", log.Append(nil), err)
		}
		if diff := cmp.Diff(log, back, compare, cmp.Comparer(func(a, b time.Time) bool { return a.Unix() == b.Unix() || a.IsZero() == b.IsZero() })); diff != "" {
			t.Fatal(diff)
		}
	})
}
