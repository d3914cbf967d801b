package flow_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// theirs is what Wireshark says of a frame.
type theirs struct {
	id            string // Community ID
	retransmitted bool
	keepAlive     bool
	outOfOrder    bool // a guess of Wireshark's that we do not make
	nested        bool // several IP headers, e.g. in an ICMP error
}

// telling are captures with retransmissions, keep-alives, copied frames,
// fragments, ICMP errors, IPv6 and attacks.
var telling = []string{
	"benign-iot/captures_IoT_Sentinel__captures_IoT-Sentinel__D-LinkDoorSensor__Setup-C-10-STA.pcap",
	"benign-iot/captures_IoT_Sentinel__captures_IoT-Sentinel__D-LinkHomeHub__Setup-C-1-STA.pcap",
	"benign-iot/captures_IoT_Sentinel__captures_IoT-Sentinel__WeMoLink__Setup-A-11-STA.pcap",
	"benign-ndpi/default__pcap__alexa-app.pcapng",
	"benign-ndpi/default__pcap__dnp3.pcap",
	"benign-ndpi/default__pcap__fix2.pcap",
	"benign-ndpi/default__pcap__quic_interop_V.pcapng",
	"benign-ndpi/default__pcap__thrift.pcap",
	"benign-ndpi/default__pcap__wechat.pcap",
	"lab/lan-192_168_56__os_version_scan.pcap",
	"mix/alexa_plus_dns_reflection.pcap",
}

// TestAgreesWithWireshark compares Community IDs, retransmissions and
// keep-alives with tshark's, frame by frame.
func TestAgreesWithWireshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark here: ", err)
	}
	folder := capturetest.Labelled(t)
	var files []string
	for _, name := range telling {
		files = append(files, filepath.Join(folder, "anomaly", "captures", name))
	}
	if capturetest.Full() {
		files = capturetest.Files(t, folder)
	}
	var sum agreement
	for _, path := range files {
		sum.file(t, path)
	}
	t.Logf("%+v", sum)
	sum.check(t, "Community IDs", sum.ids, sum.otherIDs, 0.999)
	sum.check(t, "retransmissions they see", sum.both, sum.theirsOnly, 0.95)
	sum.check(t, "retransmissions we see", sum.both, sum.oursOnly, 0.95)
	sum.check(t, "keep-alives they see", sum.keepAlives, sum.theirKeepAlives, 0.9)
	// Wireshark does not know those of flows that it met half way.
	sum.check(t, "keep-alives we see", sum.keepAlives, sum.ourKeepAlives, 0.7)
}

// agreement counts packets; duplicates are left out of all but the IDs.
type agreement struct {
	packets                    int
	ids, otherIDs              int
	both, theirsOnly, oursOnly int
	keepAlives                 int
	theirKeepAlives            int // seen by them alone
	ourKeepAlives              int
}

func (a *agreement) check(t *testing.T, what string, same, other int, atLeast float64) {
	t.Helper()
	if same == 0 {
		t.Errorf("%s: none to compare", what)
		return
	}
	if share := float64(same) / float64(same+other); share < atLeast {
		t.Errorf("%s: %.4f agree, want %v", what, share, atLeast)
	}
}

func (a *agreement) file(t *testing.T, path string) {
	want := ask(t, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := pcapng.NewReader(f)
	table := flow.NewTable(flow.Default())
	var d packet.Decoder
	var p packet.Packet
	var o flow.Observation
	for n := 0; n < len(want); {
		b, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("%s: %v", path, err)
			}
			return
		}
		if !b.IsFrame() {
			continue
		}
		d.Decode(b.Frame(), &p)
		table.Observe(&p, &o)
		a.frame(&o, want[n])
		n++
	}
}

func (a *agreement) frame(o *flow.Observation, w theirs) {
	a.packets++
	// Wireshark gives the fragments of a datagram an identifier of their own,
	// and of several headers takes another one.
	if o.CommunityID != "" && w.id != "" && !o.Packet.Fragment && o.Packet.Tunnel == packet.TunnelNone && !w.nested {
		if o.CommunityID == w.id {
			a.ids++
		} else {
			a.otherIDs++
		}
	}
	if o.Noise == flow.Duplicate || w.outOfOrder {
		return
	}
	switch ours := o.Noise == flow.Retransmission; {
	case ours && w.retransmitted:
		a.both++
	case ours && !w.keepAlive:
		a.oursOnly++
	case w.retransmitted && !w.keepAlive:
		a.theirsOnly++
	}
	switch ours := o.Noise == flow.KeepAlive; {
	case ours && w.keepAlive:
		a.keepAlives++
	case ours:
		a.ourKeepAlives++
	case w.keepAlive:
		a.theirKeepAlives++
	}
}

// ask runs tshark and returns what it says of each frame.
func ask(t *testing.T, path string) []theirs {
	const a = "tcp.analysis."
	args := []string{"-r", path, "--enable-protocol", "communityid", "-T", "fields"}
	for _, f := range []string{"communityid", a + "retransmission", a + "keep_alive", a + "keep_alive_ack", a + "out_of_order", "ip.proto", "ipv6.nxt"} {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Logf("tshark %s: %v", filepath.Base(path), err) // cut files; what it printed counts
	}
	var all []theirs
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		f := strings.Split(lines.Text(), "\t")
		all = append(all, theirs{
			id:            f[0],
			retransmitted: f[1] != "",
			keepAlive:     f[2] != "" || f[3] != "",
			outOfOrder:    f[4] != "",
			nested:        strings.Contains(f[5]+f[6], ",") || f[5] != "" && f[6] != "",
		})
	}
	return all
}
