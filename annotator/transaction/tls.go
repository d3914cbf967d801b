package transaction

import (
	"fmt"
	"strconv"
	"strings"

	"ampulla/annotator/packet"
)

// Records, handshake messages, extensions and alerts of TLS (RFC 8446, sections
// 5.1, 4, 4.2 and 6).
const (
	recordChangeCipher = 20
	recordAlert        = 21
	recordData         = 23

	helloClient      = 1
	helloServer      = 2
	helloCertificate = 11

	extensionPSK = 41

	alertFatal        = 2
	alertUserCanceled = 90
)

// tlsState is what is remembered of a handshake.
type tlsState struct {
	hello   int64 // time of the ClientHello; 0 before
	server  int64 // of the ServerHello
	changed bool  // TLS 1.2: the server changed its cipher
	done    bool
}

// onlyAlert tells whether a segment holds nothing but TLS alerts.
func (r *row) onlyAlert() bool {
	types := r.values(colRecord)
	for _, kind := range types {
		if number(kind) != recordAlert {
			return false
		}
	}
	return len(types) > 0
}

// tlsRow takes in what a segment says of TLS.
func (t *Tracker) tlsRow(c *connection, r *row, fromClient bool) {
	if !c.TLS && !r.has(colRecord) && !r.has(colOpaque) && !r.has(colHandshake) {
		return
	}
	c.TLS = true
	s := &c.tls
	switch {
	case r.contains(colHandshake, helloClient) && s.hello == 0:
		if !fromClient && !c.oriented {
			c.Client, c.Server = c.Server, c.Client
		}
		s.hello, c.Hello = r.time, r.frame
		c.Host = strings.ToLower(strings.Clone(clip(r.first(colServerName), t.cfg.HeaderBytes)))
		c.Asked = r.contains(colExtension, extensionPSK)
		c.Offered = clip(strings.Join(r.values(colALPN), ","), 64)
	case !fromClient:
		s.fromServer(c, r)
	default:
		s.fromClient(c, r)
	}
	if r.has(colAlert) && number(r.text(colAlertLevel)) == alertFatal && number(r.text(colAlert)) != alertUserCanceled && c.Failure == "" {
		by := "the server"
		if fromClient {
			by = "the client"
		}
		c.Failure, c.FailureFrame = TLSFailed, r.frame
		c.Reason = fmt.Sprintf("%s sent the alert %s", by, alertName(int(number(r.text(colAlert)))))
	}
}

func (s *tlsState) fromServer(c *connection, r *row) {
	if r.contains(colHandshake, helloServer) && s.server == 0 {
		s.server = r.time
		c.Version = tlsVersion(r)
		c.Resumed = r.contains(colExtension, extensionPSK)
	}
	if alpn := r.text(colALPN); alpn != "" {
		c.Chosen = strings.Clone(clip(alpn, 16))
	}
	if r.contains(colHandshake, helloCertificate) {
		c.Full, c.Resumed = true, false
	}
	if s.server != 0 && c.Version != "1.3" && !s.changed && r.contains(colRecord, recordChangeCipher) {
		s.changed = true
		c.Resumed = !c.Full
	}
}

// fromClient finds the end of the handshake: in TLS 1.3 the client's first
// answer to the server's, before it its first data.
func (s *tlsState) fromClient(c *connection, r *row) {
	if s.done || s.hello == 0 {
		s.done = s.done || r.contains(colRecord, recordData) // it began before the capture
		return
	}
	if s.server == 0 || c.Version != "1.3" && !r.contains(colRecord, recordData) {
		return
	}
	s.done = true
	c.Handshake = max(1, r.time-s.hello)
	if c.Version == "1.3" && !c.Resumed {
		c.Full = true
	}
}

// closed takes in the end of the connection: one that ends between the hello and
// the end of the handshake has failed.
func (s *tlsState) closed(c *connection, r *row, fromClient bool) {
	if s.hello == 0 || s.done || c.Failure != "" {
		return
	}
	by, how := "the server", "closed the connection"
	if fromClient {
		by = "the client"
	}
	if r.flags&packet.RST != 0 {
		how = "reset the connection"
	}
	c.Failure, c.FailureFrame = TLSFailed, r.frame
	c.Reason = by + " " + how + " during the handshake"
}

// tlsVersion reads the version of a ServerHello.
func tlsVersion(r *row) string {
	version := number(r.text(colSupportedVersion))
	if version == 0 {
		version = number(r.first(colHelloVersion))
	}
	if version < 0x0301 || version > 0x0304 {
		return ""
	}
	return "1." + strconv.Itoa(int(version)-0x0301)
}

// alertName returns the name of an alert (RFC 8446, section 6) in words.
func alertName(n int) string {
	names := map[int]string{
		10: "unexpected message", 20: "bad record MAC", 40: "handshake failure", 42: "bad certificate",
		43: "unsupported certificate", 44: "certificate revoked", 45: "certificate expired",
		46: "certificate unknown", 47: "illegal parameter", 48: "unknown CA", 49: "access denied",
		50: "decode error", 51: "decrypt error", 70: "protocol version", 71: "insufficient security",
		80: "internal error", 86: "inappropriate fallback", 109: "missing extension",
		112: "unrecognized name", 116: "certificate required", 120: "no application protocol",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return strconv.Itoa(n)
}
