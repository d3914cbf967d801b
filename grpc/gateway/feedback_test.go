package gateway_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/annotator/feedback"
	"ampulla/grpc/analysis"
	"ampulla/grpc/server"
)

// TestFeedback says that what was found between two hosts is normal, looks at the
// effect, and takes it back.
func TestFeedback(t *testing.T) {
	r := start(t, func(s *server.Config, _ *analysis.Config) {
		s.Feedback = feedback.NewFile(filepath.Join(t.TempDir(), "feedback.yaml"), func(err error) { t.Error(err) })
	})
	demo := capture(t, "demo.pcapng")
	// found returns how many packets between the two were found to be unusual, how
	// many are suppressed, and how many of others are unusual.
	found := func() (between, suppressed, others int) {
		t.Helper()
		_, job := r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(demo))
		for token := ""; ; {
			page := r.get(t, "/v1/jobs/"+job["id"].(string)+"/packets?page_size=1000&page_token="+token)
			for _, each := range page["packets"].([]any) {
				p := each.(map[string]any)
				ours := strings.Contains("192.168.40.66 192.168.40.10 192.168.40.66", p["source"].(string)+" "+p["destination"].(string))
				switch quiet := strings.HasPrefix(p["reason"].(string), "suppressed by rule 1 (REST, 20"); {
				case quiet != (quiet && ours && p["score"] == 0.49 && p["type"] == ""):
					t.Fatal(p)
				case quiet:
					suppressed++
				case p["type"] == "":
				case ours:
					between++
				default:
					others++
				}
			}
			if token = page["next_page_token"].(string); token == "" {
				return between, suppressed, others
			}
		}
	}
	between, suppressed, others := found()
	if between < 200 || suppressed != 0 || others < 200 {
		t.Fatalf("%d, %d suppressed, %d others", between, suppressed, others)
	}
	said := r.post(t, "/v1/feedback", `{"says": "normal", "scope": {"hosts": ["192.168.40.66", "192.168.40.10"]}, "why": "nightly inventory"}`)
	if said["id"] != 1.0 || said["who"] != "REST" || !strings.HasPrefix(said["when"].(string), "20") || said["why"] != "nightly inventory" {
		t.Error(said)
	}
	if again := r.post(t, "/v1/feedback", `{"says": "normal", "scope": {"hosts": ["192.168.40.10", "192.168.40.66"]}, "who": "alice"}`); again["id"] != 1.0 {
		t.Error(again)
	}
	if a, b, c := found(); a != 0 || b != between || c != others {
		t.Errorf("%d, %d suppressed, %d others; there were %d and %d", a, b, c, between, others)
	}
	if list := r.get(t, "/v1/feedback")["rules"].([]any); len(list) != 1 || list[0].(map[string]any)["says"] != "normal" {
		t.Error(list)
	}
	if status, undone := r.do(t, http.MethodDelete, "/v1/feedback/1", "", nil); status != http.StatusOK || undone["why"] != "nightly inventory" {
		t.Error(status, undone)
	}
	if a, b, c := found(); a != between || b != 0 || c != others {
		t.Errorf("%d, %d suppressed, %d others, once it is undone", a, b, c)
	}
}
