package signature

import (
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// classes returns the classes whose signatures m matches.
func classes(m Message) []string {
	var found []string
	for i := range all {
		if all[i].Match(m) && !slices.Contains(found, all[i].Class) {
			found = append(found, all[i].Class)
		}
	}
	return found
}

func message(t *testing.T, proto uint8, wire string) Message {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(wire, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return Message{Data: data[:min(len(data), Window)], Length: len(data), Proto: proto}
}

func text(proto uint8, s string) Message {
	return Message{Data: []byte(s)[:min(len(s), Window)], Length: len(s), Proto: proto}
}

// TestText checks protocols of lines, those that look alike side by side.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		proto uint8
		in    string
		want  []string
	}{
		{tcp, "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n", []string{"http"}},
		{tcp, "CONNECT a.example:443 HTTP/1.1\r\n\r\n", []string{"http"}},
		{tcp, "HTTP/1.1 200 OK\r\n\r\n", []string{"http"}},
		{udp, "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n", []string{"ssdp"}},
		{tcp, "OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n", []string{"rtsp"}},
		{udp, "OPTIONS sip:a@b SIP/2.0\r\n", []string{"sip"}},
		{tcp, "GETTING nowhere\r\n", nil},
		{tcp, "SSH-2.0-OpenSSH_9.2\r\n", []string{"ssh"}},
		{tcp, "220 mx.example.org ESMTP Postfix\r\n", []string{"smtp"}},
		{tcp, "220 (vsFTPd 3.0.3)\r\n", []string{"ftp"}},
		{tcp, "EHLO client\r\n", []string{"smtp"}},
		{tcp, "+OK Dovecot ready.\r\n", []string{"pop"}},
		{tcp, "* OK [CAPABILITY IMAP4rev1] ready\r\n", []string{"imap"}},
		{tcp, "a1 LOGIN alice secret\r\n", []string{"imap"}},
		{tcp, "NICK alice\r\nUSER a 0 * :A\r\n", []string{"irc"}},
		{tcp, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", []string{"resp"}},
		{tcp, "set a 0 0 5\r\nhello\r\n", []string{"memcache"}},
		{udp, "<34>1 2026-01-02T03:04:05Z host app - - - hello", []string{"syslog"}},
		{udp, "<192>no such priority", nil},
		{tcp, "-rw-r--r-- 1 root root 12 Jan 01 00:00 file\r\n", []string{"ftp-data"}},
	} {
		if got := classes(text(tt.proto, tt.in)); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, want %v", tt.in, got, tt.want)
		}
	}
}

