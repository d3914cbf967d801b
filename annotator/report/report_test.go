package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	renderer "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"

	"ampulla/annotator/pcapng"
	"ampulla/annotator/report"
	"ampulla/annotator/verdict"
	"ampulla/annotator/web"
)

// evil is what an attacker may put into names and addresses.
const evil = "</code><script src=//evil.example/x.js></script>\"' onload=alert(1) |`[x](javascript:alert(1))\u202e\x1b[31m{{.}}"

// full returns a report that has something of everything, with a text from the
// capture wherever one may be.
func full(text string) *report.Report {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	delay := web.Delay{Median: 700, P95: 900, Max: 1000}
	row := web.Resource{
		Method: "GET", URL: "https://" + text, Kind: "api", Count: 20, Slow: 3, Took: delay, Wait: delay, Bytes: 1000, MeanBytes: 50,
		Type: text, Cache: text, Encoding: text, ServerErrors: 1, Frames: []uint64{7, 9}, Filter: "http contains \"" + text + "\"",
	}
	r := &report.Report{
		Schema:  report.SchemaID,
		Made:    report.Made{Version: "1.0", Models: "2026.11", Threshold: 0.8, Thresholds: "web: {}\n", Tshark: true, KeyLog: true, Baseline: "0123456789abcdef", Rules: 3},
		Capture: report.Capture{Name: text, First: at, Last: at.Add(time.Hour), Seconds: 3600, Frames: 1234, Bytes: 1e6, Flows: 12, Flagged: 1, Cut: 3, Broken: text},
		Notes:   []string{text},
		Scans:   report.Risk{Detected: true, Packets: 5, Score: 1, First: at, Last: at, Sources: []string{text}, Reason: text, Frames: []uint64{1}, Incidents: []uint32{1}},
		Incidents: []report.Incident{
			{Incident: verdict.Incident{Number: 1, Type: verdict.PortScan, Score: 1, Reason: text, Actors: []string{text}, ActorCount: 1, Targets: []string{text}, TargetCount: 30, Services: []string{"tcp/22"}, ServiceCount: 1, Filter: "ip && " + text}, Level: verdict.Anomalous, Frames: []uint64{1, 2}, Next: []string{"Look."}},
			{Incident: verdict.Incident{Number: 2, Type: verdict.Outlier, Score: 0.6, Reason: text, Actors: []string{text}, Targets: []string{text}, Services: []string{}}, Level: verdict.Suspicious, Frames: []uint64{3}, Next: []string{"Look."}},
		},
		Classes:  []report.Class{{Name: "tls", Packets: 10, Bytes: 1000, Share: 0.9, Confidence: 1}, {Name: "unknown", Packets: 1, Bytes: 100, Share: 0.1}},
		Talkers:  []report.Talker{{Address: "10.0.0.1", Name: text, Sent: 1, Received: 2, Packets: 3}},
		Timeline: report.Timeline{Start: at, Step: 1800, Bins: []report.Bin{{Packets: 1, Bytes: 100, Score: 0.2}, {Packets: 2, Bytes: 300, Flagged: 1, Score: 0.9}}},
	}
	r.AddWeb(&web.Result{
		Note: text, Requests: 20, Failed: 5, Bytes: 1000, Versions: map[string]uint64{text: 20}, Took: delay,
		Resources: []web.Resource{row}, Slow: []web.Resource{row}, Errors: []web.Resource{row},
		Hosts:   []web.Host{{Name: text, Servers: []string{"10.0.0.2:443"}, Connections: 3, TLS: map[string]uint64{"1.3": 3}, ALPN: map[string]uint64{text: 3}, TLSFailed: 1, Reason: text, Frames: []uint64{4}}},
		Lookups: web.Lookups{Count: 3, Frames: []uint64{5}},
		Funnel:  &web.Funnel{Visitors: 9, Stages: []web.FunnelStage{{Name: "product", Entered: 9, WentOn: 5, Left: 4}, {Name: "cart", Entered: 5, Left: 5, Troubled: 5}}},
		Abandonment: web.Abandonment{
			Detected: true, Stage: "cart", Cause: web.CauseTimeout, Culprit: text, Explanation: text, Lost: 5, Entered: 5, Delay: delay, Frames: []uint64{6}, Filter: text,
		},
		Advice: []web.Advice{{ID: "images", Title: "Smaller pictures", Why: text, Gain: text, Where: []string{text}, Frames: []uint64{8}, Filter: text}},
	})
	r.Finish()
	return r
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestHTML looks at the page as a browser does: nothing of a capture becomes
// part of it, it loads nothing, and people find their way without eyes or mouse.
func TestHTML(t *testing.T) {
	text := written(t, full(evil).HTML)
	page, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	var wanted []string // ids that are referred to
	count := map[string]int{}
	for n := range page.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		for _, a := range n.Attr {
			switch a.Key {
			case "id":
				if ids[a.Val] {
					t.Errorf("two elements have the id %s", a.Val)
				}
				ids[a.Val] = true
			case "aria-labelledby":
				wanted = append(wanted, strings.Fields(a.Val)...)
			case "href":
				if target, ok := strings.CutPrefix(a.Val, "#"); ok {
					wanted = append(wanted, target)
				} else if a.Val != "data:," {
					t.Errorf("<%s> leads away: %s", n.Data, a.Val)
				}
			case "src", "srcset", "onload", "onerror", "onclick", "action":
				t.Errorf("<%s> has %s=%s", n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "svg" && (n.FirstChild == nil || n.FirstChild.Data != "title") {
			t.Error("a figure without title")
		}
		if n.Data == "table" && (n.Parent.Data != "div" || n.FirstChild.NextSibling.Data != "caption") {
			t.Error("a table without caption")
		}
	}
	for _, id := range wanted {
		if !ids[id] {
			t.Errorf("nothing has the id %s", id)
		}
	}
	if count["script"] != 1 || count["main"] != 1 || count["h1"] != 1 || count["nav"] != 1 || count["svg"] != 5 {
		t.Errorf("%v", count)
	}
	if bad := regexp.MustCompile(`[\x{202e}\x1b]`).FindString(text); bad != "" {
		t.Errorf("%q is in the page", bad)
	}
	if outside := regexp.MustCompile(`(?i)@import|url\(|rgba?\(1,`).FindString(text); outside != "" {
		t.Errorf("%q is in the page", outside)
	}
}

// TestNotes has a report say what it did not look at.
func TestNotes(t *testing.T) {
	for _, test := range []struct {
		name   string
		report report.Report
		want   string
	}{
		{"without tshark", report.Report{}, "The part about the web is missing: it needs tshark, which is not installed."},
		{"with HTTP/3", report.Report{
			Web: &web.Result{}, Classes: []report.Class{{Name: "tls", Share: 0.58}, {Name: "quic", Share: 0.42}},
		}, "42 % of all bytes are QUIC, as HTTP/3 uses it, which the part about the web does not read."},
		{"without keys", report.Report{
			Web: &web.Result{Hosts: []web.Host{{Name: "a.example", Turns: 3}, {Name: "b.example", Requests: 3}}},
		}, "What was asked of a.example is encrypted: names, handshakes and waits are known, and no more. With the secrets of the sessions (--key-log) it can be read."},
		{"with keys of others", report.Report{
			Made: report.Made{KeyLog: true}, Web: &web.Result{Hosts: []web.Host{{Name: "a.example", Turns: 3}, {Name: "b.example", Turns: 1}}},
		}, "What was asked of a.example, b.example is encrypted: names, handshakes and waits are known, and no more. The key log has no secrets for that."},
		{"with all there is", report.Report{Web: &web.Result{}, Classes: []report.Class{{Name: "tls", Share: 1}}}, ""},
	} {
		test.report.Finish()
		if got := strings.Join(test.report.Notes, "\n"); got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

// TestMarkdown keeps what a capture says from becoming markup.
func TestMarkdown(t *testing.T) {
	text := written(t, full(evil).Markdown)
	var out bytes.Buffer
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(renderer.WithUnsafe()))
	if err := markdown.Convert([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	page, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for n := range page.Descendants() {
		if n.Type == html.ElementNode {
			count[n.Data]++
		}
		if n.Data == "tr" {
			cells := 0
			for c := range n.ChildNodes() {
				if c.Type == html.ElementNode {
					cells++
				}
			}
			count[fmt.Sprintf("row of %d", cells)]++
		}
	}
	if count["script"]+count["img"] != 0 || count["a"] != 0 {
		t.Errorf("markup of the capture: %v", count)
	}
	if count["table"] != 9 || count["h1"] != 1 || count["h2"] != 6 {
		t.Errorf("%v", count)
	}
	if strings.ContainsAny(text, "\u202e\x1b") {
		t.Error("control characters")
	}
	if !strings.Contains(text, "```\n▃█\n▂█\n```") { // bytes: 100, 300; scores: 0.2, 0.9
		t.Error("the timeline is not there")
	}
}

// TestSame holds the three forms to each other.
func TestSame(t *testing.T) {
	r := full("shop.example")
	page, err := html.Parse(strings.NewReader(written(t, r.HTML)))
	if err != nil {
		t.Fatal(err)
	}
	var words strings.Builder
	for n := range page.Descendants() {
		if n.Type == html.TextNode {
			words.WriteString(n.Data)
		}
	}
	markdown := strings.ReplaceAll(written(t, r.Markdown), `\`, "")
	if len(r.Findings) < 4 {
		t.Errorf("%d findings", len(r.Findings))
	}
	for _, f := range r.Findings {
		for form, text := range map[string]string{"HTML": words.String(), "Markdown": markdown} {
			if !strings.Contains(text, f.Text) {
				t.Errorf("%s lacks %q", form, f.Text)
			}
		}
	}
}

// TestJSON holds what is written to the schema.
func TestJSON(t *testing.T) {
	schema := compiled(t)
	empty := report.NewCollector(0.8).Result(nil, nil)
	empty.Finish()
	frames := report.NewCollector(0.8)
	frames.Frame(&pcapng.Block{}, &verdict.Verdict{Frame: 1, Class: "unknown", Level: verdict.Normal})
	one := frames.Result(nil, func(netip.Addr) string { return "" })
	one.Finish()
	for name, r := range map[string]*report.Report{"full": full(evil), "empty": empty, "one": one} {
		text := written(t, r.JSON)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		keys := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(text), &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"scan_attempts", "ddos_risk", "data_exfiltration", "brute_force", "cart_abandonment", "slow_resources", "incidents", "classes", "talkers", "advice"} {
			if len(keys[key]) == 0 {
				t.Errorf("%s: no %s", name, key)
			}
		}
		written(t, r.HTML)
		written(t, r.Markdown)
	}
}
