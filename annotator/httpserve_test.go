package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/grpc/client"
)

// startWeb runs "ampulla serve --http" and returns where it answers, and a
// client that shows the token.
func startWeb(t *testing.T, args ...string) (url string, ask func(method, path, kind string, body io.Reader) (int, string)) {
	t.Helper()
	buildProgram(t) // with the developer's cache
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	address := freePort(t)
	_, socket := startServe(t, append([]string{"--http", address}, args...)...)
	dial(t, client.Config{Address: "unix:" + socket, Program: client.NoStart})
	token, err := os.ReadFile(filepath.Join(config, "ampulla", "token"))
	if err != nil {
		t.Fatal(err)
	}
	url = "http://" + address
	return url, func(method, path, kind string, body io.Reader) (int, string) {
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

// TestWeb analyses a capture with the program as it is run: what comes back is
// what "ampulla annotate" writes, bit for bit.
func TestWeb(t *testing.T) {
	url, ask := startWeb(t)
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

func TestWebUsage(t *testing.T) {
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
