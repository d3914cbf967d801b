package eval

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

const flowTable = "file\tproto\tsrc_ip\tsrc_port\tdst_ip\tdst_port\tlabel\tport_label\ttshark_layers\n" +
	"a.pcap\tudp\t192.0.2.1\t53\t192.0.2.2\t53\tdns\tdns\tdns\n" +
	"a.pcap\tudp\t192.0.2.1\t4000\t192.0.2.3\t9999\tsmb\t\tnbss smb2\n" +
	"a.pcap\tudp\t192.0.2.9\t1\t192.0.2.3\t9999\tdns\t\t\n" +
	"a.pcap\tudp\t192.0.2.3\t9999\t192.0.2.9\t1\tntp\t\t\n"

// classic returns a classic pcap of Ethernet frames.
func classic(frames ...[]byte) []byte {
	file := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	for i, f := range frames {
		for _, n := range []int{i, 0, len(f), len(f)} {
			file = binary.LittleEndian.AppendUint32(file, uint32(n))
		}
		file = append(file, f...)
	}
	return file
}

func readFlows(t *testing.T) *FlowTable {
	t.Helper()
	flows, err := ReadFlows(strings.NewReader(flowTable), map[string]string{"smb": "smb", "dns": "dns"})
	if err != nil {
		t.Fatal(err)
	}
	return flows
}

func TestRunClasses(t *testing.T) {
	dir := t.TempDir()
	capture := classic(datagram(1, 2, 53, 53, "question"), datagram(2, 1, 53, 53, "answer"), datagram(1, 3, 4000, 9999, "x"),
		datagram(9, 3, 1, 9999, "twice labelled"), datagram(7, 8, 1, 2, "not in the table"))
	if err := os.WriteFile(filepath.Join(dir, "a.pcap"), capture, 0o666); err != nil {
		t.Fatal(err)
	}
	says := []string{verdict.UnknownClass, "dns", "http", "ntp", "ntp"}
	cfg := ClassConfig{Flows: readFlows(t), Workers: 2, Judge: func(_ context.Context, r io.Reader, each func(*verdict.Verdict) error) error {
		for i, class := range says {
			if err := each(&verdict.Verdict{Frame: uint64(i + 1), Class: class}); err != nil {
				return err
			}
		}
		return nil
	}}
	got, err := RunClasses(t.Context(), dir, cfg)
	want := []FlowResult{
		{File: "a.pcap", Truth: "dns", PortTable: "dns", Class: "dns", First: "unknown", Named: 2, Payloads: 2},
		{File: "a.pcap", Truth: "smb2", Class: "http", First: "http", Named: 1, Payloads: 1},
		{File: "a.pcap", Class: "ntp", First: "ntp", Named: 1, Payloads: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("error %v, %s", err, diff)
	}
	r := NewClassReport(got)
	if f := r.Figures[lastPlain]; f != (ClassFigures{Right: 0.5, Wrong: 0.5, MacroF1: 0.5}) {
		t.Errorf("%+v", f)
	}
	if diff := cmp.Diff([]Confusion{{"smb2", "http", 1}}, r.Confusion); diff != "" {
		t.Error(diff)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "2 flows of 2 classes in 1 captures") {
		t.Errorf("error %v, text %s", err, &text)
	}
}

func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.pcap"), classic(datagram(1, 2, 53, 53, "question"), datagram(1, 3, 4000, 9999, "x")), 0o666); err != nil {
		t.Fatal(err)
	}
	port := newPort(7, "a.pcap", packet.ProtoUDP, 53)
	answers, err := ReadAnswers(strings.NewReader("file\tproto\tsrc_ip\tsrc_port\tdst_ip\tdst_port\tclass\n" +
		"a.pcap\tudp\t192.0.2.2\t" + strconv.Itoa(int(port)) + "\t192.0.2.1\t53\tmdns|dns\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := RunClasses(t.Context(), dir, ClassConfig{Flows: readFlows(t), Workers: 1, Renumber: 7, Answers: answers})
	if err != nil || len(got) != 2 || got[0].Class != "dns" || got[1].Class != verdict.UnknownClass {
		t.Errorf("error %v, %+v", err, got)
	}
}

// TestRenumber checks that the server's port changes in both directions, the
// client's in none, whatever stands before the IP header, and nothing else.
func TestRenumber(t *testing.T) {
	there, back := datagram(1, 2, 53, 53, "question"), datagram(2, 1, 53, 53, "answer")
	flows := readFlows(t).files["a.pcap"]
	frames, capture, err := label(bytes.NewReader(classic(there, back)), "a.pcap", flows, 7)
	if err != nil || len(frames) != 2 || frames[0].flow == nil || frames[0].flow != frames[1].flow {
		t.Fatalf("error %v, frames %+v", err, frames)
	}
	port := newPort(7, "a.pcap", packet.ProtoUDP, 53)
	if port < firstPort || port >= firstPort+ports || port == newPort(8, "a.pcap", packet.ProtoUDP, 53) {
		t.Errorf("port %d", port)
	}
	binary.BigEndian.PutUint16(there[36:], port)
	binary.BigEndian.PutUint16(back[34:], port)
	var b pcapng.Block
	var got [][]byte
	for r := pcapng.NewReader(capture); r.Read(&b) == nil; {
		if b.IsFrame() {
			got = append(got, bytes.Clone(b.Data()))
		}
	}
	if diff := cmp.Diff([][]byte{there, back}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFlowErrors(t *testing.T) {
	head, _, _ := strings.Cut(flowTable, "\n")
	for in, want := range map[string]string{
		"file\tproto\n":                       `line 1: no column "src_ip"`,
		head + "\na.pcap\tudp\n":              "line 2: too few columns",
		head + "\na\tudp\tx\t1\ty\t2\t\t\t\n": `line 2: ParseAddr("x"): unable to parse IP`,
	} {
		if _, err := ReadFlows(strings.NewReader(in), nil); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", in, err, want)
		}
	}
}

// TestWeights checks the figures that weigh every class of a capture alike.
func TestWeights(t *testing.T) {
	flows := []FlowResult{{File: "a", Truth: "dns", Class: "dns", Payloads: 1}, {File: "a", Truth: "dns", Class: "ntp", Payloads: 1},
		{File: "b", Truth: "dns", Class: "unknown", Payloads: 1}, {File: "b", Truth: "geneve", Class: "dns", Payloads: 1, Inside: true}}
	r := NewClassReport(flows)
	f := r.Figures[lastWeighted]
	if math.Abs(f.Right-0.25) > 1e-9 || math.Abs(f.Silent-0.5) > 1e-9 || math.Abs(f.Wrong-0.25) > 1e-9 || r.Flows != 3 || r.Tunnels["geneve"] != 1 {
		t.Errorf("%+v", r)
	}
}
