package transaction

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/packet"
)

// wire passes rows to a tracker, and writes down what it finds.
type wire struct {
	tracker *Tracker
	frame   uint64
	found   []string
	lasts   []*Exchange
}

func newWire(change func(*Config)) *wire {
	w := &wire{}
	cfg := Default()
	if change != nil {
		change(&cfg)
	}
	cfg.OnExchange = func(x *Exchange) {
		w.found = append(w.found, fmt.Sprintf("%s %s %d %s wait %d took %d frames %v", x.Method, x.URL(), x.Status, x.Outcome, x.Wait(), x.Took(), x.Frames()))
		w.lasts = append(w.lasts, x)
	}
	cfg.OnConnection = func(c *Connection) {
		line := fmt.Sprintf("connection %v to %v", c.Client, c.Server)
		if c.Failure != "" {
			line += fmt.Sprintf(" %s %s frame %d", c.Failure, c.Reason, c.FailureFrame)
		}
		if c.TLS {
			line += fmt.Sprintf(" TLS %s %s %s handshake %d resumed %v full %v turns %v", c.Version, c.Host, c.Chosen, c.Handshake, c.Resumed, c.Full, c.Turns)
		}
		w.found = append(w.found, line)
	}
	cfg.OnLookup = func(l *Lookup) {
		w.found = append(w.found, fmt.Sprintf("look-up %s answered %v code %d took %d %v", l.Name, l.Answered, l.Code, l.Took, l.Addresses))
	}
	w.tracker = newTracker(cfg)
	return w
}

// at passes the next frame on: when it was sent, from whom, how, and what tshark
// prints of it.
func (w *wire) at(time int64, from string, flags uint16, payload uint32, columns map[int]string) {
	w.frame++
	client, server := netip.MustParseAddrPort("10.0.0.1:50000"), netip.MustParseAddrPort("10.0.0.2:80")
	src, dst := client, server
	if from == "server" {
		src, dst = server, client
	}
	r := row{fed: fed{
		frame: w.frame, time: time, src: src.Addr().As16(), dst: dst.Addr().As16(),
		srcPort: src.Port(), dstPort: dst.Port(), proto: packet.ProtoTCP, flags: flags, payload: payload,
	}}
	r.columns[colStream] = "0"
	for column, text := range columns {
		r.columns[column] = text
	}
	if r.has(colDNSID) {
		r.proto = packet.ProtoUDP
	}
	w.tracker.row(&r)
}

func (w *wire) open() {
	w.at(100, "client", packet.SYN, 0, nil)
	w.at(110, "server", packet.SYN|packet.ACK, 0, nil)
}

func list(values ...string) string { return strings.Join(values, separator) }

func get(target string) map[int]string {
	return map[int]string{colMethod: "GET", colURI: target, colRequestVersion: "HTTP/1.1", colRequestLine: list(`Host: Shop.example\r\n`, `Accept: */*\r\n`)}
}

func status(code string, lines ...string) map[int]string {
	return map[int]string{colStatus: code, colResponseLine: list(lines...)}
}

// h2 describes one HTTP/2 frame.
func h2(kind, stream, flags, length string, headers ...string) map[int]string {
	var names, values []string
	for _, h := range headers {
		name, value, _ := strings.Cut(h, "=")
		names, values = append(names, name), append(values, value)
	}
	return map[int]string{
		colH2Type: kind, colH2Stream: stream, colH2Flags: flags, colH2Length: length,
		colH2Name: list(names...), colH2Value: list(values...),
	}
}

const closed = "connection 10.0.0.1:50000 to 10.0.0.2:80"