// TestBinary checks headers whose fields the specifications give; the bytes are
// as on the wire.
func TestBinary(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("00", n) }
	for _, tt := range []struct {
		name  string
		proto uint8
		wire  string
		want  []string
	}{
		{"TLS alert", tcp, "15 0303 0002 02 28", []string{"tls"}},
		{"record too long for TLS", tcp, "16 0303 ffff 01", nil},
		{"WireGuard initiation", udp, "01000000" + zeros(144), []string{"wg"}},
		{"initiation of another length", udp, "01000000" + strings.Repeat("ab", 143), nil},
		{"OpenVPN reset", udp, "38 0102030405060708 00 00000000", []string{"openvpn"}},
		{"DNS query", udp, "1234 0100 0001 0000 0000 0000 03777777 0161 03636f6d 00 0001 0001", []string{"dns"}},
		{"LLMNR query", udp, "1234 0000 0001 0000 0000 0000 0477706164 00 0001 0001", []string{"llmnr"}},
		{"mDNS query", udp, "0000 0000 0001 0000 0000 0000 0161 056c6f63616c 00 000c 0001", []string{"mdns"}},
		{"STUN binding request", udp, "0001 0000 2112a442 0102030405060708090a0b0c", []string{"stun"}},
		{"BGP keepalive", tcp, strings.Repeat("ff", 16) + "0013 04", []string{"bgp"}},
		{"Modbus read", tcp, "0001 0000 0006 01 03 0000 000a", []string{"modbus"}},
		{"DNP3 link status", tcp, "0564 05 c9 0100 0004 5fbe", []string{"dnp3"}},
		{"OPC UA hello", tcp, "48454c46 0e000000 000000000000", []string{"opcua"}},
		{"CoAP get", udp, "40 01 1234 b5 6c6576656c", []string{"coap"}},
		{"MongoDB OP_MSG", tcp, "15000000 01000000 00000000 dd070000 00000000 00", []string{"mongo"}},
		{"CQL OPTIONS", tcp, "04 00 0001 05 00000000", []string{"cql"}},
		{"Kafka ApiVersions", tcp, "00000010 0012 0003 00000001 0006 61646d696e31", []string{"kafka"}},
		{"SMB 2 negotiate", tcp, "00000044 fe534d42" + zeros(64), []string{"smb2"}},
		{"VXLAN", udp, "08000000 00002a00 ffffffffffff 020000000001 0806" + zeros(28), []string{"vxlan"}},
		{"RTP", udp, "80 00 0001 00000001 deadbeef" + strings.Repeat("ff", 20), []string{"rtp"}},
		{"collectd", udp, "0000 000a 6c6f672d3100 0001 000c 00000000", []string{"collectd"}},
		{"a message behind its length", udp, "00000020 8b6c6fff2d31" + zeros(26), nil},
		{"nothing", udp, "", nil},
	} {
		if got := classes(message(t, tt.proto, tt.wire)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestPairs checks the signatures that need two messages of one side.
func TestPairs(t *testing.T) {
	rtp := func(number string) Message {
		return message(t, udp, "80 00"+number+"00000001 deadbeef"+strings.Repeat("ff", 20))
	}
	esp := func(number string) Message {
		return message(t, udp, "c1234567"+number+strings.Repeat("5a", 60))
	}
	follow := func(m, next Message) (found []string) {
		for i := range all {
			if all[i].Follows(m, next) {
				found = append(found, all[i].Class)
			}
		}
		return found
	}
	for _, tt := range []struct {
		name    string
		m, next Message
		want    []string
	}{
		{"RTP in a row", rtp("ffff"), rtp("0000"), []string{"rtp"}},
		{"RTP back in time", rtp("0005"), rtp("0004"), nil},
		{"ESP in a row", esp("00000001"), esp("00000002"), []string{"isakmp"}},
		{"nothing next", esp("00000001"), Message{Proto: udp}, nil},
	} {
		if got := follow(tt.m, tt.next); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestNoise bounds how often a signature matches random bytes: once in 200 at
// most, but for RTP, whose header asks for hardly more than a version.
func TestNoise(t *testing.T) {
	const messages = 20000
	random := rand.New(rand.NewPCG(1, 2))
	hits := make([]int, Count)
	data := make([]byte, Window)
	for range messages {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		n := 1 + random.IntN(1400)
		for _, proto := range []uint8{tcp, udp} {
			m := Message{Data: data[:min(n, Window)], Length: n, Proto: proto}
			for i := range all {
				if all[i].Match(m) {
					hits[i]++
				}
			}
		}
	}
	for i, n := range hits {
		limit := messages / 200
		if all[i].Class == "rtp" { // version, and half of the payload types
			limit = messages / 5
		}
		if n > limit {
			t.Errorf("%s (%s) matches %d of %d random messages, more than %d", all[i].Class, all[i].Doc, n, messages, limit)
		}
	}
}

func TestTable(t *testing.T) {
	if len(all) != Count {
		t.Errorf("%d signatures, Count is %d", len(all), Count)
	}
	docs := map[string]bool{}
	for i := range all {
		s := &all[i]
		if s.Class == "" || s.Doc == "" || docs[s.Doc] {
			t.Errorf("signature %d of %q: no class, or no doc of its own", i, s.Class)
		}
		docs[s.Doc] = true
		if s.Pair() == (s.match != nil) {
			t.Errorf("%s: one message or two?", s.Class)
		}
	}
}

// FuzzMatch checks that nothing in a message, however short it was cut, upsets
// a signature, and that bytes beyond those captured are not needed.
func FuzzMatch(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(0), uint16(60))
	f.Add([]byte("\x30\x84\xff\xff\xff\xff\x02\x01"), uint16(9), uint16(7))
	f.Fuzz(func(_ *testing.T, data []byte, more, cut uint16) {
		length := len(data) + int(more)
		data = data[:min(len(data), Window, int(cut))]
		for _, proto := range []uint8{tcp, udp, 132} {
			m := Message{Data: data, Length: length, Proto: proto}
			for i := range all {
				all[i].Match(m)
				all[i].Follows(m, m)
			}
		}
	})
}
