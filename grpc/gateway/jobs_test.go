package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/score/scoretest"
	"ampulla/grpc/analysis"
	"ampulla/grpc/server"
)

// events reads n server-sent events, or all.
func (r *rest) events(t *testing.T, path string, n int) (names []string, data []map[string]any) {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+path, nil)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := r.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("%d %s", response.StatusCode, kind)
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan() && (n == 0 || len(data) < n); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			names = append(names, name)
		}
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var m map[string]any
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			data = append(data, m)
		}
	}
	return names, data
}

func TestMetricsStream(t *testing.T) {
	r := start(t, nil)
	r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(capture(t, "benign_dns.pcapng")))
	names, samples := r.events(t, "/v1/metrics/stream", 2)
	for _, key := range []string{"packet_rate", "memory_usage", "ai_inference_time", "drops", "sessions", "queue"} {
		if _, ok := samples[0][key].(float64); !ok {
			t.Errorf("no %s in %v", key, samples[0])
		}
	}
	if names[0] != "metrics" || samples[1]["packets_total"] != 204.0 || samples[0]["ai_inference_time"] == 0.0 || samples[1]["ai_inference_time"] != 0.0 {
		t.Errorf("%v %v", names, samples)
	}
}

// TestCapture starts, follows, stops and downloads a capture.
func TestCapture(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "dumpcap")
	path, _ := filepath.Abs("../../testdata/captures/benign_dns.pcapng")
	text := "#!/bin/sh\ncat " + path + "\nexec sleep 1000\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	r := start(t, func(c *server.Config, _ *analysis.Config) { c.Dumpcap = dumpcap.Program(script) })
	job := r.post(t, "/v1/capture", `{"interfaces": ["any"], "filter": "port 53"}`)
	id := job["id"].(string)
	if job["state"] != "CAPTURING" {
		t.Fatal(job)
	}
	if status, answer := r.do(t, http.MethodGet, "/v1/jobs/"+id+"/file", "", nil); status != http.StatusConflict {
		t.Errorf("file of an unfinished job: %d %v", status, answer)
	}
	for r.get(t, "/v1/jobs/"+id)["packets"] == 0.0 {
		time.Sleep(10 * time.Millisecond)
	}
	r.post(t, "/v1/jobs/"+id+"/stop", "{}")
	names, states := r.events(t, "/v1/jobs/"+id+"/events", 0)
	last := states[len(states)-1]
	if names[0] != "job" || last["state"] != "DONE" || last["packets"] != 204.0 || last["source"] != "any" {
		t.Errorf("%v", last)
	}
	if list := r.get(t, "/v1/jobs/"+id+"/packets?page_size=1"); list["total"] != 204.0 {
		t.Errorf("%v", list)
	}
}

// gated is a scorer that waits.
type gated struct {
	scoretest.Hash
	gate chan struct{}
}

func (g gated) Anomaly(rows, out []float32) error {
	<-g.gate
	return g.Hash.Anomaly(rows, out)
}

// TestJobLimits lets one job run and one wait: the third is refused, and both
// can be cancelled.
func TestJobLimits(t *testing.T) {
	gate := make(chan struct{})
	r := start(t, func(s *server.Config, c *analysis.Config) {
		s.Scorer = gated{gate: gate}
		c.MaxJobs, c.MaxQueued = 1, 1
	})
	data := capture(t, "benign_dns.pcapng")
	upload := func() (int, map[string]any) {
		return r.do(t, http.MethodPost, "/v1/analyze", "application/octet-stream", bytes.NewReader(data))
	}
	_, first := upload()
	for r.get(t, "/v1/jobs/"+first["id"].(string))["state"] == "QUEUED" {
		time.Sleep(time.Millisecond)
	}
	_, second := upload()
	if status, third := upload(); status != http.StatusTooManyRequests {
		t.Errorf("third: %d %v", status, third)
	}
	if state := r.get(t, "/v1/jobs/"+second["id"].(string))["state"]; state != "QUEUED" {
		t.Errorf("second: %v", state)
	}
	r.post(t, "/v1/jobs/"+second["id"].(string)+"/stop", "{}")
	if job := r.get(t, "/v1/jobs/"+second["id"].(string)+"?wait_seconds=60"); job["state"] != "CANCELLED" {
		t.Errorf("second: %v", job)
	}
	close(gate)
	if job := r.get(t, "/v1/jobs/"+first["id"].(string)+"?wait_seconds=60"); job["state"] != "DONE" {
		t.Errorf("first: %v", job)
	}
}

