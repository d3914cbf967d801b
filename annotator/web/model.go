package web

// Result is what a capture tells of the web in it. Its JSON is part of the
// report's, whose schema is in annotator/report.
type Result struct {
	// Note says in a sentence what the result lacks, and why; empty if nothing.
	Note string `json:"note,omitempty"`
	// Requests counts requests of visitors and among servers, Failed those
	// without an answer or with a status of 400 and more.
	Requests uint64            `json:"requests"`
	Failed   uint64            `json:"failed"`
	Bytes    int64             `json:"bytes"` // of the answers, in segments
	Versions map[string]uint64 `json:"versions"`
	Took     Delay             `json:"took"`

	Resources []Resource `json:"resources"` // those that cost visitors the most time, most first
	Slow      []Resource `json:"-"`         // slow_resources in the report
	Errors    []Resource `json:"errors"`
	Hosts     []Host     `json:"hosts"`
	Lookups   Lookups    `json:"lookups"`

	Funnel      *Funnel     `json:"funnel" jsonschema:"nullable"`
	Abandonment Abandonment `json:"-"` // cart_abandonment in the report
	Advice      []Advice    `json:"-"` // advice in the report

	// Forgotten counts addresses and visitors beyond the configured bounds.
	Forgotten uint64 `json:"forgotten"`
}

// Resource is an address with its answers. Numbers and identifiers in the path
// are replaced by {n} and {id}.
type Resource struct {
	Method   string `json:"method"`
	URL      string `json:"url"`
	Kind     string `json:"kind"`     // document, api, image, script, style, font, media, encrypted or other
	Internal bool   `json:"internal"` // asked by another server
	Count    uint64 `json:"count"`
	Slow     uint64 `json:"slow"` // answers that took longer than the limit
	Took     Delay  `json:"took"` // first byte of the request to the last of the answer, but to its header for streams and downloads
	Wait     Delay  `json:"wait"` // to the end of the answer's header

	Bytes     int64  `json:"bytes"`      // all answers, in segments
	MeanBytes int64  `json:"mean_bytes"` // of one
	Type      string `json:"content_type"`
	Cache     string `json:"cache"`       // Cache-Control of the last answer, or what else there is
	Encoding  string `json:"compression"` // Content-Encoding of the last answer; "none"

	ClientErrors uint64   `json:"client_errors"` // 400 to 499
	ServerErrors uint64   `json:"server_errors"` // 500 to 599
	Unanswered   uint64   `json:"unanswered"`
	Frames       []uint64 `json:"frames"` // of the slowest, or of failed ones
	Filter       string   `json:"filter"`
}

// Host is a server by the name that clients call it, as far as its connections
// tell, with and without keys.
type Host struct {
	Name        string            `json:"name"`
	Servers     []string          `json:"servers"` // addresses and ports, some
	Connections uint64            `json:"connections"`
	Requests    uint64            `json:"requests"` // that could be read
	Bytes       int64             `json:"bytes"`
	TLS         map[string]uint64 `json:"tls"`  // connections by version
	ALPN        map[string]uint64 `json:"alpn"` // connections by chosen protocol
	Resumed     uint64            `json:"resumed"`
	Full        uint64            `json:"full_handshakes"`
	Connect     Delay             `json:"connect"`
	Handshake   Delay             `json:"handshake"`
	Turns       uint64            `json:"turns"` // questions and answers of connections that could not be read
	Wait        Delay             `json:"wait"`  // of those
	Refused     uint64            `json:"refused"`
	Unanswered  uint64            `json:"unanswered"`
	TLSFailed   uint64            `json:"tls_failed"`
	Reason      string            `json:"tls_failure,omitempty"` // the last
	Frames      []uint64          `json:"frames"`                // of failures, or else of the first connection
	Filter      string            `json:"filter"`
}

// Lookups sums up what name servers were asked.
type Lookups struct {
	Count      uint64   `json:"count"`
	Failed     uint64   `json:"failed"` // no such name counts only if there is none of any type
	Unanswered uint64   `json:"unanswered"`
	Took       Delay    `json:"took"`
	Frames     []uint64 `json:"frames"` // of failures
}

// Funnel tells how far visitors came.
type Funnel struct {
	Visitors  uint64        `json:"visitors"` // who came to any stage
	Converted uint64        `json:"converted"`
	Open      uint64        `json:"open"` // still at it when the capture ended
	Stages    []FunnelStage `json:"stages"`
}

// FunnelStage is a stage with those who came to it.
type FunnelStage struct {
	Name     string `json:"name"`
	Entered  uint64 `json:"entered"`
	WentOn   uint64 `json:"went_on"`
	Left     uint64 `json:"left"`
	Troubled uint64 `json:"left_after_failure"`
	Stay     Delay  `json:"stay"` // until the next stage, of those who went on
}

// Abandonment names the stage at which visitors are lost to a failure.
type Abandonment struct {
	Detected    bool     `json:"detected"`
	Stage       string   `json:"drop_point"`      // empty unless detected, like what follows
	Cause       string   `json:"suspected_cause"` // api_timeout, server_error, reset, connect_failure, dns_failure, tls_failure, slow_third_party, slow_answer or client_error
	Culprit     string   `json:"culprit"`         // the address, server or name that failed
	Explanation string   `json:"explanation"`
	Lost        uint64   `json:"lost"`    // visitors who left at that stage after the cause
	Entered     uint64   `json:"entered"` // visitors who came to it
	Delay       Delay    `json:"delay"`   // how long the failed requests took
	Frames      []uint64 `json:"frames"`
	Filter      string   `json:"filter"`
}

// Causes why visitors leave.
const (
	CauseTimeout    = "api_timeout"
	CauseServer     = "server_error"
	CauseReset      = "reset"
	CauseConnect    = "connect_failure"
	CauseDNS        = "dns_failure"
	CauseTLS        = "tls_failure"
	CauseThirdParty = "slow_third_party"
	CauseSlow       = "slow_answer"
	CauseClient     = "client_error"
)

// Advice is something that would help, with the reason that the capture shows.
type Advice struct {
	ID     string   `json:"id"` // images, compression, caching, cache_headers, merge, http2, reuse, resumption or names
	Title  string   `json:"title"`
	Why    string   `json:"why"`  // what the capture shows, in numbers
	Gain   string   `json:"gain"` // estimated from it
	Bytes  int64    `json:"saved_bytes"`
	Millis float64  `json:"saved_ms"` // all visitors together
	Where  []string `json:"where"`
	Frames []uint64 `json:"frames"`
	Filter string   `json:"filter"`
}
