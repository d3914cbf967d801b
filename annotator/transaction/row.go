package transaction

import (
	"strconv"
	"strings"

	"ampulla/annotator/packet"
)

// separator stands between several values of a field. It is a control character
// because tshark escapes those in what it prints.
const separator = "\x1f"

// What tshark prints of each frame, in this order.
const (
	colNumber = iota
	colStream
	colRetransmission
	colKeepAlive
	colMethod
	colURI
	colRequestLine
	colRequestVersion
	colStatus
	colResponseLine
	colHandshake
	colExtension
	colServerName
	colALPN
	colHelloVersion
	colSupportedVersion
	colRecord
	colOpaque
	colAlertLevel
	colAlert
	colH2Type
	colH2Stream
	colH2Flags
	colH2Length
	colH2Name
	colH2Value
	colH2Reset
	colDNSID
	colDNSResponse
	colDNSName
	colDNSType
	colDNSCode
	colDNSA
	colDNSAAAA
	columns
)

// fields are Wireshark's names of the columns.
var fields = [columns]string{
	colNumber:           "frame.number",
	colStream:           "tcp.stream",
	colRetransmission:   "tcp.analysis.retransmission",
	colKeepAlive:        "tcp.analysis.keep_alive",
	colMethod:           "http.request.method",
	colURI:              "http.request.uri",
	colRequestLine:      "http.request.line",
	colRequestVersion:   "http.request.version",
	colStatus:           "http.response.code",
	colResponseLine:     "http.response.line",
	colHandshake:        "tls.handshake.type",
	colExtension:        "tls.handshake.extension.type",
	colServerName:       "tls.handshake.extensions_server_name",
	colALPN:             "tls.handshake.extensions_alpn_str",
	colHelloVersion:     "tls.handshake.version",
	colSupportedVersion: "tls.handshake.extensions.supported_version",
	colRecord:           "tls.record.content_type",
	colOpaque:           "tls.record.opaque_type",
	colAlertLevel:       "tls.alert_message.level",
	colAlert:            "tls.alert_message.desc",
	colH2Type:           "http2.type",
	colH2Stream:         "http2.streamid",
	colH2Flags:          "http2.flags",
	colH2Length:         "http2.length",
	colH2Name:           "http2.header.name",
	colH2Value:          "http2.header.value",
	colH2Reset:          "http2.rst_stream.error",
	colDNSID:            "dns.id",
	colDNSResponse:      "dns.flags.response",
	colDNSName:          "dns.qry.name",
	colDNSType:          "dns.qry.type",
	colDNSCode:          "dns.flags.rcode",
	colDNSA:             "dns.a",
	colDNSAAAA:          "dns.aaaa",
}

// fed is what is known of a frame before tshark has seen it.
type fed struct {
	frame            uint64 // Wireshark's number in the capture
	time             int64
	src, dst         packet.Addr
	srcPort, dstPort uint16
	proto            uint8
	flags            uint16 // TCP
	payload          uint32 // bytes
}

// row is a frame as tshark dissected it.
type row struct {
	fed
	columns [columns]string
}

// parse reads a line into r. Columns that are missing are empty.
func (r *row) parse(line string) {
	for i := range r.columns {
		r.columns[i], line, _ = strings.Cut(line, "\t")
	}
}

func (r *row) has(column int) bool { return r.columns[column] != "" }

// text returns the last value of a column, the one of the innermost protocol.
func (r *row) text(column int) string {
	s := r.columns[column]
	return s[strings.LastIndex(s, separator)+1:]
}

// first returns the first value of a column.
func (r *row) first(column int) string {
	s, _, _ := strings.Cut(r.columns[column], separator)
	return s
}

// values returns all values of a column.
func (r *row) values(column int) []string {
	if r.columns[column] == "" {
		return nil
	}
	return strings.Split(r.columns[column], separator)
}

// contains tells whether a number is among the values of a column.
func (r *row) contains(column int, n uint64) bool {
	for _, v := range r.values(column) {
		if number(v) == n {
			return true
		}
	}
	return false
}

// number reads a decimal or hexadecimal number as tshark prints it; 0 if it is
// none.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 0, 64)
	return n
}

// headers reads header lines as tshark prints them: `Name: value\r\n`, with the
// line end in letters. Lines beyond the bounds of cfg are left out.
func (t *Tracker) headers(lines []string) Headers {
	h := make(Headers, 0, min(len(lines), t.cfg.Headers))
	for _, line := range lines {
		line = strings.TrimSuffix(line, `\n`)
		line = strings.TrimSuffix(line, `\r`)
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		h = t.appendHeader(h, strings.ToLower(name), strings.TrimSpace(value))
	}
	return h
}

// appendHeader adds a copy of a line, if there is room.
func (t *Tracker) appendHeader(h Headers, name, value string) Headers {
	if len(h) >= t.cfg.Headers {
		return h
	}
	return append(h, Header{strings.Clone(clip(name, t.cfg.HeaderBytes)), strings.Clone(clip(value, t.cfg.HeaderBytes))})
}

func clip(s string, n int) string { return s[:min(len(s), n)] }