// TestExpiry checks that results go when their time has come.
func TestExpiry(t *testing.T) {
	var dir string
	r := start(t, func(_ *server.Config, c *analysis.Config) { c.Keep, dir = 50*time.Millisecond, c.Dir })
	_, job := r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(capture(t, "benign_dns.pcapng")))
	for status := http.StatusOK; status != http.StatusNotFound; time.Sleep(10 * time.Millisecond) {
		status, _ = r.do(t, http.MethodGet, "/v1/jobs/"+job["id"].(string), "", nil)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// TestKept checks that only so many jobs are remembered, the latest, and that
// only so many uploads arrive at once.
func TestKept(t *testing.T) {
	var dir string
	r := start(t, func(_ *server.Config, c *analysis.Config) { c.MaxKept, c.MaxUploads, dir = 2, 1, c.Dir })
	data := capture(t, "benign_dns.pcapng")
	var last any
	for range 4 {
		_, job := r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(data))
		last = job["id"]
	}
	for {
		jobs := r.get(t, "/v1/jobs")["jobs"].([]any)
		files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		if len(jobs) == 2 && len(files) == 2 && jobs[0].(map[string]any)["id"] == last {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	first := make(chan int, 1)
	begin := func() *io.PipeWriter {
		arriving, send := io.Pipe()
		go func() {
			status, _ := r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", arriving)
			_ = arriving.Close()
			first <- status
		}()
		_, _ = send.Write(data[:100])
		return send
	}
	send := begin()
	for status := 0; status != http.StatusTooManyRequests; {
		select {
		case status := <-first: // the other one was there before it
			if status != http.StatusTooManyRequests {
				t.Fatalf("the first upload, unfinished: %d", status)
			}
			send = begin()
		default:
		}
		status, _ = r.do(t, http.MethodPost, "/v1/analyze", "application/octet-stream", bytes.NewReader(data))
	}
	_, _ = send.Write(data[100:])
	_ = send.Close()
	if status := <-first; status != http.StatusOK {
		t.Errorf("the first upload: %d", status)
	}
}

// TestCacheSize checks that memory for packets is bounded: older jobs go without
// theirs, a capture that is too large alone is known in part, and the rest of
// what is known stays.
func TestCacheSize(t *testing.T) {
	r := start(t, func(_ *server.Config, c *analysis.Config) { c.CacheSize = 1 << 20 })
	upload := func(data io.Reader) map[string]any {
		_, job := r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", data)
		if job["state"] != "DONE" {
			t.Fatal(job)
		}
		return job
	}
	first := upload(bytes.NewReader(capture(t, "benign_dns.pcapng")))
	demo := capture(t, "demo.pcapng")
	large := upload(io.MultiReader(bytes.NewReader(demo), bytes.NewReader(demo), bytes.NewReader(demo),
		bytes.NewReader(demo), bytes.NewReader(demo), bytes.NewReader(demo)))
	left := large["left_out"].(float64)
	if left == 0 || large["packets"] != 6*3731.0 {
		t.Errorf("%v", large)
	}
	if list := r.get(t, fmt.Sprintf("/v1/jobs/%s/packets", large["id"])); list["total"] != large["packets"].(float64)-left {
		t.Errorf("%v packets of %v", list["total"], large)
	}
	if status, answer := r.do(t, http.MethodGet, "/v1/jobs/"+first["id"].(string)+"/packets", "", nil); status != http.StatusConflict {
		t.Errorf("%d %v", status, answer)
	}
	if job := r.get(t, "/v1/jobs/"+first["id"].(string)); job["packets"] != 204.0 {
		t.Errorf("%v", job)
	}
}

// TestLeftBehind checks that files of a killed program go with the next start,
// and those of a running one stay.
func TestLeftBehind(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "ampulla-jobs-dead")
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := analysis.Default()
	cfg.Dir = dir
	first, err := analysis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := analysis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 2 {
		t.Errorf("%v", left)
	}
}

// TestHindsight analyses a capture in hindsight, named and sent: its incidents
// begin earlier, and have more packets.
func TestHindsight(t *testing.T) {
	dir := t.TempDir()
	demo := capture(t, "demo.pcapng")
	if err := os.WriteFile(filepath.Join(dir, "demo.pcapng"), demo, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, func(_ *server.Config, c *analysis.Config) { c.Folders = []string{dir} })
	flagged := func(path, kind, body string) float64 {
		t.Helper()
		status, job := r.do(t, http.MethodPost, path, kind, strings.NewReader(body))
		if status != http.StatusOK || job["state"] != "DONE" || job["packets"] != 3731.0 || job["progress"] != 1.0 {
			t.Fatalf("%d %v", status, job)
		}
		return job["flagged"].(float64)
	}
	usual := flagged("/v1/analyze", "application/json", `{"path": "demo.pcapng", "wait_seconds": 60}`)
	named := flagged("/v1/analyze", "application/json", `{"path": "demo.pcapng", "wait_seconds": 60, "hindsight": true}`)
	sent := flagged("/v1/analyze?wait_seconds=60&hindsight=true", "application/octet-stream", string(demo))
	if named <= usual || named != sent {
		t.Errorf("%v packets are flagged, in hindsight %v, and %v of the one that was sent", usual, named, sent)
	}
}
