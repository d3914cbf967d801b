package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/annotator/pcapng"
)

// behind is the command line of the dumpcap behind AI capture.
func (n *network) behind() string {
	n.t.Helper()
	var line string
	n.until("it captures", func() bool {
		for _, pid := range n.processes("dumpcap\x00-q\x00-w\x00-\x00") {
			text, _ := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "cmdline"))
			_, line, _ = strings.Cut(strings.ReplaceAll(string(text), "\x00", " "), " ")
		}
		return line != ""
	})
	return line
}

// blocks counts those of a capture that are of a type.
func (n *network) blocks(path string, kind uint32) int {
	n.t.Helper()
	file, err := os.Open(path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer file.Close()
	count := 0
	for r := pcapng.NewReader(file); ; {
		b, err := r.Next()
		if err != nil {
			return count
		}
		if b.Type == kind {
			count++
		}
	}
}

// TestLiveOptions captures with each option that concerns interfaces, as given
// to tshark, and looks at what dumpcap is told and at what is captured.
func TestLiveOptions(t *testing.T) {
	n := newNetwork(t)
	n.play(n.a, "datagrams "+addressB+":9")
	n.play(n.a, "datagrams 127.0.0.1:9")
	out := n.path("out.pcapng")
	for _, tt := range []struct {
		options    []string
		line       string // of dumpcap
		interfaces int
		length     int // of each frame, at most
	}{
		{[]string{"-o", "extcap.ai.interface:veth0"}, "-q -w - -s 261888 -B 16 -i veth0 ", 1, 1500},
		{[]string{"-o", "extcap.ai.interface:veth0,lo", "-o", "extcap.ai.buffer:4"}, "-q -w - -s 261888 -B 4 -i veth0 -i lo ", 2, 1500},
		{[]string{"-o", "extcap.ai.interface:lo", "-o", "extcap.ai.snaplen:64", "-o", "extcap.ai.promiscuous:false"},
			"-q -w - -s 64 -p -B 16 -i lo ", 1, 64},
		{[]string{"-o", "extcap.ai.interface:veth0", "-o", "extcap.ai.filter:udp", "-f", "port 9 or port 10", "-o", "extcap.ai.timestamps:host"},
			"-q -w - -f (port 9 or port 10) and (udp) -s 261888 --time-stamp-type host -B 16 -i veth0 ", 1, 1500},
	} {
		_ = os.Remove(out)
		p := n.start("tshark", append([]string{"-i", "ai", "-n", "-w", out}, tt.options...)...)
		if got := n.behind(); got != tt.line {
			t.Errorf("dumpcap %swhere it should be %s", got, tt.line)
		}
		n.captured(out, 20)
		n.stop(p)
		n.noOrphans()
		if got := n.blocks(out, pcapng.TypeInterface); got != tt.interfaces {
			t.Errorf("%s: %d interfaces", tt.line, got)
		}
		for _, f := range n.frames(out) {
			if len(f.data) > tt.length {
				t.Fatalf("%s: a frame of %d bytes", tt.line, len(f.data))
			}
			if strings.Contains(tt.line, " -f ") && !strings.Contains(f.data, "datagram") {
				t.Fatalf("%s: frame %q", tt.line, f.data)
			}
		}
	}
	// Neither interface can do this, and dumpcap says so.
	monitor, _ := n.in(n.a, "tshark", "-i", "ai", "-o", "extcap.ai.interface:veth0", "-o", "extcap.ai.monitor:true", "-c", "1").CombinedOutput()
	if !strings.Contains(string(monitor), `Capturing in monitor mode is not supported on device "veth0"`) {
		t.Errorf("monitor mode: %s", monitor)
	}
	// The list of the dialog, as it is after a reload.
	list := n.must(n.in(n.a, n.path(".config/wireshark/extcap/ampulla-extcap"), "--extcap-config", "--extcap-interface", "ai",
		"--extcap-reload-option", "interface"))
	for _, want := range []string{"{value=veth0}", "{value=lo}"} {
		if !strings.Contains(list, want) {
			t.Errorf("%s is not in the list: %s", want, list)
		}
	}
}

// TestDefaultInterface captures without any option.
func TestDefaultInterface(t *testing.T) {
	n := newNetwork(t)
	n.play(n.a, "datagrams "+addressB+":9")
	out := n.path("out.pcapng")
	p := n.start("tshark", "-i", "ai", "-n", "-w", out)
	n.captured(out, 20)
	n.stop(p)
	n.noOrphans()
}
