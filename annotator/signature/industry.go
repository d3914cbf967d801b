package signature

// industry holds plants, substations, buildings and vehicles.
var industry = []Signature{
	{Class: "modbus", Doc: "protocol 0, length that fits, function (MODBUS Messaging on TCP/IP section 3.1.3); not BER, which looks the same", match: func(m Message) bool {
		n, function := m.be16(4), m.at(7)&0x7f
		return m.zeros(2, 4) && m.at(0) != 0x30 && n >= 2 && n <= 254 && m.fits(n+6, 8, m.Length) && function >= 1 && (function <= 24 || function == 43 || function == 90 || function >= 65 && function <= 72)
	}},
	{Class: "dnp3", Doc: "start bytes, length and control (IEEE 1815 section 9.2)", match: func(m Message) bool {
		return m.be16(0) == 0x0564 && m.at(2) >= 5
	}},
	{Class: "iec60870_104", Doc: "start byte, length, and the control fields of an I, S or U frame (IEC 60870-5-104 section 5)", proto: tcp, match: iec104},
	{Class: "s7comm", Doc: "data of protocol 0x32 or 0x72, or a connection between two transport selectors of a PLC (RFC 1006, S7)", proto: tcp, match: func(m Message) bool {
		switch cotp(m) {
		case dataTransfer:
			return m.at(7) == 0x32 && (m.at(8) <= 3 || m.at(8) == 7) || m.at(7) == 0x72 && m.at(8) <= 3
		case connectionRequest, connectionConfirm:
			return s7Selectors(m)
		}
		return false
	}},
	{Class: "mms", Doc: "session and presentation data of ISO 9506, or a connection between its selectors", proto: tcp, match: func(m Message) bool {
		switch cotp(m) {
		case dataTransfer:
			return m.has(7, "\x01\x00\x01\x00\x61") || (m.at(7) == 13 || m.at(7) == 14) && m.at(9) == 5
		case connectionRequest, connectionConfirm:
			return m.be16(2) <= 40 && (m.contains("\xc1\x02\x00\x01") || m.contains("\xc1\x02\x00\x00") || m.contains("\xc2\x02\x00\x01")) && !m.contains("\xc2\x02\x01") && !m.contains("\xc1\x02\x01")
		}
		return false
	}},
	{Class: "bacnet", Doc: "type 0x81 or 0x82, function and a length that fits (ASHRAE 135 annex J)", proto: udp, match: func(m Message) bool {
		return (m.at(0) == 0x81 || m.at(0) == 0x82) && m.at(1) >= 0 && m.at(1) <= 12 && m.be16(2) == m.Length
	}},
	{Class: "enip", Doc: "command, a length that fits and no options (EtherNet/IP encapsulation section 2-3), or items of connected data", match: enip},
	{Class: "opcua", Doc: "type of message, chunk and a length that fits (OPC UA part 6 section 7.1)", proto: tcp, match: func(m Message) bool {
		chunk := m.at(3)
		return (m.has(0, "HEL") || m.has(0, "ACK") || m.has(0, "ERR") || m.has(0, "OPN") || m.has(0, "MSG") || m.has(0, "CLO") || m.has(0, "RHE")) &&
			(chunk == 'F' || chunk == 'C' || chunk == 'A') && m.le32(4) >= 8 && m.le32(4) < 1<<26
	}},
	{Class: "synphasor", Doc: "sync word, type and version, and a length that fits (IEEE C37.118.2 section 6.2)", match: func(m Message) bool {
		return m.at(0) == 0xaa && m.at(1)&0x80 == 0 && m.at(1)>>4 <= 5 && m.at(1)&15 >= 1 && m.at(1)&15 <= 3 && m.be16(2) >= 16 && (m.be16(2) == m.Length || m.Proto == tcp)
	}},
	{Class: "hart_ip", Doc: "version, type, ID and a length that fits (HART-IP, TPDU 1)", match: func(m Message) bool {
		return (m.at(0) == 1 || m.at(0) == 2) && m.at(1) >= 0 && m.at(1)&0x0f <= 3 && m.at(2) >= 0 && m.at(2) <= 4 && m.be16(6) == m.Length && m.Length >= 8
	}},
	{Class: "omron", Doc: "FINS header, alone or behind the magic FINS (Omron FINS)", match: func(m Message) bool {
		return m.has(0, "FINS\x00\x00") || m.Proto == udp && m.at(0)&0x3e == 0 && m.at(0)&0x80 != 0 && m.at(1) == 0 && (m.at(2) == 2 || m.at(2) == 7) && m.Length >= 12 && m.at(10) <= 0x26 && m.at(10) >= 1
	}},
	{Class: "ams", Doc: "zeros, a length that fits and the header behind it, or the magic of its UDP form (Beckhoff AMS)", match: func(m Message) bool {
		return m.Proto == tcp && m.zeros(0, 2) && m.le32(2) >= 32 && m.le32(2) == m.Length-6 && m.has(10, "\x01\x01") && m.le16(22) <= 9 || m.Proto == udp && m.be32(0) == 0x03661471
	}},
	{Class: "kip", Doc: "header of version 1.0 and a length that fits (KNXnet/IP core section 2.3)", match: func(m Message) bool {
		return m.be16(0) == 0x0610 && m.fits(m.be16(4), 6, m.Length)
	}},
	{Class: "c1222", Doc: "ACSE APDU with the context of ANSI C12.22 (RFC 6142)", match: func(m Message) bool {
		_, i, ok := m.ber(0)
		return m.at(0) == 0x60 && ok && m.at(i) >= 0xa1 && m.at(i) <= 0xa8 && (m.contains("\x86\xf7\x54\x01") || m.contains("\x85\x63\x8e\x7f"))
	}},
	{Class: "esio", Doc: "magic ESIO (SAIA Ether-S-I/O)", proto: udp, match: begins("ESIO\x00")},
	{Class: "sbus", Doc: "length that fits, version and type (SAIA Ether-S-Bus)", proto: udp, match: func(m Message) bool {
		return m.be32(0) == m.Length && m.Length >= 11 && m.at(4) <= 1 && m.at(4) >= 0 && m.at(5) <= 1 && m.at(8) <= 3
	}},
	{Class: "someip", Doc: "length that fits, protocol version 1, type and return code (SOME/IP section 4.1)", match: func(m Message) bool {
		kind := m.at(14) &^ 0x60
		return m.be32(4) >= 8 && (m.be32(4) == m.Length-8 || m.at(m.be32(4)+20) == 1) && m.at(12) == 1 && (kind <= 2 || kind >= 0x80 && kind <= 0x82) && m.at(15) >= 0 && m.at(15) <= 0x5e
	}},
	{Class: "doip", Doc: "version and its inverse, type and a length that fits (ISO 13400-2 section 7)", match: func(m Message) bool {
		kind := m.be16(2)
		return m.at(0)^m.at(1) == 0xff && (m.at(0) <= 4 || m.at(0) == 0xff) && m.at(1) >= 0 && (kind <= 8 || kind >= 0x4001 && kind <= 0x4004 || kind >= 0x8001 && kind <= 0x8003) && (kind > 0 && m.be32(4) >= 0 && m.be32(4) <= 1<<20 || m.be32(4) == 1)
	}},
	{Class: "pn_io", Doc: "connectionless DCE/RPC with an object of PROFINET (PROFINET IO, RPC)", proto: udp, match: func(m Message) bool {
		return dcerpc(m) && (m.has(8, "\xde\xa0\x00\x00\x6c\x97\x11\xd1") || m.has(8, "\x00\x00\xa0\xde\x97\x6c\xd1\x11"))
	}},
}

