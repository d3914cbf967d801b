package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"ampulla/annotator/feedback"
	"ampulla/annotator/score/scoretest"
	"ampulla/grpc/analysis"
	"ampulla/grpc/gateway"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

const token = "0123456789abcdef"

// rest is a REST interface under test with an annotator behind it.
type rest struct {
	*httptest.Server
	store *analysis.Store
}

func start(t *testing.T, change func(*server.Config, *analysis.Config)) *rest {
	t.Helper()
	cfg, jobs := server.Default(), analysis.Default()
	cfg.Version, cfg.Scorer, cfg.Grace = "test", scoretest.Hash{}, 100*time.Millisecond
	jobs.Dir = t.TempDir()
	if change != nil {
		change(&cfg, &jobs)
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	listener, err := socket.Listen(path, s.Stranger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, server.Endpoint{Listener: listener}) }()
	conn, err := grpc.NewClient("passthrough:///annotator", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return socket.Dial(ctx, path) }))
	if err != nil {
		t.Fatal(err)
	}
	jobs.Annotator = annotatorv1.NewAnnotatorClient(conn)
	r := new(rest)
	if r.store, err = analysis.New(jobs); err != nil {
		t.Fatal(err)
	}
	handler, err := gateway.New(gateway.Config{
		Store: r.store, Annotator: jobs.Annotator, MaxUpload: jobs.MaxUpload, Interval: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Server = httptest.NewServer(gateway.Guard(gateway.Access{
		Token: token, Hosts: []string{"ampulla.example"}, Origins: []string{"https://grafana.example"},
	}, handler))
	t.Cleanup(func() {
		r.Close()
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(jobs.Dir, "*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return r
}

// do sends a request with the token, and decodes the JSON of the answer.
func (r *rest) do(t *testing.T, method, path, kind string, body io.Reader) (status int, answer map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := r.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %d %q: %v", method, path, response.StatusCode, text, err)
	}
	return response.StatusCode, answer
}

func (r *rest) get(t *testing.T, path string) map[string]any {
	t.Helper()
	status, answer := r.do(t, http.MethodGet, path, "", nil)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %v", path, status, answer)
	}
	return answer
}

func (r *rest) post(t *testing.T, path, body string) map[string]any {
	t.Helper()
	status, answer := r.do(t, http.MethodPost, path, "application/json", strings.NewReader(body))
	if status != http.StatusOK {
		t.Fatalf("POST %s %s: %d %v", path, body, status, answer)
	}
	return answer
}

func capture(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../testdata/captures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// allow lets captures be named that are below the returned folder.
func allow(t *testing.T) (dir string, change func(*server.Config, *analysis.Config)) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dns.pcapng"), capture(t, "benign_dns.pcapng"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, func(_ *server.Config, c *analysis.Config) { c.Folders = []string{dir} }
}

// TestAnalyze analyses the same capture in each way that there is.
func TestAnalyze(t *testing.T) {
	dir, change := allow(t)
	r := start(t, change)
	data := capture(t, "benign_dns.pcapng")
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, _ := w.CreateFormFile("file", "a.pcapng")
	_, _ = part.Write(data)
	_ = w.Close()
	for _, tt := range []struct{ name, path, kind, body string }{
		{"path", "/v1/analyze", "application/json", `{"path": "dns.pcapng", "wait_seconds": 60}`},
		{"absolute path, alias", "/analyze", "application/json; charset=utf-8", `{"path": "` + dir + `/dns.pcapng", "wait_seconds": 60}`},
		{"body", "/v1/analyze?wait_seconds=60", "application/octet-stream", string(data)},
		{"form, alias", "/analyze?wait_seconds=60", w.FormDataContentType(), form.String()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, job := r.do(t, http.MethodPost, tt.path, tt.kind, strings.NewReader(tt.body))
			if status != http.StatusOK || job["state"] != "DONE" || job["packets"] != 204.0 || job["progress"] != 1.0 {
				t.Fatalf("%d %v", status, job)
			}
			id := job["id"].(string)
			list := r.get(t, "/v1/jobs/"+id+"/packets?class=dns&page_size=3")
			packets := list["packets"].([]any)
			if len(packets) != 3 || list["next_page_token"] != "3" || list["display_filter"] != `ai.class == "dns"` {
				t.Fatal(list)
			}
			next := r.get(t, "/v1/jobs/"+id+"/packets?class=dns&page_token=3")
			if int(list["total"].(float64)) != 3+len(next["packets"].([]any)) && next["next_page_token"] == "" {
				t.Errorf("%v packets in all, %d on the second page", list["total"], len(next["packets"].([]any)))
			}
			if flows := r.get(t, "/v1/jobs/"+id+"/flows?page_size=1"); flows["total"] != job["flows"] {
				t.Errorf("%v flows, want %v", flows["total"], job["flows"])
			}
			if incidents := r.get(t, "/v1/incidents?job="+id); incidents["total"] != job["incidents"] {
				t.Errorf("%v incidents, want %v", incidents["total"], job["incidents"])
			}
			request, _ := http.NewRequest(http.MethodGet, r.URL+job["file"].(string), nil)
			request.Header.Set("Authorization", "Bearer "+token)
			request.Header.Set("Range", "bytes=0-3")
			response, err := r.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if head, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusPartialContent || string(head) != "\x0a\x0d\x0d\x0a" {
				t.Errorf("%d %x", response.StatusCode, head)
			}
			if status, _ := r.do(t, http.MethodDelete, "/v1/jobs/"+id, "", nil); status != http.StatusOK {
				t.Errorf("delete: %d", status)
			}
			if status, _ := r.do(t, http.MethodGet, "/v1/jobs/"+id, "", nil); status != http.StatusNotFound {
				t.Errorf("deleted: %d", status)
			}
		})
	}
}

// TestRefusals checks that each wrong request gets the right status, and that
// none is a fault of the server's.
func TestRefusals(t *testing.T) {
	dir, change := allow(t)
	outside := filepath.Join(t.TempDir(), "outside.pcapng")
	if err := os.WriteFile(outside, capture(t, "benign_dns.pcapng"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": outside, "in": filepath.Join(dir, "dns.pcapng"), "up": filepath.Dir(dir), "self": dir} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, func(s *server.Config, c *analysis.Config) {
		change(s, c)
		c.MaxUpload = 1 << 20
		s.Feedback = feedback.NewFile(filepath.Join(t.TempDir(), "feedback.yaml"), func(err error) { t.Error(err) })
	})
	const octets = "application/octet-stream"
	named := func(path string) string {
		text, _ := json.Marshal(map[string]string{"path": path})
		return string(text)
	}
	for _, tt := range []struct {
		name, method, path, kind, body string
		header                         [2]string
		want                           int
	}{
		{name: "fine", path: "/v1/jobs", want: 200},
		{name: "no token", path: "/v1/jobs", header: [2]string{"Authorization", ""}, want: 401},
		{name: "wrong token", path: "/v1/jobs", header: [2]string{"Authorization", "Bearer 0123456789abcdeF"}, want: 401},
		{name: "other scheme", path: "/v1/jobs", header: [2]string{"Authorization", "Basic " + token}, want: 401},
		{name: "no token, nothing there", path: "/x", header: [2]string{"Authorization", ""}, want: 401},
		{name: "rebound name", path: "/v1/jobs", header: [2]string{"Host", "evil.example"}, want: 403},
		{name: "name that begins well", path: "/v1/jobs", header: [2]string{"Host", "localhost.evil.example:80"}, want: 403},
		{name: "no name", path: "/v1/jobs", header: [2]string{"Host", "-"}, want: 403},
		{name: "localhost", path: "/v1/jobs", header: [2]string{"Host", "LOCALHOST:80"}, want: 200},
		{name: "IPv6", path: "/v1/jobs", header: [2]string{"Host", "[::1]:80"}, want: 200},
		{name: "configured name", path: "/v1/jobs", header: [2]string{"Host", "ampulla.example:443"}, want: 200},
		{name: "page of another", path: "/v1/jobs", header: [2]string{"Origin", "http://evil.example"}, want: 403},
		{name: "page without origin", path: "/v1/jobs", header: [2]string{"Origin", "null"}, want: 403},
		{name: "configured page", path: "/v1/jobs", header: [2]string{"Origin", "https://grafana.example"}, want: 200},
		{name: "traversal", body: named("../" + filepath.Base(filepath.Dir(outside)) + "/outside.pcapng"), want: 403},
		{name: "traversal inside", body: named("x/../../etc/passwd"), want: 403},
		{name: "absolute traversal", body: named(dir + "/../../../../etc/passwd"), want: 403},
		{name: "elsewhere", body: named(outside), want: 403},
		{name: "link out", body: named("out"), want: 403},
		{name: "link in", body: named("in"), want: 403},
		{name: "through a link up", body: named("up/etc"), want: 403},
		{name: "through a link to itself", body: named("self/dns.pcapng"), want: 403},
		{name: "folder", body: named("."), want: 403},
		{name: "pipe", body: named("fifo"), want: 403},
		{name: "zero byte", body: named("dns.pcapng\x00"), want: 400},
		{name: "missing", body: named("missing.pcapng"), want: 404},
		{name: "no path", body: `{}`, want: 400},
		{name: "no JSON", body: `{`, want: 400},
		{name: "unknown field", body: `{"pth": "dns.pcapng"}`, want: 400},
		{name: "comments", body: `{"path": "dns.pcapng", "comments": "many"}`, want: 400},
		{name: "threshold", body: `{"path": "dns.pcapng", "threshold": 1.5}`, want: 400},
		{name: "threshold NaN", body: `{"path": "dns.pcapng", "threshold": "NaN"}`, want: 400},
		{name: "no alarms", body: `{"path": "dns.pcapng", "alarms_per_hour": -1}`, want: 400},
		{name: "alarms and threshold", body: `{"path": "dns.pcapng", "alarms_per_hour": 1, "threshold": 0.8}`, want: 400},
		{name: "wait", body: `{"path": "dns.pcapng", "wait_seconds": 61}`, want: 400},
		{name: "huge JSON", body: `{"path": "` + strings.Repeat("a", 1<<17) + `"}`, want: 400},
		{name: "no type", method: "POST", path: "/v1/analyze", body: "x", want: 415},
		{name: "form of a browser", method: "POST", path: "/v1/analyze", kind: "application/x-www-form-urlencoded", body: "x=y", want: 415},
		{name: "text for a capture", method: "POST", path: "/v1/capture", kind: "text/plain", body: `{"interfaces":["lo"]}`, want: 415},
		{name: "empty body", method: "POST", path: "/v1/analyze", kind: octets, want: 400},
		{name: "large body", method: "POST", path: "/v1/analyze", kind: octets, body: strings.Repeat("x", 2<<20), want: 413},
		{name: "form without file", method: "POST", path: "/v1/analyze", kind: "multipart/form-data; boundary=b", body: "--b--\r\n", want: 400},
		{name: "path beside a body", method: "POST", path: "/v1/analyze?path=dns.pcapng", kind: octets, body: "x", want: 400},
		{name: "unknown parameter", method: "POST", path: "/v1/analyze?treshold=1", kind: octets, body: "x", want: 400},
		{name: "bad parameter", method: "POST", path: "/v1/analyze?threshold=high", kind: octets, body: "x", want: 400},
		{name: "no interface", method: "POST", path: "/v1/capture", kind: "application/json", body: `{}`, want: 400},
		{name: "option for an interface", method: "POST", path: "/v1/capture", kind: "application/json", body: `{"interfaces": ["-w/tmp/x"]}`, want: 400},
		{name: "method", method: "PUT", path: "/v1/jobs", want: 405},
		{name: "nothing there", path: "/v1/nothing", want: 404},
		{name: "no job", path: "/v1/jobs/x", want: 404},
		{name: "no job's events", path: "/v1/jobs/x/events", want: 404},
		{name: "no job's file", path: "/v1/jobs/..%2f..%2fetc%2fpasswd/file", want: 404},
		{name: "incidents of no job", path: "/v1/incidents?job=x", want: 404},
		{name: "type of incidents", path: "/v1/incidents?type=port", want: 400},
		{name: "score of incidents", path: "/v1/incidents?min_score=NaN", want: 400},
		{name: "feedback about nothing", method: "POST", path: "/v1/feedback", kind: "application/json", body: `{"says": "normal"}`, want: 400},
		{name: "feedback that says nothing", method: "POST", path: "/v1/feedback", kind: "application/json", body: `{"scope": {"type": "flood"}}`, want: 400},
		{name: "feedback with a number", method: "POST", path: "/v1/feedback", kind: "application/json", body: `{"id": 7, "says": "bad", "scope": {"type": "flood"}}`, want: 400},
		{name: "feedback that there is not", method: "DELETE", path: "/v1/feedback/7", want: 404},
		{name: "feedback of no number", method: "DELETE", path: "/v1/feedback/x", want: 400},
		{name: "page", path: "/v1/incidents?page_size=1001", want: 400},
		{name: "page token", path: "/v1/incidents?page_token=-1", want: 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.path == "" {
				tt.method, tt.path, tt.kind = http.MethodPost, "/v1/analyze", "application/json"
			}
			request, err := http.NewRequest(tt.method, r.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", tt.kind)
			request.Header.Set("Authorization", "Bearer "+token)
			if name, value := tt.header[0], tt.header[1]; name == "Host" {
				request.Host = value
			} else if name != "" {
				request.Header.Set(name, value)
			}
			response, err := r.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != tt.want {
				t.Errorf("%d, want %d: %s", response.StatusCode, tt.want, text)
			}
			if tt.want != 200 && !json.Valid(text) || bytes.Contains(text, []byte("root:")) || bytes.Contains(text, []byte("rpc error")) {
				t.Errorf("%s", text)
			}
		})
	}
	if n := len(r.store.Jobs()); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

// TestNoCapture checks what becomes of uploads that are none, or hostile.
func TestNoCapture(t *testing.T) {
	r := start(t, func(_ *server.Config, c *analysis.Config) { c.MaxCapture = 1 << 20 })
	whole := capture(t, "benign_dns.pcapng")
	for _, tt := range []struct{ name, body, state, error string }{
		{"text", "This is no capture.", "FAILED", "not a pcap or pcapng capture"},
		{"half a header", string(whole[:28]), "DONE", "the capture breaks off: block "},
		{"breaks off", string(whole[:len(whole)/2]), "DONE", "the capture breaks off: block "},
		{"block of 4 GB", string(whole[:4]) + "\xff\xff\xff\xff" + string(whole[8:]), "DONE", "the capture breaks off: block "},
		{"larger than allowed inside", bomb(t, whole), "FAILED", "larger than allowed when uncompressed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, job := r.do(t, http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", strings.NewReader(tt.body))
			if job["state"] != tt.state || !strings.Contains(job["error"].(string), tt.error) {
				t.Errorf("%v", job)
			}
		})
	}
}

// bomb returns a compressed capture that is over 1 MB when uncompressed.
func bomb(t *testing.T, capture []byte) string {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for range 1<<20/len(capture) + 1 {
		_, _ = w.Write(capture)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
