package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"ampulla/grpc/client"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// program builds ampulla once for all tests that need a process of it.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDir(), "ampulla")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// programDir is a folder of this test run.
func programDir() string {
	return filepath.Join(os.TempDir(), "ampulla-test-"+strconv.Itoa(os.Getpid()))
}

// tidy runs the tests and removes programDir.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer os.RemoveAll(programDir())
	return m.M.Run()
}

func buildProgram(t testing.TB) string {
	t.Helper()
	testScorer(t) // skips without ONNX Runtime
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// words are what a process says, which the test says, too.
type words struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write takes what it says.
func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	return os.Stderr.Write(p)
}

// String returns what it has said so far.
func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// startServe runs "ampulla serve" and waits until it answers at the socket.
func startServe(t testing.TB, args ...string) (*exec.Cmd, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	command := exec.Command(buildProgram(t), append([]string{"serve", "--socket", path}, args...)...)
	command.Stderr = new(words)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	awaitSocket(t, path)
	return command, path
}

func dial(t testing.TB, cfg client.Config) *client.Conn {
	t.Helper()
	conn, err := client.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestStartOnDemand lets many clients start the annotator at once: all reach
// the same one, which ends when nobody asks any more.
func TestStartOnDemand(t *testing.T) {
	bin := buildProgram(t)
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	// The clients pass no --idle, so a script in between does.
	starter := filepath.Join(t.TempDir(), "starter")
	script := "#!/bin/sh\nexec " + bin + ` "$@" --idle 1s` + "\n"
	if err := os.WriteFile(starter, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	sessions := make([]*client.Session, 8)
	for i := range sessions {
		clients.Go(func() {
			conn, err := client.Dial(t.Context(), client.Config{Address: "unix:" + path, Program: starter, StartTimeout: 30 * time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			if sessions[i], err = client.Open(t.Context(), conn, client.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if t.Failed() {
		return
	}
	conn := dial(t, client.Config{Address: "unix:" + path, Program: client.NoStart})
	calls, err := annotatorv1.NewAnnotatorClient(conn).WatchMetrics(t.Context(), &annotatorv1.WatchMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := calls.Recv(); err != nil || m.GetSessions() != uint32(len(sessions)) {
		t.Errorf("%d sessions with one annotator, want %d: %v", m.GetSessions(), len(sessions), err)
	}
	for _, s := range sessions {
		s.Close()
	}
	_ = conn.Close()
	for range 3000 {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the annotator does not end although nobody asks")
}

// TestSecondServe checks that a second annotator on the same socket ends at
// once, without harm to the first.
func TestSecondServe(t *testing.T) {
	_, path := startServe(t)
	if out, err := exec.Command(buildProgram(t), "serve", "--socket", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("second annotator: %v, %s", err, out)
	}
	http := exec.Command(buildProgram(t), "serve", "--socket", path, "--http", "127.0.0.1:0")
	http.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
	if out, err := http.CombinedOutput(); err == nil || !strings.Contains(string(out), "another annotator is running") {
		t.Errorf("second annotator, with HTTP: %v, %s", err, out)
	}
	conn := dial(t, client.Config{Address: "unix:" + path, Program: client.NoStart})
	info, err := client.Info(t.Context(), conn)
	if err != nil || info.GetModel() == "" || len(info.GetClasses()) == 0 {
		t.Errorf("first annotator: %v, %v", info, err)
	}
	answer, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: annotatorv1.Annotator_ServiceDesc.ServiceName})
	if err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", answer, err)
	}
}

// TestGracefulStop checks that SIGTERM ends the annotator with code 0 within
// its grace although a session is open, and removes the socket.
func TestGracefulStop(t *testing.T) {
	command, path := startServe(t)
	conn := dial(t, client.Config{Address: "unix:" + path, Program: client.NoStart})
	session, err := client.Open(t.Context(), conn, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	for range 1000 {
		if session.Err() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the session does not notice")
}

// TestOtherUsers checks that the socket is closed to others, and that the
// kernel is asked who calls even when somebody opens it up.
func TestOtherUsers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to act as another user")
	}
	_, path := startServe(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	connect := func() ([]byte, error) {
		other := exec.Command("python3", "-c", `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
print(len(s.recv(100)))`, path)
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		other.Dir = "/"
		return other.CombinedOutput()
	}
	if out, err := connect(); err == nil {
		t.Errorf("another user gets in: %s", out)
	}
	for dir := filepath.Dir(path); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil {
			_ = os.Chmod(dir, info.Mode().Perm()|0o055)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	// Closed before a byte: python prints 0, or the connection is reset.
	if out, err := connect(); err == nil && strings.TrimSpace(string(out)) != "0" {
		t.Errorf("another user gets an answer: %s", out)
	}
}

// TestTCP checks that TCP needs TLS and the token.
func TestTCP(t *testing.T) {
	dir := t.TempDir()
	pool := makeCertificate(t, dir)
	token := "0123456789abcdef"
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	startServe(t, "--listen", address, "--tls-cert", filepath.Join(dir, "cert.pem"),
		"--tls-key", filepath.Join(dir, "key.pem"), "--token-file", filepath.Join(dir, "token"))
	for _, tt := range []struct {
		name  string
		token string
		tls   *tls.Config
		want  codes.Code
	}{
		{"right", token, &tls.Config{RootCAs: pool}, codes.OK},
		{"no token", "", &tls.Config{RootCAs: pool}, codes.Unauthenticated},
		{"wrong token", "0123456789abcdeF", &tls.Config{RootCAs: pool}, codes.Unauthenticated},
		{"unknown certificate", token, nil, codes.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := dial(t, client.Config{Address: "tcp:" + address, Token: tt.token, TLS: tt.tls})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := client.Info(ctx, conn); status.Code(err) != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// freePort returns a loopback address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// makeCertificate writes cert.pem and key.pem for 127.0.0.1.
func makeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cert.pem", "CERTIFICATE", der)
	write("key.pem", "EC PRIVATE KEY", keyDER)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}
