package packet_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// captures returns the labelled captures, a sample of them unless
// $AMPULLA_FULL is set.
func captures(t testing.TB) []string {
	files := capturetest.Files(t, capturetest.Labelled(t))
	if capturetest.Full() {
		return files
	}
	const every = 127 // a prime, so that no folder is preferred
	var sample []string
	for i := 0; i < len(files); i += every {
		sample = append(sample, files[i])
	}
	return sample
}

// frames returns the first n frames of a capture, whole.
func frames(t testing.TB, path string, n int) []packet.Frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []packet.Frame
	for r := pcapng.NewReader(file); len(all) < n; {
		b, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("%s: %v", path, err)
			}
			break
		}
		if b.IsFrame() {
			all = append(all, packet.Frame{Time: b.Time, LinkType: b.LinkType, Length: b.Length, Data: bytes.Clone(b.Data())})
		}
	}
	return all
}
