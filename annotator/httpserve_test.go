package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"ampulla/grpc/client"
	"ampulla/grpc/socket"
)

// asker asks a service over HTTP.
type asker func(method, path, kind string, body io.Reader) (status int, text string)

// startHTTP runs "ampulla serve --http" and returns where it answers, and a
// client that shows the token.
func startHTTP(t *testing.T, args ...string) (url string, ask asker) {
	t.Helper()
	_, _, url, ask = startBoth(t, args...)
	return url, ask
}

// startBoth is startHTTP with the process, and the socket at which it answers, too.
func startBoth(t *testing.T, args ...string) (command *exec.Cmd, socket, url string, ask asker) {
	t.Helper()
	buildProgram(t) // with the developer's cache
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	address := freePort(t)
	command, socket = startServe(t, append([]string{"--http", address}, args...)...)
	dial(t, client.Config{Address: "unix:" + socket, Program: client.NoStart})
	token, err := os.ReadFile(filepath.Join(config, "ampulla", "token"))
	if err != nil {
		t.Fatal(err)
	}
	url = "http://" + address
	return command, socket, url, func(method, path, kind string, body io.Reader) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		request.Header.Set("Content-Type", kind)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}

// TestHTTP analyses a capture with the program as it is run: what comes back is
// what "ampulla annotate" writes, bit for bit.
func TestHTTP(t *testing.T) {
	url, ask := startHTTP(t)
	if response, err := http.Get(url + "/v1/jobs"); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %v, %v", response, err)
	}
	const path = "../testdata/captures/port_scan_syn.pcapng"
	capture, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	status, job := ask(http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(capture))
	_, id, _ := strings.Cut(job, `"id":"`)
	if id, _, _ = strings.Cut(id, `"`); status != http.StatusOK || id == "" {
		t.Fatalf("%d %s", status, job)
	}
	_, got := ask(http.MethodGet, "/v1/jobs/"+id+"/file", "", nil)
	var want, stderr bytes.Buffer
	if code := run(t.Context(), []string{"ampulla", "annotate", path, "-"}, nil, &want, &stderr); code != 0 {
		t.Fatal(stderr.String())
	}
	if got != want.String() {
		t.Errorf("%d bytes that differ from the %d of annotate", len(got), want.Len())
	}
	if _, incidents := ask(http.MethodGet, "/v1/incidents?type=port_scan", "", nil); !strings.Contains(incidents, `"192.168.40.66"`) {
		t.Error(incidents)
	}
	if _, text := ask(http.MethodGet, "/v1/openapi.json", "", nil); !strings.Contains(text, `"openapi"`) {
		t.Error(text[:min(len(text), 200)])
	}
}

func TestHTTPUsage(t *testing.T) {
	for _, tt := range []struct{ address, want string }{
		{"192.0.2.1:7462", "needs --tls-cert"},
		{":7462", "needs --tls-cert"},
		{"7462", "missing port"},
	} {
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		var stderr bytes.Buffer
		args := []string{"ampulla", "serve", "--http", tt.address, "--socket", filepath.Join(t.TempDir(), "run", "a.sock")}
		if code := run(t.Context(), args, nil, io.Discard, &stderr); code != exitUsage || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.address, code, stderr.String())
		}
	}
}

// TestMetrics scrapes the program, and holds the dashboard to what is exported.
func TestMetrics(t *testing.T) {
	office := filepath.Join(t.TempDir(), "office.baseline")
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"ampulla", "baseline", "learn", "../testdata/captures/benign_dns.pcapng", "-o", office}, nil, io.Discard, &stderr); code != 0 {
		t.Skip(stderr.String()) // there are no models
	}
	_, ask := startHTTP(t, "--metrics", "--baseline", office)
	capture, err := os.ReadFile("../testdata/captures/benign_dns.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	if status, job := ask(http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(capture)); status != http.StatusOK {
		t.Fatal(job)
	}
	ask(http.MethodGet, "/v1/jobs/../../%00/x", "", nil)
	status, text := ask(http.MethodGet, "/metrics", "", nil)
	for _, line := range []string{
		"ampulla_frames_judged_total 204\n", `ampulla_jobs{state="done"} 1` + "\n", "ampulla_sessions 0\n",
		`ampulla_http_request_seconds_count{method="POST",route="/v1/analyze",status="200"} 1` + "\n",
		`ampulla_grpc_call_seconds_count{code="OK",method="Analyze"} 1` + "\n",
		`ampulla_model_rows_total{model="anomaly"} `, `ampulla_info{model="`,
		`ampulla_baseline_change{what="hosts"} 0` + "\n", "ampulla_baseline_compared_frames 0\n", // it is a capture of long ago
	} {
		if status != http.StatusOK || !strings.Contains(text, line) {
			t.Errorf("%d, no %s in\n%s", status, line, text)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	dashboard, err := os.ReadFile("../grpc/metrics/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(dashboard, &d); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile(`\b(ampulla|process)_[a-z0-9_]+`).FindAllString(target.Expr, -1) {
				shown++
				if name = strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"); !strings.Contains(text, "# HELP "+name+" ") {
					t.Errorf("grafana.json shows %s, which is not exported", name)
				}
			}
		}
	}
	if shown < 15 {
		t.Errorf("%d metrics in the dashboard", shown)
	}
}

// TestProfiles checks that profiles are at their socket and nowhere else.
func TestProfiles(t *testing.T) {
	url, _ := startHTTP(t, "--profiles")
	if response, err := http.Get(url + "/debug/pprof/"); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("over TCP: %v, %v", response, err)
	}
	_, ask := startHTTP(t, "--profiles")
	if status, text := ask(http.MethodGet, "/debug/pprof/heap", "", nil); status != http.StatusNotFound {
		t.Errorf("over TCP, with the token: %d %s", status, text)
	}
	_, path := startServe(t, "--profiles")
	if _, err := client.Info(t.Context(), dial(t, client.Config{Address: "unix:" + path, Program: client.NoStart})); err != nil {
		t.Fatal(err) // now it serves
	}
	local := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return socket.Dial(ctx, filepath.Join(filepath.Dir(path), "pprof.sock"))
	}}}
	response, err := local.Get("http://localhost/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); !bytes.Contains(text, []byte("goroutine profile")) {
		t.Errorf("%s", text)
	}
}
