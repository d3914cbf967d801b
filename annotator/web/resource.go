package web

import (
	"cmp"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"ampulla/annotator/transaction"
)

// maxFrames is how many frames are named as evidence.
const maxFrames = 8

// key finds a resource.
type key struct{ method, url string }

// resource is what is remembered of an address.
type resource struct {
	key
	kind       string
	clients    []netip.Addr // some
	count      uint64
	slow       uint64
	took, wait delays
	bytes      int64
	answers    uint64 // with a body of their own: 200
	maxBytes   int64

	contentType, cache, encoding string
	clientErrors, serverErrors   uint64
	unanswered                   uint64
	seen                         []uint64 // the first frames that asked for it
	slowest                      evidence
	failed                       evidence

	plain      uint64 // text answers worth compressing that were not, though the client can
	plainBytes int64
	heavy      uint64 // pictures above the limit
	heavyBytes int64
	heavyTime  int64
	bare       uint64 // answers that no cache may keep for want of any header
	repeats    uint64 // loaded again by the same visitor
	repeatTime int64
	repeatSize int64
	again      evidence // of those
	fresh      uint64   // asked whether it has changed, and it had not
	freshTime  int64
	runs       uint64 // calls of this kind in a row
	runCalls   uint64
	runTime    int64
	runFrames  evidence
}

// evidence keeps the frames of what weighs most.
type evidence struct {
	frames []uint64
	weight []int64
}

func (e *evidence) add(weight int64, frames ...uint64) {
	if len(frames) == 0 {
		return
	}
	frame := frames[0]
	if len(e.frames) < maxFrames {
		e.frames, e.weight = append(e.frames, frame), append(e.weight, weight)
		return
	}
	least := 0
	for i := range e.weight {
		if e.weight[i] < e.weight[least] {
			least = i
		}
	}
	if weight > e.weight[least] {
		e.frames[least], e.weight[least] = frame, weight
	}
}

// add takes an exchange in.
func (r *resource) add(x *transaction.Exchange, cfg *Config) {
	r.count++
	if client := x.Client.Addr(); len(r.clients) < 4 && !slices.Contains(r.clients, client) {
		r.clients = append(r.clients, client)
	}
	if len(r.seen) < 2 {
		r.seen = append(r.seen, x.RequestFrame)
	}
	took := timeOf(x)
	if x.Known() {
		r.took.add(took)
		r.wait.add(x.Wait())
		if took >= cfg.Slow.Nanoseconds() {
			r.slow++
			r.slowest.add(took, x.RequestFrame)
		}
	}
	r.bytes += x.ResponseBytes
	r.maxBytes = max(r.maxBytes, x.ResponseBytes)
	switch {
	case x.Status == 0:
		if missed(x, cfg) {
			r.unanswered++
			r.failed.add(took, x.RequestFrame)
		}
		return
	case x.Status >= 500:
		r.serverErrors++
		r.failed.add(took, x.RequestFrame)
	case x.Status >= 400:
		r.clientErrors++
		r.failed.add(took, x.RequestFrame)
	case x.Status == 304:
		r.fresh++
		r.freshTime += took
		r.again.add(0, x.RequestFrame)
	}
	if x.Status == 200 {
		r.answered(x, cfg)
	}
}

// download is the size from which an answer is a download, in bytes: it takes
// the time that the network needs.
const download = 5_000_000

// timeOf returns how long somebody waits for an answer, in nanoseconds: to its
// end, but for downloads, and streams that only end when nobody listens any more.
func timeOf(x *transaction.Exchange) int64 {
	kind := x.Response.Get("content-type")
	if x.ResponseBytes >= download || strings.HasPrefix(kind, "text/event-stream") ||
		strings.HasPrefix(kind, "multipart/x-mixed-replace") || kindOf(kind, x.Path) == "media" {
		return x.Wait()
	}
	return x.Took()
}

// missed tells whether a request was in want of an answer: not if that was not
// captured, nor if somebody just clicked on.
func missed(x *transaction.Exchange, cfg *Config) bool {
	return x.Known() && !(x.Outcome == transaction.GivenUp && x.Took() < cfg.Slow.Nanoseconds())
}

