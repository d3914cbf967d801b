package signature

import (
	"bytes"
)

// database holds databases and caches.
var database = []Signature{
	{Class: "mysql", Doc: "handshake of version 10 or an error as first packet, or the response to it (MySQL client/server protocol, connection phase)", proto: tcp, match: mysql},
	{Class: "pgsql", Doc: "startup message, SSL request, or a message with a known type and length (PostgreSQL 17 section 54.7)", proto: tcp, match: pgsql},
	{Class: "tds", Doc: "packet header with a length that fits ([MS-TDS] section 2.2.3.1)", proto: tcp, match: tds},
	{Class: "tns", Doc: "length that fits, type, and zeros (TNS header)", proto: tcp, match: func(m Message) bool {
		return m.be16(0) == m.Length && m.Length >= 8 && m.zeros(2, 4) && m.at(4) >= 1 && m.at(4) <= 19 && m.at(5)&^0x2c == 0 && m.zeros(6, 8)
	}},
	{Class: "resp", Doc: "array of bulk strings, or a typed reply (RESP specification)", proto: tcp, match: resp},
	{Class: "mongo", Doc: "message header with a known operation (MongoDB wire protocol)", proto: tcp, match: func(m Message) bool {
		op := m.le32(12)
		return m.fits(m.le32(0), 16, 48<<20) && (op == 1 && m.le32(0) > 36 || op >= 2001 && op <= 2007 || op >= 2010 && op <= 2013)
	}},
	{Class: "cql", Doc: "frame header with version, operation and length (CQL binary protocol v4 section 2)", proto: tcp, match: cql},
	{Class: "memcache", Doc: "a command or a reply in text (memcached protocol.txt), or a binary header, behind a frame header over UDP", match: memcache},
	{Class: "elasticsearch", Doc: "magic ES and a length that fits (transport protocol)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "ES") && m.be32(2) > 4 && m.be32(2) < 1<<26 && (m.be32(2) == m.Length-6 || m.be32(2) > m.Length-6 && m.Length > 1000 || m.zeros(2, 4))
	}},
	{Class: "drda", Doc: "DDM header with a length, magic 0xd0 and format (DRDA volume 3)", proto: tcp, match: func(m Message) bool {
		return m.at(2) == 0xd0 && m.be16(0) >= 10 && m.be16(6) == m.be16(0)-6 && m.at(3)&0x0f >= 1 && m.at(3)&0x0f <= 3
	}},
}

// messaging holds brokers and remote calls.
var messaging = []Signature{
	{Class: "mqtt", Doc: "CONNECT with the protocol's name, CONNACK, or a control packet whose length fits (MQTT 5.0 section 2)", proto: tcp, match: mqtt},
	{Class: "amqp", Doc: "protocol header, or a frame with its end mark (AMQP 0-9-1 section 4.2, AMQP 1.0 section 2.2)", proto: tcp, match: amqp},
	{Class: "kafka", Doc: "size that fits, a known key and version, a client's name (Kafka protocol guide)", proto: tcp, match: kafka},
	{Class: "nats", Doc: "INFO, CONNECT and other verbs (NATS client protocol)", proto: tcp, match: either(
		begins("INFO {", "CONNECT {", "PING\r\n", "PONG\r\n", "+OK\r\n", "MSG ", "HMSG ", "HPUB "),
		func(m Message) bool { return (m.has(0, "SUB ") || m.has(0, "PUB ")) && m.contains("\r\n") })},
	{Class: "zmtp", Doc: "greeting of version 2 or 3 (ZMTP 3.1 section 3.2)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 0xff && m.zeros(1, 8) && m.at(9) == 0x7f
	}},
	{Class: "openwire", Doc: "WireFormatInfo with the magic ActiveMQ (OpenWire version 2)", proto: tcp, match: func(m Message) bool {
		return m.has(5, "ActiveMQ") && m.at(4) == 1
	}},
	{Class: "stomp", Doc: "first frame of a session (STOMP 1.2)", proto: tcp, match: begins("CONNECT\n", "STOMP\n", "CONNECTED\n", "CONNECT\r\n", "STOMP\r\n", "CONNECTED\r\n")},
	{Class: "thrift", Doc: "message of the strict binary or the compact protocol with a name, framed or not (Thrift specification)", proto: tcp, match: thrift},
	{Class: "ceph", Doc: "banner (Ceph messenger v1 and v2)", proto: tcp, match: begins("ceph v0", "ceph v2\n", "ceph v1")},
	{Class: "rtps", Doc: "magic RTPS (DDSI-RTPS 2.5 section 9.4)", proto: udp, match: begins("RTPS\x01", "RTPS\x02", "RTPX\x02")},
	{Class: "smpp", Doc: "length that fits, command and status (SMPP 3.4 section 3.2)", proto: tcp, match: func(m Message) bool {
		id := m.be32(4) & 0x7fffffff
		return m.fits(m.be32(0), 16, 1<<16) && m.be32(8) >= 0 && m.be32(8) < 0x500 && (id >= 1 && id <= 9 || id == 0x0b || id == 0x15 || id == 0x21 || id >= 0x102 && id <= 0x112 || id == 0x103)
	}},
}

