package sink

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fifo makes one.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFifo(t *testing.T) {
	path := fifo(t)
	type opened struct {
		*Fifo
		error
	}
	writer := make(chan opened)
	go func() {
		f, err := Open(t.Context(), path) // waits for the reader
		writer <- opened{f, err}
	}()
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w := <-writer
	if w.error != nil {
		t.Fatal(w.error)
	}
	defer w.Close()
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	if w.Unread() {
		t.Error("unread while somebody reads")
	}
	_ = reader.Close()
	if !w.Unread() {
		t.Error("not unread when nobody reads")
	}
	if _, err := w.Write([]byte("hello")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to nobody: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, fifo(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody reads: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no fifo: %v", err)
	}
}

// TestFull writes where there is less room than has to stay.
func TestFull(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=300k"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	into, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	f := &Fifo{file: into, looked: true, folder: small}
	if n, err := f.Write(make([]byte, 40<<10)); n != 40<<10 || err != nil {
		t.Errorf("with room: %d bytes, %v", n, err)
	}
	if n, err := f.Write(make([]byte, 60<<10)); n != 0 || !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), small) {
		t.Errorf("without: %d bytes, %v", n, err)
	}
}

func TestSavedIn(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const read = "/usr/bin/dumpcap -n -i /tmp/wireshark_extcap_ai --ifname ai -Z none"
	for _, tt := range []struct{ line, want string }{
		{read + " -w /data/out.pcapng", "/data"},
		{read + " -w out.pcapng", here},
		{read + " -w below/out.pcapng", filepath.Join(here, "below")},
		{read + " -w -", ""},
		{read + " -w /dev/null", ""},
		{read, os.TempDir()},
		{read + " --temp-dir /scratch", "/scratch"},
		{"/usr/bin/dumpcap -i eth0 -i /tmp/wireshark_extcap_ai -w /data/out.pcapng -b filesize:100", "/data"},
		{"/usr/bin/dumpcap -i /tmp/wireshark_extcap_other -w /data/out.pcapng", ""},
		{"/usr/bin/dumpcap -i", ""},
		{"/usr/bin/tail -i /tmp/wireshark_extcap_ai -w /data/out.pcapng", ""},
		{"", ""},
	} {
		proc := t.TempDir()
		for id, line := range map[string]string{"1": "init", "22": tt.line} {
			if err := os.Mkdir(filepath.Join(proc, id), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(proc, id, "cmdline"), []byte(strings.ReplaceAll(line, " ", "\x00")+"\x00"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := savedIn("/tmp/wireshark_extcap_ai", proc); got != tt.want {
			t.Errorf("%s: saved in %q, want %q", tt.line, got, tt.want)
		}
	}
}
