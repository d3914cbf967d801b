package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/doctor"
)

// demoBegan is when demo.pcapng begins, to the minute.
var demoBegan = time.Date(2026, 11, 23, 22, 54, 0, 0, time.UTC)

// TestDrift has an annotator judge a capture of today, of which its baseline knows
// little: it says so in its log, its metrics, over REST, and to the doctor.
func TestDrift(t *testing.T) {
	if _, err := exec.LookPath("editcap"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	office, today := filepath.Join(dir, "office.baseline"), filepath.Join(dir, "today.pcapng")
	shift := exec.Command("editcap", "-t", fmt.Sprintf("%.0f", (time.Since(demoBegan)-10*time.Minute).Seconds()), "../testdata/captures/demo.pcapng", today)
	if out, err := shift.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", shift.Args, err, out)
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"ampulla", "baseline", "learn", "../testdata/captures/benign_office.pcapng", "-o", office}, nil, io.Discard, &stderr); code != 0 {
		t.Skip(stderr.String()) // there are no models
	}
	command, socket, _, ask := startBoth(t, "--metrics", "--baseline", office)
	capture, err := os.ReadFile(today)
	if err != nil {
		t.Fatal(err)
	}
	if status, job := ask(http.MethodPost, "/v1/analyze?wait_seconds=60", "application/octet-stream", bytes.NewReader(capture)); status != http.StatusOK {
		t.Fatal(job)
	}
	const change = "1 new host: 192.168.40.66"
	warning := "ampulla: warning: not as " + office + " has learned: " + change + "\n"
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(fmt.Sprint(command.Stderr), warning); {
		if time.Now().After(deadline) { // it comes through a pipe
			t.Fatalf("said %q", command.Stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, text := ask(http.MethodGet, "/metrics", "", nil); !regexp.MustCompile(`(?s)ampulla_baseline_change\{what="hosts"\} 1\n.*ampulla_baseline_compared_frames 3\d\d\d\n`).MatchString(text) {
		t.Error(text)
	}
	_, text := ask(http.MethodGet, "/v1/models", "", nil)
	var models struct {
		Baseline struct {
			File    string
			Sha256  string
			Changes []struct{ What, Text string }
		}
	}
	if err := json.Unmarshal([]byte(text), &models); err != nil || models.Baseline.File != office || len(models.Baseline.Sha256) != 64 ||
		len(models.Baseline.Changes) == 0 || models.Baseline.Changes[0].Text != change {
		t.Errorf("%v: %s", err, text)
	}
	examine := exec.Command(buildProgram(t), "doctor", "--json")
	examine.Env = append(os.Environ(), "AMPULLA_SOCKET="+socket, "PATH="+t.TempDir()) // without any Wireshark, which takes time
	out, _ := examine.Output()                                                        // something may need mending here
	var report doctor.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := map[doctor.Finding]bool{}
	for _, section := range report.Sections {
		for _, finding := range section.Findings {
			finding.Detail = regexp.MustCompile(`of [0-9.]+ hours; compared with 3\d\d\d packets`).ReplaceAllString(finding.Detail, "of H hours; compared with N packets")
			found[finding] = true
		}
	}
	for _, want := range []doctor.Finding{
		{State: "ok", About: office, Detail: "the baseline, of H hours; compared with N packets of late"},
		{State: "changed", About: "hosts", Detail: change},
	} {
		if !found[want] {
			t.Errorf("no %+v in %s", want, out)
		}
	}
	if _, job := ask(http.MethodPost, "/v1/analyze?wait_seconds=60&alarms_per_hour=1000", "application/octet-stream", bytes.NewReader(capture)); !strings.Contains(job, `"threshold":0.5}`) {
		t.Error(job) // nothing was found once only, so nothing new is to be expected
	}
}