func mysql(m Message) bool {
	n := m.at(0) | m.at(1)<<8 | m.at(2)<<16
	if len(m.Data) < 6 || n != m.Length-4 {
		return false
	}
	switch m.at(3) {
	case 0:
		if m.at(4) == 10 { // protocol version, server version
			return m.at(5) >= '0' && m.at(5) <= '9' && (m.at(6) == '.' || m.at(7) == '.') || m.has(5, "5.5.5-")
		}
		return m.at(4) == 0xff && m.at(6) == 4 && m.text(0) // error 1024 to 1279
	case 1: // login: capabilities with protocol 4.1, 23 zero bytes; or a TLS request
		return m.le16(4)&0x0200 != 0 && m.zeros(13, 32-4)
	}
	return false
}

func pgsql(m Message) bool {
	n := m.be32(0)
	if n == m.Length && n >= 8 {
		switch m.be32(4) {
		case 0x00030000, 80877102, 80877103, 80877104:
			return true
		}
	}
	if n == 8 && m.be32(4) == 80877103 {
		return true
	}
	length := m.be32(1)
	if length < 4 || length > m.Length-1 {
		return false
	}
	switch m.at(0) {
	case 'R':
		auth := m.be32(5)
		return length >= 8 && auth >= 0 && auth <= 12 && length < 300
	case 'E':
		return (m.has(5, "SFATAL") || m.has(5, "SERROR") || m.has(5, "SFEHL")) && m.at(5) == 'S' || m.has(5, "S") && m.contains("\x00C")
	case 'p', 'Q', 'P':
		return length == m.Length-1 && m.at(m.Length-1) <= 0 || m.at(0) == 'P' && m.at(5) == 0 && m.text(1)
	}
	return false
}

func tds(m Message) bool {
	switch m.at(0) {
	case 1, 2, 3, 4, 6, 7, 8, 14, 15, 16, 17, 18:
	default:
		return false
	}
	n := m.be16(2)
	if m.at(1)&^0x1f != 0 || n < 9 || n != m.Length && (n < 512 || m.Length < 500) || m.at(7) != 0 {
		return false
	}
	if tpkt(m) && m.at(5) >= connectionConfirm {
		return false
	}
	if m.at(0) == 18 && m.at(8) == 0 { // PRELOGIN begins with the option VERSION
		return m.be16(9) < 64
	}
	return m.at(0) != 18
}

func resp(m Message) bool {
	line, rest, ok := bytes.Cut(m.Data, []byte("\r\n"))
	if !ok || len(line) < 2 {
		return false
	}
	number := len(line) <= 11
	for i, b := range line[1:] {
		number = number && (b >= '0' && b <= '9' || i == 0 && b == '-')
	}
	switch line[0] {
	case '*':
		return number && (len(rest) == 0 || bytes.IndexByte([]byte("$*:+-"), rest[0]) >= 0)
	case '$':
		return number && (len(rest) > 0 || line[1] == '-')
	case ':':
		return number && len(rest) == 0
	case '+':
		return bytes.Equal(line, []byte("+OK")) || bytes.Equal(line, []byte("+PONG")) || bytes.Equal(line, []byte("+QUEUED"))
	case '-':
		return bytes.HasPrefix(line, []byte("-ERR ")) && m.text(Window) || bytes.HasPrefix(line, []byte("-NOAUTH")) ||
			bytes.HasPrefix(line, []byte("-MOVED")) || bytes.HasPrefix(line, []byte("-WRONG")) || bytes.HasPrefix(line, []byte("-DENIED"))
	}
	return false
}

func cql(m Message) bool {
	v := m.at(0) & 0x7f
	if v < 1 || v > 5 || m.at(1)&^0x1f != 0 {
		return false
	}
	opcode, length, body := m.at(4), m.be32(5), 9
	if v <= 2 { // the stream has one byte
		opcode, length, body = m.at(3), m.be32(4), 8
	}
	if opcode < 0 || opcode > 0x10 || opcode == 4 || length < 0 || length > 256<<20 {
		return false
	}
	return length == m.Length-body || length > m.Length-body && m.Length > 1000
}

var memcacheCommand = word("stats", "version", "flush_all", "verbosity", "mn", "STORED", "NOT_STORED", "END", "DELETED",
	"NOT_FOUND", "VALUE", "STAT", "VERSION", "touch", "gat", "gets", "incr", "decr", "cas", "prepend", "append", "replace", "TOUCHED")

