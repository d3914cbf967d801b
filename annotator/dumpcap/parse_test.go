package dumpcap

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Answers as dumpcap 4.0 and 4.4 gave them.
const (
	interfacesText = "1. eth0\t\tUplink\t0\t192.0.2.2,fd00::2\tnetwork\t\n" +
		"2. any\t\t\t0\t\tnetwork\t\n" +
		"3. lo\tvendor\tLoopback\t0\t127.0.0.1\tloopback\t\n"
	interfacesJSON = `[{"eth0":{"friendly_name":"Uplink","vendor_description":null,"type":0,"addrs":["192.0.2.2","fd00::2"],"loopback":false,"extcap":""}},
{"any":{"friendly_name":null,"vendor_description":null,"type":0,"addrs":[],"loopback":false,"extcap":""}},
{"lo":{"friendly_name":"Loopback","vendor_description":"vendor","type":0,"addrs":["127.0.0.1"],"loopback":true,"extcap":""}}]`
	capabilitiesText = "1\n105\tIEEE802_11\t802.11\n127\tIEEE802_11_RADIO\t802.11 plus radiotap header\n\n1\tEN10MB\tEthernet\n"
	capabilitiesJSON = `[{"wlan0":{"status":0,"rfmon":true,"data_link_types":[{"dlt":105,"name":"IEEE802_11","description":"802.11"},
{"dlt":127,"name":"IEEE802_11_RADIO","description":"802.11 plus radiotap header"}],"data_link_types_rfmon":[]}}]`
	timestampsText = "\nhost\tHost\nadapter\tAdapter\n"
	timestampsJSON = `[{"lo":{"status":0,"timestamp_types":[{"name":"host","description":"Host"},{"name":"adapter","description":"Adapter"}]}}]`
)

func TestParse(t *testing.T) {
	interfaces := []Interface{
		{Name: "eth0", Description: "Uplink", Addresses: []string{"192.0.2.2", "fd00::2"}},
		{Name: "any"},
		{Name: "lo", Description: "Loopback", Addresses: []string{"127.0.0.1"}, Loopback: true},
	}
	capabilities := Capabilities{Monitor: true, LinkTypes: []LinkType{
		{105, "IEEE802_11", "802.11"}, {127, "IEEE802_11_RADIO", "802.11 plus radiotap header"}}}
	timestamps := []TimestampType{{"host", "Host"}, {"adapter", "Adapter"}}
	for _, answer := range []string{interfacesText, interfacesJSON} {
		same(t, interfaces, answer, parseInterfaces)
	}
	for _, answer := range []string{capabilitiesText, capabilitiesJSON} {
		same(t, capabilities, answer, parseCapabilities)
	}
	for _, answer := range []string{timestampsText, timestampsJSON} {
		same(t, timestamps, answer, parseTimestampTypes)
	}
	for _, answer := range []string{"eth0\n", "[{]", "x. eth0\t\t\t\t\t\n", "[1]"} {
		if list, err := parseInterfaces([]byte(answer)); err == nil {
			t.Errorf("%q gave %+v", answer, list)
		}
	}
}

// TestRefusal checks that an answer which is an error is one.
func TestRefusal(t *testing.T) {
	const answer = `[{"nosuch0":{"status":1,"primary_msg":"pcap_activate() failed: No such device exists"}}]`
	_, capabilities := parseCapabilities([]byte(answer))
	_, timestamps := parseTimestampTypes([]byte(answer))
	for _, err := range []error{capabilities, timestamps} {
		err = Program("dumpcap").unexpected("-L", err)
		if !errors.Is(err, ErrInterface) || err.Error() != "pcap_activate() failed: No such device exists" {
			t.Errorf("error %v", err)
		}
	}
}

func same[T any](t *testing.T, want T, answer string, parse func([]byte) (T, error)) {
	t.Helper()
	got, err := parse([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%.20q: %s", answer, diff)
	}
}

// TestComplaint checks what is made of dumpcap's words, which may follow a
// count of packets on the same line.
func TestComplaint(t *testing.T) {
	for _, tt := range []struct{ said, text, detail string }{
		{"", "", ""},
		{"Capturing on 'lo'\n", "", ""},
		{"dumpcap: Bad.\n", "Bad", ""},
		{"Capturing on 'x'\ndumpcap: There is no device named \"x\".\n(No such device exists)\n", `There is no device named "x"`, "No such device exists"},
		{"\rPackets captured: 12 dumpcap: Gone\n", "Gone", ""},
	} {
		text, detail := complaint(tt.said)
		if text != tt.text || detail != tt.detail {
			t.Errorf("%q: %q, %q", tt.said, text, detail)
		}
	}
}

// FuzzParse checks that no answer is too strange to be read or refused.
func FuzzParse(f *testing.F) {
	for _, answer := range []string{interfacesText, interfacesJSON, capabilitiesText, capabilitiesJSON, timestampsText, timestampsJSON} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		_, _ = parseInterfaces(answer)
		_, _ = parseCapabilities(answer)
		_, _ = parseTimestampTypes(answer)
		if text, _ := complaint(string(answer)); strings.Contains(text, "\n") {
			t.Errorf("%q is more than a line", text)
		}
	})
}
