package transaction

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HAR writes exchanges as an HTTP Archive, version 1.2
// (http://www.softwareishard.com/blog/har-12-spec/), as they come: the order is
// that of their ends. Fields of our own, "_frames" and "_outcome", begin with a
// low line, as the format wants it. What would let a reader of the file act as
// somebody else, that is cookies and credentials, is left out.
type HAR struct {
	w   io.Writer
	n   uint64
	err error
}

// NewHAR begins an archive; version is that of the program. Close ends it.
func NewHAR(w io.Writer, version string) *HAR {
	h := &HAR{w: w}
	creator, _ := json.Marshal(harCreator{"Ampulla", version}) // two strings can always be encoded
	_, h.err = fmt.Fprintf(w, `{"log":{"version":"1.2","creator":%s,"pages":[],"entries":[`, creator)
	return h
}

// Add writes an exchange. The first error is kept for Close.
func (h *HAR) Add(x *Exchange) {
	if h.err != nil {
		return
	}
	text, err := json.Marshal(entryOf(x))
	if err != nil {
		h.err = fmt.Errorf("har: frame %d: %w", x.RequestFrame, err)
		return
	}
	if h.n > 0 {
		text = append([]byte(","), text...)
	}
	h.n++
	if _, err := h.w.Write(append(text, '\n')); err != nil {
		h.err = fmt.Errorf("har: %w", err)
	}
}

// Close ends the archive; it does not close the writer.
func (h *HAR) Close() error {
	if h.err == nil {
		_, h.err = io.WriteString(h.w, "]}}\n")
	}
	return h.err
}

type harCreator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type harEntry struct {
	Started    time.Time   `json:"startedDateTime"`
	Time       float64     `json:"time"`
	Request    harRequest  `json:"request"`
	Response   harResponse `json:"response"`
	Cache      struct{}    `json:"cache"`
	Timings    harTimings  `json:"timings"`
	Server     string      `json:"serverIPAddress"`
	Connection string      `json:"connection"`
	Frames     []uint64    `json:"_frames"`
	Outcome    Outcome     `json:"_outcome"`
}

type harRequest struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	Version     string    `json:"httpVersion"`
	Cookies     []harPair `json:"cookies"`
	Headers     []harPair `json:"headers"`
	QueryString []harPair `json:"queryString"`
	HeadersSize int64     `json:"headersSize"`
	BodySize    int64     `json:"bodySize"`
}

type harResponse struct {
	Status      int        `json:"status"`
	StatusText  string     `json:"statusText"`
	Version     string     `json:"httpVersion"`
	Cookies     []harPair  `json:"cookies"`
	Headers     []harPair  `json:"headers"`
	Content     harContent `json:"content"`
	RedirectURL string     `json:"redirectURL"`
	HeadersSize int64      `json:"headersSize"`
	BodySize    int64      `json:"bodySize"`
}

type harContent struct {
	Size     int64  `json:"size"`
	MimeType string `json:"mimeType"`
}

type harPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// harTimings are in milliseconds, -1 where they do not apply.
type harTimings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"` // with SSL
	SSL     float64 `json:"ssl"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

func entryOf(x *Exchange) harEntry {
	version := "HTTP/" + x.Version
	sent := max(0, min(x.Sent, x.End)-x.Start)
	wait, receive := max(0, x.Took()-sent), int64(0)
	if x.FirstByte != 0 {
		sent = min(sent, x.Wait())
		wait, receive = x.Wait()-sent, max(0, x.End-x.FirstByte)
	}
	t := harTimings{Blocked: -1, DNS: -1, Connect: -1, SSL: -1, Send: millis(sent), Wait: millis(wait), Receive: millis(receive)}
	if x.First && x.Connect > 0 {
		t.Connect = millis(x.Connect + x.Handshake)
		if x.Handshake > 0 {
			t.SSL = millis(x.Handshake)
		}
	}
	return harEntry{
		Started: time.Unix(0, x.Start-x.opening()).UTC(),
		Time:    max(0, t.Connect) + t.Send + t.Wait + t.Receive,
		Request: harRequest{
			Method: x.Method, URL: x.URL(), Version: version, Cookies: []harPair{}, Headers: pairs(x.Request),
			QueryString: query(x.Path), HeadersSize: -1, BodySize: -1,
		},
		Response: harResponse{
			Status: x.Status, StatusText: http.StatusText(x.Status), Version: version, Cookies: []harPair{}, Headers: pairs(x.Response),
			Content:     harContent{Size: x.ResponseBytes, MimeType: x.Response.Get("content-type")},
			RedirectURL: x.Response.Get("location"), HeadersSize: -1, BodySize: -1,
		},
		Timings: t, Server: x.Server.Addr().String(), Connection: fmt.Sprint(x.Connection),
		Frames: x.Frames(), Outcome: x.Outcome,
	}
}

// opening returns how long it took to open the connection, if the exchange is
// the first on it, in nanoseconds.
func (x *Exchange) opening() int64 {
	if !x.First || x.Connect == 0 {
		return 0
	}
	return x.Connect + x.Handshake
}

func millis(ns int64) float64 { return float64(ns) / 1e6 }

// secret lists the headers whose values are left out.
var secret = map[string]bool{
	"cookie": true, "set-cookie": true, "authorization": true, "proxy-authorization": true,
	"x-api-key": true, "x-auth-token": true, "x-csrf-token": true,
}

func pairs(h Headers) []harPair {
	out := make([]harPair, 0, len(h))
	for _, line := range h {
		value := line.Value
		if secret[line.Name] {
			value = "(left out)"
		}
		out = append(out, harPair{line.Name, value})
	}
	return out
}

func query(path string) []harPair {
	out := []harPair{}
	_, text, _ := strings.Cut(path, "?")
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		out = append(out, harPair{unescape(name), unescape(value)})
	}
	return out
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
