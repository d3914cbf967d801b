package report

import (
	"fmt"
	"strings"
)

// Finding is a sentence that the reader must not miss.
type Finding struct {
	Level  string `json:"level"` // bad, warn or note
	Text   string `json:"text"`
	Anchor string `json:"-"` // of the part of the page that has more
}

// findings sums the report up, the worst first.
func (r *Report) findings() []Finding {
	list := []Finding{}
	add := func(level, anchor, format string, args ...any) {
		list = append(list, Finding{Level: level, Text: fmt.Sprintf(format, args...), Anchor: anchor})
	}
	if r.Abandonment.Detected {
		add("bad", "shop", "Visitors are lost at the stage %s, as %s. %s.", r.Abandonment.Stage, causeWords(r.Abandonment.Cause), r.Abandonment.Explanation)
	}
	for _, named := range r.risks() {
		if named.Detected {
			add("bad", "incidents", "%s: %s flagged, from %s. The clearest: %s.", named.Name, plural(named.Packets, "packet"), few(named.Sources), named.Reason)
		}
	}
	if n := len(r.Slow); n > 0 {
		worst := r.Slow[0]
		add("warn", "slow", "%s slow. %s takes %s (median), and %s for the slowest twentieth.", are(n, "address"), strings.TrimSpace(worst.Method+" "+worst.URL), millis(worst.Took.Median), millis(worst.Took.P95))
	}
	if w := r.Web; w != nil && w.Failed >= 5 && w.Failed*20 >= w.Requests {
		add("warn", "errors", "%s of %s failed.", share(float64(w.Failed)/float64(w.Requests)), plural(w.Requests, "web request"))
	}
	if r.Capture.Broken != "" {
		add("warn", "overview", "The capture breaks off: %s. The report is about what comes before.", r.Capture.Broken)
	}
	return list
}

// unread says what of the web was in the capture and could not be read.
func (r *Report) unread() (notes []string) {
	if r.Web == nil {
		return []string{"The part about the web is missing: it needs tshark, which is not installed."}
	}
	var servers []string
	for _, h := range r.Web.Hosts {
		if h.Turns > 0 {
			servers = append(servers, h.Name)
		}
	}
	if len(servers) > 0 {
		hint := "With the secrets of the sessions (--key-log) it can be read."
		if r.Made.KeyLog {
			hint = "The key log has no secrets for that."
		}
		notes = append(notes, fmt.Sprintf("What was asked of %s is encrypted: names, handshakes and waits are known, and no more. %s", few(servers), hint))
	}
	for _, c := range r.Classes {
		if c.Name == "quic" {
			notes = append(notes, fmt.Sprintf("%s of all bytes are QUIC, as HTTP/3 uses it, which the part about the web does not read.", share(c.Share)))
		}
	}
	return notes
}

// NamedRisk is a risk with its name.
type NamedRisk struct {
	Name, Key string
	*Risk
}

func (r *Report) risks() []NamedRisk {
	return []NamedRisk{
		{"Scans", "scan_attempts", &r.Scans},
		{"Denial of service", "ddos_risk", &r.DDoS},
		{"Data leaving", "data_exfiltration", &r.Exfiltration},
		{"Guessed passwords", "brute_force", &r.BruteForce},
		{"Other anomalies", "other_anomalies", &r.Other},
	}
}

// few lists some names.
func few(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "nobody in particular"
	case n > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), n-3)
	}
	return strings.Join(names, ", ")
}

func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return fmt.Sprintf("%d %ses are", n, noun)
}
