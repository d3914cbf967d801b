//go:build cgo

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/score/scoretest"
)

// await returns what a work comes to.
func (w *wireshark) await(kind string, number uint64, out string) (string, error) {
	w.Helper()
	if err := w.start(kind, number, out); err != nil {
		return "", err
	}
	for {
		text, share, err := w.result(10 * time.Millisecond)
		if err != errBusy {
			return text, err
		}
		if share < 0 || share > 1 {
			w.Fatalf("%s: %v is done", kind, share)
		}
	}
}

// TestIncidents compares the incidents of a capture with the engine's: of a file
// of which little was looked at, of frames that came one by one, and of a list
// that has fewer.
func TestIncidents(t *testing.T) {
	whole := own(t, "port_scan_syn.pcapng")
	server := start(t, socketPath(t))
	list := framesOf(t, whole)
	e, err := engine.New(engine.Default(), scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	var packets []packet.Frame
	for _, f := range list {
		packets = append(packets, f.Frame)
	}
	if _, err := e.Process(packets, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		file bool
		keep func(int) bool
	}{
		{"file", true, all},
		{"frame by frame", false, all},
		{"renumbered", true, func(i int) bool { return i%3 != 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.file {
				open(t, whole)
			}
			w := newWireshark(t, asking(server.path))
			w.eager = true
			frames := framesOf(t, whole)
			w.load(frames, false, tt.keep)
			numbers := map[uint64]uint64{}
			for i, f := range frames {
				if tt.keep(i) {
					numbers[uint64(i+1)] = f.number
				}
			}
			var want strings.Builder
			for _, i := range e.Incidents() {
				i.First.Frame, i.Last.Frame = numbers[i.First.Frame], numbers[i.Last.Frame]
				want.WriteString(i.Machine() + "\n")
			}
			want.WriteString("left_out=0\n")
			got, err := w.await("incidents", 0, "")
			if err != nil || got != want.String() {
				t.Errorf("%v: got\n%s\nwant\n%s", err, got, want.String())
			}
		})
	}
}

// TestExplain has frames explained, also of a file that is not there any more.
func TestExplain(t *testing.T) {
	server := start(t, socketPath(t))
	whole := own(t, "port_scan_syn.pcapng")
	for _, deleted := range []bool{false, true} {
		t.Run(fmt.Sprint("deleted ", deleted), func(t *testing.T) {
			file := open(t, whole)
			w := newWireshark(t, asking(server.path))
			w.eager = true
			w.load(framesOf(t, whole), false, all)
			if deleted {
				if err := os.Remove(file.Name()); err != nil {
					t.Fatal(err)
				}
			}
			if text, err := w.await("explain", 500, ""); err != nil || !strings.Contains(text, "99.9 %") && !strings.Contains(text, "No single value") {
				t.Errorf("%v: %s", err, text)
			}
			if text, err := w.await("explain", 1, ""); err != nil || !strings.Contains(text, "too little is known") {
				t.Errorf("%v: %s", err, text)
			}
			if _, err := w.await("explain", uint64(len(framesOf(t, whole)))+1, ""); err == nil || !strings.Contains(err.Error(), "has no frame") {
				t.Errorf("a frame that there is not: %v", err)
			}
		})
	}
}

// TestCommands runs a program on the capture: what it writes is there, and what
// it says of a failure is told.
func TestCommands(t *testing.T) {
	server := start(t, socketPath(t))
	whole := own(t, "port_scan_syn.pcapng")
	file := open(t, whole)
	out := filepath.Join(t.TempDir(), "out")
	for _, tt := range []struct {
		kind, script, wrote, says string
	}{
		{"annotate", `echo "$1 $2 $(test "$2" -ef "$IN" && echo same)" >"$3"`, "annotate " + file.Name() + " same\n", ""},
		{"report", `test "$3" = -o && cat "$2" >"$4"`, string(whole), ""},
		{"report", "echo 'ampulla: error: no command \"report\"' >&2; exit 2", "", `the ampulla that is installed does not know "report" yet: update it`},
		{"annotate", "echo 'ampulla: error: out: no space left' >&2; echo more >&2; exit 1", "", "out: no space left"},
		{"annotate", "exit 3", "", "exit status 3"},
		{"annotate", "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1", "", strings.Repeat("x", maxSaid)},
	} {
		program := filepath.Join(t.TempDir(), "ampulla")
		if err := os.WriteFile(program, []byte("#!/bin/sh\nIN="+file.Name()+"\n"+tt.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		cfg := asking(server.path)
		cfg.dial.Program = program
		w := newWireshark(t, cfg)
		w.eager = true
		w.load(framesOf(t, whole)[:10], false, all)
		_ = os.Remove(out)
		_, err := w.await(tt.kind, 0, out)
		wrote, _ := os.ReadFile(out)
		if string(wrote) != tt.wrote || (err == nil) != (tt.says == "") || err != nil && err.Error() != tt.says {
			t.Errorf("%s: %v, wrote %d bytes", tt.script, err, len(wrote))
		}
	}
}

// TestWorkEnds: a work that goes on for long is given up with the capture, or for
// another one, and without a file there is none.
func TestWorkEnds(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ampulla")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := start(t, socketPath(t))
	cfg := asking(server.path)
	cfg.dial.Program = program
	whole := own(t, "port_scan_syn.pcapng")
	w := newWireshark(t, cfg)
	w.eager = true
	w.load(framesOf(t, whole)[:10], false, all)
	if err := w.start("annotate", 0, "/x"); err != errNoFile {
		t.Errorf("without a file: %v", err)
	}
	if _, _, err := w.result(0); err == nil || err == errBusy {
		t.Errorf("nothing was begun: %v", err)
	}

	open(t, whole)
	w = newWireshark(t, cfg)
	w.eager = true
	w.load(framesOf(t, whole)[:10], false, all)
	if err := w.start("annotate", 0, filepath.Join(t.TempDir(), "out")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.result(time.Millisecond); err != errBusy {
		t.Errorf("a program that sleeps: %v", err)
	}
	slow := w.work
	if _, err := w.await("incidents", 0, ""); err != nil {
		t.Error(err)
	}
	<-slow.done
	if err := w.start("annotate", 0, filepath.Join(t.TempDir(), "out")); err != nil {
		t.Fatal(err)
	}
	slow = w.work
	w.close()
	<-slow.done
}