func TestTracker(t *testing.T) {
	tests := []struct {
		name string
		send func(*wire)
		want []string
	}{
		{"an answer of several segments", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(210, "server", 0, 1400, status("200", `Content-Length: 3000\r\n`))
			w.at(220, "server", 0, 1400, nil)
			w.at(230, "server", packet.PSH, 400, nil)
			w.at(900, "server", packet.FIN, 0, nil)
		}, []string{"GET http://shop.example/a 200 answered wait 10 took 30 frames [3 4 6]", closed}},
		{"one after the other, an interim response before", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(205, "server", 0, 30, status("100"))
			w.at(210, "server", 0, 300, status("204"))
			w.at(300, "client", packet.PSH, 100, get("/b"))
			w.at(330, "server", 0, 300, status("404"))
		}, []string{
			"GET http://shop.example/a 204 answered wait 10 took 10 frames [3 5]",
			"GET http://shop.example/b 404 answered wait 30 took 30 frames [6 7]", closed,
		}},
		{"pipelined", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 200, map[int]string{colMethod: list("GET", "GET"), colURI: list("/a", "/b"), colRequestLine: `Host: shop.example\r\n`})
			w.at(210, "server", 0, 300, status(list("200", "304")))
		}, []string{
			"GET http://shop.example/a 200 answered wait 10 took 0 frames [3 4]",
			"GET http://shop.example/b 304 answered wait 10 took 10 frames [3 4]", closed,
		}},
		{"a WebSocket", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/chat"))
			w.at(210, "server", 0, 300, status("101", `Upgrade: websocket\r\n`))
			w.at(90000, "server", 0, 300, nil)
			w.at(99000, "client", packet.FIN, 0, nil)
		}, []string{"GET http://shop.example/chat 101 answered wait 10 took 10 frames [3 4]", closed}},
		{"through a proxy", func(w *wire) {
			w.open()
			columns := get("shop.example:443")
			columns[colMethod] = "CONNECT"
			w.at(200, "client", packet.PSH, 100, columns)
			w.at(210, "server", 0, 300, status("200"))
			w.at(90000, "server", 0, 300, nil)
		}, []string{"CONNECT shop.example:443 200 answered wait 10 took 10 frames [3 4]", closed}},
		{"repeated segments say nothing", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(210, "server", 0, 300, status("200"))
			w.at(500, "server", 0, 300, map[int]string{colStatus: "200", colRetransmission: "1"})
			w.at(600, "server", 0, 1, map[int]string{colKeepAlive: "1"})
		}, []string{"GET http://shop.example/a 200 answered wait 10 took 10 frames [3 4]", closed}},
		{"the client gives up", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(5000, "client", packet.FIN, 0, nil)
			w.at(6000, "server", 0, 300, status("200"))
		}, []string{"GET http://shop.example/a 0 given_up wait 4800 took 4800 frames [3 4]", closed}},
		{"the server breaks off", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(300, "server", packet.RST, 0, nil)
		}, []string{"GET http://shop.example/a 0 reset wait 100 took 100 frames [3 4]", closed}},
		{"the server breaks off within the answer", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(210, "server", 0, 1400, status("200", `Content-Length: 30000\r\n`))
			w.at(300, "server", packet.RST, 0, nil)
		}, []string{"GET http://shop.example/a 200 reset wait 10 took 100 frames [3 4 5]", closed}},
		{"a reset behind a whole answer means nothing", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(210, "server", 0, 300, status("200", `Content-Length: 10\r\n`))
			w.at(300, "client", packet.RST, 0, nil)
		}, []string{"GET http://shop.example/a 200 answered wait 10 took 10 frames [3 4]", closed}},
		{"the server's side was not captured", func(w *wire) {
			w.at(100, "client", packet.SYN, 0, nil)
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(300, "client", packet.PSH, 100, get("/b"))
			w.at(9000, "client", packet.FIN, 0, nil)
		}, []string{
			"GET http://shop.example/a 0 unseen wait 8800 took 8800 frames [2 4]",
			"GET http://shop.example/b 0 unseen wait 8700 took 8700 frames [3 4]", closed,
		}},
		{"the capture ends first", func(w *wire) {
			w.open()
			w.at(200, "client", packet.PSH, 100, get("/a"))
			w.at(700, "client", 0, 0, nil)
		}, []string{"GET http://shop.example/a 0 unended wait 500 took 500 frames [3]", closed}},
		{"the capture begins within a connection, on odd ports", func(w *wire) {
			w.at(205, "server", 0, 100, get("/a")) // who calls is seen by the request
			w.at(210, "client", 0, 300, status("200"))
		}, []string{"GET http://shop.example/a 200 answered wait 5 took 5 frames [1 2]", "connection 10.0.0.2:80 to 10.0.0.1:50000"}},
		{"refused", func(w *wire) {
			w.at(100, "client", packet.SYN, 0, nil)
			w.at(110, "server", packet.RST|packet.ACK, 0, nil)
		}, []string{closed + " refused  frame 2"}},
		{"nobody answers", func(w *wire) {
			w.at(100, "client", packet.SYN, 0, nil)
			w.at(1100, "client", packet.SYN, 0, nil)
		}, []string{closed + " unanswered  frame 1"}},
		{"HTTP/2: streams at the same time", func(w *wire) {
			w.open()
			w.at(200, "client", 0, 100, h2(list("1", "1"), list("1", "3"), list("0x05", "0x05"), list("40", "30"),
				":method=GET", ":path=/a", ":authority=shop.example", "accept=*/*", ":method=GET", ":path=/b", ":authority=shop.example"))
			w.at(210, "server", 0, 100, h2(list("1", "0"), list("3", "3"), list("0x04", "0x00"), list("20", "900"), ":status=200", "server=x"))
			w.at(220, "server", 0, 100, h2(list("0", "1"), list("3", "1"), list("0x01", "0x05"), list("100", "20"), ":status=204"))
		}, []string{
			"GET http://shop.example/b 200 answered wait 10 took 20 frames [3 4 5]",
			"GET http://shop.example/a 204 answered wait 20 took 20 frames [3 5]", closed,
		}},
		{"HTTP/2: header blocks of more than a frame, and trailers", func(w *wire) {
			w.open()
			w.at(200, "client", 0, 100, h2("1", "1", "0x01", "40"))
			w.at(205, "client", 0, 100, h2("9", "1", "0x04", "40", ":method=POST", ":path=/a", ":authority=shop.example"))
			w.at(210, "server", 0, 100, h2("1", "1", "0x04", "40", ":status=200"))
			w.at(220, "server", 0, 100, h2(list("0", "1"), list("1", "1"), list("0x00", "0x05"), list("9", "9"), "grpc-status=0"))
		}, []string{"POST http://shop.example/a 200 answered wait 5 took 15 frames [4 5 6]", closed}},
		{"HTTP/2: cancelled by the client, refused by the server", func(w *wire) {
			w.open()
			for _, stream := range []string{"1", "3"} {
				w.at(200, "client", 0, 100, h2("1", stream, "0x05", "40", ":method=GET", ":path=/"+stream, ":authority=shop.example"))
			}
			reset := h2("3", "1", "0x00", "4")
			reset[colH2Reset] = "8"
			w.at(300, "client", 0, 20, reset)
			reset = h2("3", "3", "0x00", "4")
			reset[colH2Reset] = "2"
			w.at(400, "server", 0, 20, reset)
		}, []string{
			"GET http://shop.example/1 0 given_up wait 100 took 100 frames [3 5]",
			"GET http://shop.example/3 0 reset wait 200 took 200 frames [4 6]", closed,
		}},
		{"TLS 1.3 without keys", func(w *wire) {
			w.open()
			w.at(200, "client", 0, 500, map[int]string{colHandshake: "1", colRecord: "22", colServerName: "Shop.example", colALPN: list("h2", "http/1.1")})
			w.at(250, "server", 0, 1400, map[int]string{colHandshake: "2", colHelloVersion: "0x0303", colSupportedVersion: "0x0304", colRecord: list("22", "20"), colOpaque: "23"})
			w.at(300, "client", 0, 300, map[int]string{colRecord: "20", colOpaque: list("23", "23")})
			w.at(310, "server", 0, 500, map[int]string{colOpaque: "23"}) // tickets
			w.at(400, "client", 0, 300, map[int]string{colOpaque: "23"})
			w.at(900, "server", 0, 900, map[int]string{colOpaque: "23"})
			w.at(950, "server", 0, 900, map[int]string{colOpaque: "23"})
		}, []string{closed + " TLS 1.3 shop.example  handshake 100 resumed false full true turns [{500 550 7}]"}},
		{"TLS 1.2, continued", func(w *wire) {
			w.open()
			w.at(200, "client", 0, 500, map[int]string{colHandshake: "1", colRecord: "22", colServerName: "shop.example"})
			w.at(250, "server", 0, 200, map[int]string{colHandshake: "2", colHelloVersion: "0x0303", colRecord: list("22", "20", "22"), colALPN: "http/1.1"})
			w.at(300, "client", 0, 60, map[int]string{colRecord: list("20", "22")})
			w.at(310, "client", 0, 300, map[int]string{colRecord: "23"})
			w.at(350, "server", 0, 900, map[int]string{colRecord: "23"})
		}, []string{closed + " TLS 1.2 shop.example http/1.1 handshake 110 resumed true full false turns [{40 40 6}]"}},
		{"TLS: the client does not trust the server", func(w *wire) {
			w.open()
			w.at(200, "client", 0, 500, map[int]string{colHandshake: "1", colRecord: "22", colServerName: "shop.example"})
			w.at(250, "server", 0, 900, map[int]string{colHandshake: list("2", "11"), colHelloVersion: "0x0303", colRecord: "22"})
			w.at(300, "client", 0, 7, map[int]string{colRecord: "21", colAlertLevel: "2", colAlert: "48"})
		}, []string{closed + " tls the client sent the alert unknown CA frame 5 TLS 1.2 shop.example  handshake 0 resumed false full true turns []"}},
		{"TLS: the server hangs up", func(w *wire) {
			w.open()
			w.at(200, "client", 0, 500, map[int]string{colHandshake: "1", colRecord: "22", colServerName: "shop.example"})
			w.at(250, "server", packet.RST, 0, nil)
		}, []string{closed + " tls the server reset the connection during the handshake frame 4 TLS  shop.example  handshake 0 resumed false full false turns []"}},
		{"names", func(w *wire) {
			ask := map[int]string{colDNSID: "0x1234", colDNSResponse: "0", colDNSName: "Shop.example", colDNSType: "1"}
			w.at(100, "client", 0, 40, ask)
			w.at(150, "client", 0, 40, ask) // again
			w.at(200, "server", 0, 90, map[int]string{colDNSID: "0x1234", colDNSResponse: "1", colDNSName: "shop.example", colDNSCode: "0", colDNSA: list("192.0.2.1", "192.0.2.2")})
			w.at(300, "client", 0, 40, map[int]string{colDNSID: "0x9", colDNSResponse: "False", colDNSName: "pay.example", colDNSType: "28"})
		}, []string{
			"look-up shop.example answered true code 0 took 100 [192.0.2.1 192.0.2.2]",
			"look-up pay.example answered false code 0 took 1 []",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWire(nil)
			test.send(w)
			w.tracker.finish()
			if diff := cmp.Diff(test.want, w.found); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	w := newWire(func(c *Config) { c.Headers, c.HeaderBytes = 2, 10 })
	w.open()
	columns := get("/a?" + strings.Repeat("x", 100))
	columns[colRequestLine] = list(`Host: shop\r\n`, `no colon\r\n`, `Cookie: a=1; b=2345678901234\r\n`, `X: y\r\n`)
	w.at(200, "client", 0, 300, columns)
	w.tracker.finish()
	x := w.lasts[0]
	want := Headers{{"host", "shop"}, {"cookie", "a=1; b=234"}}
	if diff := cmp.Diff(want, x.Request); diff != "" || x.Path != "/a?xxxxxxx" {
		t.Errorf("path %q, (-want +got):\n%s", x.Path, diff)
	}
}

// TestTrackerBounds has more of everything than a tracker may remember.
func TestTrackerBounds(t *testing.T) {
	w := newWire(func(c *Config) { c.Connections, c.Pending, c.Lookups = 10, 3, 5 })
	for i := range 100 {
		stream := get("/a")
		stream[colStream] = fmt.Sprint(i)
		for range 9 {
			w.at(int64(i), "client", 0, 100, stream)
		}
		h := h2("1", fmt.Sprint(i), "0x05", "40", ":method=GET", ":path=/")
		h[colStream] = "1000"
		w.at(int64(i), "client", 0, 100, h)
		w.at(int64(i), "client", 0, 40, map[int]string{colDNSID: fmt.Sprint(i + 1), colDNSResponse: "0", colDNSName: "x"})
	}
	if c, l := w.tracker.connections.Len(), w.tracker.lookups.Len(); c != 10 || l != 5 {
		t.Errorf("%d connections, %d look-ups remembered", c, l)
	}
	for _, c := range w.tracker.connections.Values() {
		if len(c.pending) > 3 || len(c.streams) > 3 {
			t.Errorf("%d and %d requests of a connection remembered", len(c.pending), len(c.streams))
		}
	}
}

// FuzzTracker passes any text as what tshark prints.
func FuzzTracker(f *testing.F) {
	f.Add("1\t0\t\t\tGET\t/\tHost: a\\r\\n\tHTTP/1.1\n1\t0\t\t\t\t\t\t\t200\t", uint16(1), uint16(2))
	f.Add(strings.Repeat("1\t", columns)+"\n"+strings.Repeat("1"+separator+"1\t", columns), uint16(0), uint16(9))
	f.Fuzz(func(t *testing.T, text string, a, b uint16) {
		w := newWire(func(c *Config) { c.Connections, c.Lookups = 2, 2 })
		var r row
		for i, line := range strings.Split(text, "\n") {
			r.parse(line)
			r.fed = fed{frame: uint64(i + 1), time: int64(i), srcPort: a, dstPort: b, proto: packet.ProtoTCP, flags: a, payload: uint32(b)}
			if i%2 == 1 {
				r.srcPort, r.dstPort = b, a
			}
			w.tracker.row(&r)
		}
		w.tracker.finish()
		for _, x := range w.lasts {
			if x.Outcome == "" || x.Took() < 0 || x.RequestFrame == 0 {
				t.Errorf("%+v", x)
			}
			entryOf(x)
		}
	})
}