func memcache(m Message) bool {
	b := m
	if m.Proto == udp { // request ID, sequence number, total, reserved
		if m.be16(4) < 1 || m.be16(2) >= m.be16(4) || m.be16(6) != 0 {
			return false
		}
		b.Data, b.Length = m.Data[8:], m.Length-8
	}
	if memcacheCommand(b) {
		return b.text(20)
	}
	switch {
	case b.has(0, "get ") || b.has(0, "delete "):
		return b.text(Window) && len(b.word(len(b.word(0))+1)) > 0
	case b.has(0, "set ") || b.has(0, "add "): // key, flags, expiry, bytes
		i := 0
		for range 4 {
			i += len(b.word(i)) + 1
		}
		return b.at(i) >= '0' && b.at(i) <= '9' || i >= len(b.Data)
	}
	magic, extras := b.at(0), b.at(4)
	return (magic == 0x80 || magic == 0x81) && b.at(1) <= 0x40 && b.at(5) == 0 && extras <= 20 && b.be32(8) >= b.be16(2)+extras &&
		b.be32(8) < 1<<21 && (b.be32(8) <= b.Length-24 || b.Length > 1000)
}

func mqtt(m Message) bool {
	n, i := 0, 1
	for shift := 0; ; shift += 7 { // variable byte integer
		b := m.at(i)
		if b < 0 || shift > 21 {
			return false
		}
		n |= b & 0x7f << shift
		i++
		if b < 0x80 {
			break
		}
	}
	exact := m.Length == i+n
	switch kind, flags := m.at(0)>>4, m.at(0)&15; {
	case kind == 1:
		return flags == 0 && (m.has(i, "\x00\x04MQTT") || m.has(i, "\x00\x06MQIsdp"))
	case kind == 2:
		return flags == 0 && n >= 2 && n < 200 && m.at(i)&^1 == 0 && (m.at(i+1) <= 5 || m.at(i+1) >= 0x80)
	case kind == 3:
		topic := m.be16(i)
		return flags>>1 != 3 && topic > 0 && topic <= n-2 && topic < 512 && m.at(i+2) > ' ' && m.at(i+2) < 0x7f && (exact || m.Length > 1000)
	case kind >= 4 && kind <= 7:
		return exact && n == 2 && (flags == 0) == (kind != 6)
	case kind == 8 || kind == 10:
		return exact && flags == 2 && n >= 5 && m.be16(i) > 0
	case kind == 9:
		return exact && flags == 0 && n >= 3 && n < 12 && (m.at(m.Length-1) <= 2 || m.at(m.Length-1) >= 0x80)
	case kind >= 12 && kind <= 14:
		return exact && flags == 0 && n == 0
	}
	return false
}

func amqp(m Message) bool {
	if m.has(0, "AMQP") {
		return m.Length == 8
	}
	if kind := m.at(0); kind >= 1 && kind <= 3 || kind == 8 { // type, channel, size, payload, 0xce
		n := m.be32(3)
		end := 7 + n
		return n >= 0 && n < 1<<20 && m.be16(1) < 2048 && (end < len(m.Data) && m.at(end) == 0xce || end >= len(m.Data) && kind == 1 && m.be16(7) >= 10 && m.be16(7) <= 120 && m.be16(9) <= 120)
	}
	// AMQP 1.0: size, data offset 2, type 0 or 1, channel.
	return m.fits(m.be32(0), 8, 1<<20) && m.at(4) == 2 && m.at(5)&^1 == 0 && m.be16(6) < 1024 && (m.Length == 8 || m.has(8, "\x00\x53") || m.has(8, "\x00\x80"))
}

func kafka(m Message) bool {
	if n := m.be32(0); n < 8 || n > 1<<24 || n != m.Length-4 && m.Length < 1000 {
		return false
	}
	n := m.be16(12)
	if m.be16(4) > 92 || m.be16(6) > 20 || m.be16(12) < 0 {
		return false
	}
	if n == 0xffff {
		return m.be32(8) < 1<<16
	}
	client := Message{Data: m.Data[14:]}
	return n <= m.Length-14 && n < 256 && (n > 0 && client.text(n) || n == 0 && m.be32(8) < 1<<16 && m.be16(6) <= 12)
}

func thrift(m Message) bool {
	i := 0
	if n := m.be32(0); n > 0 && n <= 1<<24 && (n == m.Length-4 || m.Length > 1000) {
		i = 4
	}
	if m.be16(i) == 0x8001 && m.at(i+2) == 0 && m.at(i+3) >= 1 && m.at(i+3) <= 4 {
		n := m.be32(i + 4)
		return n > 0 && n < 128 && len(m.Data) > i+8 && Message{Data: m.Data[i+8:]}.text(n)
	}
	if m.at(i) == 0x82 && m.at(i+1)&0x1f == 1 && m.at(i+1)>>5 >= 1 && m.at(i+1)>>5 <= 4 { // version 1, type
		return m.contains("_") || len(m.Data) > i+6
	}
	// Not strict: length of the name, the name, a type.
	n := m.be32(i)
	return n > 2 && n < 48 && len(m.Data) > i+4+n && Message{Data: m.Data[i+4:]}.text(n) && m.at(i+4+n) >= 1 && m.at(i+4+n) <= 4
}
