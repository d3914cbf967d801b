package packet_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ampulla/annotator/packet"
)

// TestRowsAgainstTshark lets Wireshark check the frames of the tables.
func TestRowsAgainstTshark(t *testing.T) {
	// What Wireshark does otherwise, and why that is no fault of ours.
	otherwise := map[string]string{
		"ppp of pppd":                            "unknown to Wireshark 4.0",
		"cisco hdlc with direction":              "unknown to Wireshark 4.0",
		"frame relay with direction":             "unknown to Wireshark 4.0",
		"802.11 fragment":                        "what it cannot put together is taken for a whole",
		"radiotap of nonsense":                   "the version is not looked at",
		"udp that claims less than its header":   "the claim itself",
		"last fragment of a ping":                "the protocol of a later fragment has no name",
		"vxlan on the port of Linux":             "not registered",
		"vxlan-gpe of ipv4":                      "looked into; only the test does not see it",
		"vxlan-gpe of ethernet":                  "looked into; only the test does not see it",
		"teredo of too short a packet":           "lengths are not compared",
		"mpls of ethernet that begins like ipv4": "first nibble only",
	}
	all := rows()
	all = slices.DeleteFunc(all, func(r row) bool { return r.link == packet.LinkTypeNone })
	path := writeCapture(t, all)
	theirs, err := tshark(t, path, len(all))
	if err != nil {
		t.Fatal(err)
	}
	if len(theirs) != len(all) {
		t.Fatalf("tshark read %d of %d frames", len(theirs), len(all))
	}
	for i, r := range all {
		p := decode(t, r.link, r.frame)
		diffs := compare(&p, theirs[i])
		protocols := theirs[i]["frame.protocols"][0]
		if p.Name != "" && !slices.Contains(strings.Split(protocols, ":"), p.Name) {
			diffs = append(diffs, "name is "+p.Name)
		}
		if len(diffs) > 0 && otherwise[r.name] == "" {
			t.Errorf("%s: %s (%s)", r.name, strings.Join(diffs, ", "), protocols)
		}
		if len(diffs) == 0 && otherwise[r.name] != "" {
			t.Errorf("%s: Wireshark agrees after all", r.name)
		}
	}
}

// TestNamesAgainstTshark looks every name up in Wireshark's list.
func TestNamesAgainstTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	out, err := exec.Command("tshark", "-G", "protocols").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) > 2 {
			known[f[2]] = true
		}
	}
	names := map[string]string{}
	add := func(link uint16, frame string) {
		if p := decode(t, link, frame); p.Name != "" {
			names[p.Name] = frame
		}
	}
	for i := range 1 << 16 {
		add(1, fmt.Sprintf("%s %04x 0000", ethernetMACs, i))
		add(9, fmt.Sprintf("ff03 %04x 0000", i))
		for _, oui := range []string{"00000c", "000081", "00e02b", "00e052", "0080c2"} {
			add(1, ethernetMACs+"0020 aaaa03"+oui+fmt.Sprintf("%04x", i))
		}
		add(uint16(i), "")
	}
	for i := range 1 << 8 {
		add(101, ipv4(byte(i), ""))
		add(101, ipv6(byte(i), ""))
		add(1, fmt.Sprintf("%s 0020 %02[2]x%02[2]x03 0000", ethernetMACs, i))
	}
	if len(names) < 80 {
		t.Errorf("only %d names were found", len(names))
	}
	for name, frame := range names {
		if !known[name] {
			t.Errorf("%s, the name of %s, is not one of Wireshark's", name, frame)
		}
	}
}

// writeCapture writes the rows as a pcapng with one interface a row.
func writeCapture(t *testing.T, rows []row) string {
	block := func(kind uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		length := uint32(len(body) + 12)
		b := binary.LittleEndian.AppendUint32(nil, kind)
		b = binary.LittleEndian.AppendUint32(b, length)
		return binary.LittleEndian.AppendUint32(append(b, body...), length)
	}
	file := block(0x0a0d0d0a, unhex(t, "4d3c2b1a 0100 0000 ffffffffffffffff"))
	for _, r := range rows {
		file = append(file, block(1, append(binary.LittleEndian.AppendUint32(nil, uint32(r.link)), 0, 0, 4, 0))...)
	}
	for i, r := range rows {
		data := unhex(t, r.frame)
		body := binary.LittleEndian.AppendUint32(nil, uint32(i))
		body = append(body, make([]byte, 8)...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(data)))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(data)))
		file = append(file, block(6, append(body, data...))...)
	}
	path := filepath.Join(t.TempDir(), "rows.pcapng")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