// answered takes in what the header of a good answer tells.
func (r *resource) answered(x *transaction.Exchange, cfg *Config) {
	r.answers++
	h := x.Response
	r.contentType = h.Get("content-type")
	r.kind = kindOf(r.contentType, x.Path)
	r.encoding = cmp.Or(h.Get("content-encoding"), "none")
	r.cache = caching(h)
	if r.cache == "none" && isStatic(r.kind) {
		r.bare++
	}
	if isText(r.contentType) && r.encoding == "none" && x.ResponseBytes >= int64(cfg.Text) && canUnpack(x.Request) {
		r.plain++
		r.plainBytes += x.ResponseBytes
	}
	if r.kind == "image" && x.ResponseBytes >= int64(cfg.Image) {
		r.heavy++
		r.heavyBytes += x.ResponseBytes
		r.heavyTime += x.End - x.FirstByte
	}
}

// caching says what lets a cache keep an answer, "none" if nothing does.
func caching(h transaction.Headers) string {
	if c := h.Get("cache-control"); c != "" {
		return c
	}
	switch {
	case h.Has("expires"):
		return "expires"
	case h.Has("etag"):
		return "etag"
	case h.Get("last-modified") != "":
		return "last-modified"
	}
	return "none"
}

func canUnpack(h transaction.Headers) bool {
	accept := h.Get("accept-encoding")
	return strings.Contains(accept, "gzip") || strings.Contains(accept, "br") || strings.Contains(accept, "zstd")
}

func isText(contentType string) bool {
	for _, part := range []string{"text/", "javascript", "json", "xml", "svg", "wasm"} {
		if strings.Contains(contentType, part) {
			return true
		}
	}
	return false
}

func isStatic(kind string) bool {
	switch kind {
	case "image", "script", "style", "font", "media":
		return true
	}
	return false
}

// kindOf says what an answer is, by its type or else by its name.
func kindOf(contentType, target string) string {
	switch contentType, _, _ = strings.Cut(contentType, ";"); {
	case strings.HasPrefix(contentType, "image/"):
		return "image"
	case strings.Contains(contentType, "javascript"):
		return "script"
	case contentType == "text/css":
		return "style"
	case strings.Contains(contentType, "font"):
		return "font"
	case strings.HasPrefix(contentType, "video/"), strings.HasPrefix(contentType, "audio/"):
		return "media"
	case strings.Contains(contentType, "json"), strings.Contains(contentType, "xml") && !strings.Contains(contentType, "html"),
		strings.Contains(contentType, "grpc"), strings.Contains(contentType, "protobuf"):
		return "api"
	case strings.Contains(contentType, "html"):
		return "document"
	}
	return kindOfPath(target)
}

func kindOfPath(target string) string {
	target, _, _ = strings.Cut(target, "?")
	switch strings.ToLower(path.Ext(target)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg", ".ico", ".bmp":
		return "image"
	case ".js", ".mjs":
		return "script"
	case ".css":
		return "style"
	case ".woff", ".woff2", ".ttf", ".otf":
		return "font"
	case ".mp4", ".webm", ".mp3", ".m3u8", ".ts":
		return "media"
	case ".html", ".htm", ".php", ".asp", ".aspx", ".jsp":
		return "document"
	}
	for _, part := range []string{"/api", "/graphql", "/rest", "/rpc", "/v1/", "/v2/", "/v3/", "/ajax"} {
		if strings.Contains(target, part) {
			return "api"
		}
	}
	return "other"
}

// keyOf returns what a request counts to: the address without its query, with
// numbers and identifiers replaced. A server's own port is part of the address
// unless that says so, since a site and the application behind it often go by
// the same name.
func keyOf(x *transaction.Exchange) key {
	target := x.Path
	if x.Method == "CONNECT" {
		return key{x.Method, target}
	}
	if u, err := url.Parse(target); err == nil && u.Host != "" { // to a proxy
		return key{x.Method, u.Scheme + "://" + u.Host + generalize(u.Path)}
	}
	target, _, _ = strings.Cut(target, "?")
	return key{x.Method, originOf(x) + generalize(target)}
}

func originOf(x *transaction.Exchange) string {
	port := x.Server.Port()
	if port == 80 || port == 443 || strings.Contains(strings.TrimRight(x.Host, "]"), ":") && !strings.HasSuffix(x.Host, "]") {
		return x.Origin()
	}
	return x.Origin() + ":" + strconv.Itoa(int(port))
}

// generalize replaces the parts of a path that differ from call to call.
func generalize(target string) string {
	parts := strings.Split(target, "/")
	for i, part := range parts {
		digits, others := 0, 0
		for _, c := range part {
			switch {
			case c >= '0' && c <= '9':
				digits++
			case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '-':
			default:
				others++
			}
		}
		switch {
		case digits > 0 && digits == len(part):
			parts[i] = "{n}"
		case others == 0 && digits > 0 && len(part) >= 16:
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}