func iec104(m Message) bool {
	n := m.at(1)
	if m.at(0) != 0x68 || n < 4 || n > 253 || m.Length < n+2 || m.Length > n+2 && m.at(n+2) != 0x68 && m.at(n+2) >= 0 {
		return false
	}
	switch m.at(2) & 3 {
	case 3:
		return n == 4 && m.zeros(3, 6)
	case 1:
		return n == 4 && m.at(3) == 0
	}
	kind, cause := m.at(6), m.at(8)&0x3f
	return n >= 10 && kind >= 1 && kind <= 127 && cause >= 1 && cause <= 47 && m.at(4)&1 == 0
}

// s7Selectors tells whether the calling and the called transport selector have
// the form of a PLC's: kind of connection, then rack and slot.
func s7Selectors(m Message) bool {
	for i := 11; i+4 <= min(len(m.Data), m.be16(2)); i += 2 + max(m.at(i+1), 0) {
		if (m.at(i) == 0xc1 || m.at(i) == 0xc2) && m.at(i+1) == 2 && m.at(i+2) >= 1 && m.at(i+2) <= 0x10 && m.at(i+3) <= 0x20 {
			return true
		}
		if (m.at(i) == 0xc1 || m.at(i) == 0xc2) && m.has(i+2, "SIMATIC") {
			return true
		}
	}
	return false
}

func enip(m Message) bool {
	switch m.le16(0) {
	case 1, 4, 0x63, 0x64, 0x65, 0x66, 0x6f, 0x70, 0x72, 0x73:
		status := m.le32(8)
		return m.Length >= 24 && m.fits(m.le16(2)+24, 24, 1<<12) && m.zeros(20, 24) && status >= 0 && status <= 0x6a
	case 2: // two items: a sequenced address and connected data
		return m.Proto == udp && m.has(2, "\x02\x80\x08\x00") && m.has(14, "\xb1\x00")
	}
	return false
}
