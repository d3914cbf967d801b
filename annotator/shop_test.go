package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/report"
	"ampulla/annotator/web"
)

// TestReportLabelled makes reports of the labelled captures, of a sample unless
// AMPULLA_FULL is set, in all forms. Those of captures that break off say so.
func TestReportLabelled(t *testing.T) {
	files := capturetest.Files(t, filepath.Join(capturetest.Labelled(t), "anomaly", "captures"))
	files = append(files, capturetest.Files(t, filepath.Join(capturetest.Labelled(t), "protocols"))...)
	step := len(files) / 12
	if capturetest.Full() {
		step = 1
	}
	for i := step / 2; i < len(files); i += step {
		t.Run(filepath.Base(files[i]), func(t *testing.T) { reportLabelled(t, files[i]) })
	}
}

// reportLabelled makes reports of one capture.
func reportLabelled(t *testing.T, capture string) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.json")
	args := []string{"ampulla", "report", capture, "-o", out, "-o", filepath.Join(dir, "out.html"), "-o", filepath.Join(dir, "out.md")}
	var stderr bytes.Buffer
	code := run(t.Context(), args, nil, &stderr, &stderr)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	checkSchema(t, text)
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if (code != exitDone) != (r.Capture.Broken != "") {
		t.Errorf("exit code %d, broken %q: %s", code, r.Capture.Broken, &stderr)
	}
	if r.Web != nil && strings.Contains(r.Web.Note, "early") {
		t.Errorf("note %q: %s", r.Web.Note, &stderr)
	}
}

// logged is a line of the log of the shop's nginx or of its application.
type logged struct {
	Visitor any // a number, or a cookie
	Method  string
	Path    string
	Status  int
	Seconds float64
}

// stages are those of the default configuration, as the shop's addresses have
// them.
var stages = []struct{ name, path string }{
	{"product", "^/product/"}, {"cart", "^/cart"}, {"checkout", "^/checkout$"},
	{"payment", "^/checkout/payment$"}, {"confirmation", "^/order/confirmation$"},
}

// TestShop holds reports of the captures in testdata/shop to what the servers in
// them wrote into their logs. With AMPULLA_FULL, a larger crowd visits the shop
// with every fault in every protocol first, which takes root.
func TestShop(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark")
	}
	dir := filepath.Join("..", "testdata", "shop")
	if capturetest.Full() {
		dir = visitShop(t, dir)
	}
	captures, err := filepath.Glob(filepath.Join(dir, "*.pcapng.zst"))
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures in %s: %v", dir, err)
	}
	for _, capture := range captures {
		name := strings.TrimSuffix(filepath.Base(capture), ".pcapng.zst")
		t.Run(name, func(t *testing.T) {
			base := filepath.Join(dir, name)
			fault, protocol, _ := strings.Cut(name, "_")
			r := reportOf(t, capture, base+".keys")
			log := readLog(t, base+".nginx.jsonl")
			checkFunnel(t, r, log)
			checkSlow(t, r, log)
			if fault == "none" {
				checkHealthy(t, r)
				return
			}
			checkAbandonment(t, r, log, fault)
			checkAdvice(t, r, protocol)
			if protocol == "http2" {
				checkFilters(t, r, capture, base+".keys")
			}
		})
	}
}

// visitShop makes captures with every fault, and returns their folder.
func visitShop(t *testing.T, shop string) string {
	dir := t.TempDir()
	args := []string{"-d", dir}
	for _, fault := range []string{"timeout", "error", "reset", "down", "none"} {
		for _, protocol := range []string{"http1", "tls", "http2"} {
			args = append(args, fault+"_"+protocol)
		}
	}
	cmd := exec.Command(filepath.Join(shop, "make.sh"), args...)
	cmd.Env = append(os.Environ(), "VISITORS=100")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make.sh: %v\n%s", err, out)
	}
	return dir
}

// reportOf runs the command, and checks the report's form.
func reportOf(t *testing.T, capture, keys string) *report.Report {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.json")
	args := []string{"ampulla", "report", capture, "-o", out}
	if _, err := os.Stat(keys); err == nil {
		args = append(args, "--key-log", keys)
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), args, nil, &stderr, &stderr); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, text)
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// checkSchema holds a report to its schema.
func checkSchema(t *testing.T, text []byte) {
	t.Helper()
	var docs [2]any
	for i, b := range [][]byte{report.Schema, text} {
		var err error
		if docs[i], err = jsonschema.UnmarshalJSON(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("report.json", docs[0]); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(docs[1]); err != nil {
		t.Error(err)
	}
}

func readLog(t *testing.T, name string) []logged {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var log []logged
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var l logged
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		log = append(log, l)
	}
	if len(log) < 100 {
		t.Fatalf("%s: %d lines", name, len(log))
	}
	return log
}

// visitors returns how many visitors asked for what matches.
func visitors(log []logged, path string) uint64 {
	re := regexp.MustCompile(path)
	seen := map[any]bool{}
	for _, l := range log {
		if re.MatchString(l.Path) && l.Visitor != "" {
			seen[l.Visitor] = true
		}
	}
	return uint64(len(seen))
}

func checkFunnel(t *testing.T, r *report.Report, log []logged) {
	t.Helper()
	if r.Web == nil || r.Web.Funnel == nil {
		t.Fatal("no funnel")
	}
	for i, stage := range stages {
		got, want := r.Web.Funnel.Stages[i], visitors(log, stage.path)
		if got.Name != stage.name || got.Entered != want {
			t.Errorf("%d visitors came to %s, the log has %d at %s", got.Entered, got.Name, want, stage.name)
		}
	}
	if want := visitors(log, "^/order/confirmation$"); r.Web.Funnel.Converted != want || r.Web.Funnel.Open != 0 {
		t.Errorf("%d converted, %d open; the log has %d, 0", r.Web.Funnel.Converted, r.Web.Funnel.Open, want)
	}
}

// checkSlow holds what is slow, and how slow, to the log: medians and the slow
// end may be 5 % off.
func checkSlow(t *testing.T, r *report.Report, log []logged) {
	t.Helper()
	times := map[string][]float64{}
	for _, l := range log {
		key := l.Method + " " + regexp.MustCompile(`/\d+$`).ReplaceAllString(l.Path, "/{n}")
		times[key] = append(times[key], l.Seconds*1000)
	}
	want := map[string]web.Delay{}
	for key, list := range times {
		slices.Sort(list)
		slow := 0
		for _, x := range list {
			if x >= 500 {
				slow++
			}
		}
		if median := rank(list, 0.5); median >= 500 || slow >= 2 && slow*20 >= len(list) {
			want[key] = web.Delay{Median: median, P95: rank(list, 0.95)}
		}
	}
	for _, s := range r.Slow {
		if s.Internal {
			continue // nginx knows nothing of it
		}
		key := s.Method + " " + s.URL[strings.Index(s.URL, "shop.example")+len("shop.example"):]
		w, ok := want[key]
		if !ok {
			t.Errorf("%s is slow in the report only: %+v", key, s.Took)
			continue
		}
		delete(want, key)
		if off(s.Took.Median, w.Median) > 0.05 || off(s.Took.P95, w.P95) > 0.05 || int(s.Count) != len(times[key]) {
			t.Errorf("%s: median %v, 95 %% %v of %d; the log has %v, %v of %d", key, s.Took.Median, s.Took.P95, s.Count, w.Median, w.P95, len(times[key]))
		}
		if len(s.Frames) == 0 || s.Filter == "" {
			t.Errorf("%s: no evidence", key)
		}
	}
	for key, w := range want {
		t.Errorf("%s is slow in the log only: %+v", key, w)
	}
}

// rank returns the smallest value that a share q of a sorted list reaches at
// most.
func rank(list []float64, q float64) float64 {
	return list[max(1, int(math.Ceil(q*float64(len(list)))))-1]
}

// off returns by which share two numbers differ; a tenth of a millisecond is
// nothing.
func off(got, want float64) float64 {
	return max(0, math.Abs(got-want)-0.1) / want
}

func checkAbandonment(t *testing.T, r *report.Report, log []logged, fault string) {
	t.Helper()
	want := map[string]struct{ cause, culprit string }{
		"timeout": {web.CauseTimeout, "POST http://10.77.2.2:8081/v1/charges"},
		"error":   {web.CauseServer, "/checkout/payment"},
		"reset":   {web.CauseReset, "POST http://10.77.2.2:8081/v1/charges"},
		"down":    {web.CauseConnect, "10.77.2.2:8081"},
	}[fault]
	var lost, came uint64
	for _, l := range log {
		if l.Path == "/checkout/payment" {
			came++
			if l.Status >= 500 {
				lost++
			}
		}
	}
	got := r.Abandonment
	if !got.Detected || got.Stage != "payment" || got.Cause != want.cause || !strings.HasSuffix(got.Culprit, want.culprit) {
		t.Errorf("drop point %q, cause %q, culprit %q; want payment, %s, %s", got.Stage, got.Cause, got.Culprit, want.cause, want.culprit)
	}
	if got.Lost != lost || got.Entered != came {
		t.Errorf("%d of %d visitors were lost; the log has %d of %d", got.Lost, got.Entered, lost, came)
	}
	if len(got.Frames) == 0 || got.Filter == "" {
		t.Error("no evidence")
	}
}

func checkAdvice(t *testing.T, r *report.Report, protocol string) {
	t.Helper()
	want := []string{"cache_headers", "compression", "images", "merge"}
	if protocol == "tls" {
		want = append(want, "resumption", "reuse")
	}
	var got []string
	for _, a := range r.Advice {
		got = append(got, a.ID)
		if len(a.Frames) == 0 || a.Why == "" || a.Gain == "" || a.Bytes == 0 && a.Millis == 0 {
			t.Errorf("%s: no evidence or no gain: %+v", a.ID, a)
		}
	}
	slices.Sort(got)
	if cmp.Compare(strings.Join(got, " "), strings.Join(want, " ")) != 0 {
		t.Errorf("advice %v, want %v", got, want)
	}
}

// checkFilters wants every display filter to find something in the capture.
func checkFilters(t *testing.T, r *report.Report, capture, keys string) {
	t.Helper()
	filters := []string{r.Abandonment.Filter}
	for _, row := range slices.Concat(r.Slow, r.Web.Errors) {
		filters = append(filters, row.Filter)
	}
	for _, a := range r.Advice {
		filters = append(filters, a.Filter)
	}
	for _, h := range r.Web.Hosts {
		filters = append(filters, h.Filter)
	}
	slices.Sort(filters)
	for _, filter := range slices.Compact(filters) {
		cmd := exec.Command("tshark", "-n", "-r", capture, "-o", "tls.keylog_file:"+keys, "-Y", filter, "-T", "fields", "-e", "frame.number")
		if out, err := cmd.Output(); err != nil || len(out) == 0 {
			t.Errorf("%s finds %d bytes: %v", filter, len(out), err)
		}
	}
}

// checkHealthy wants a report of a shop without faults to find nothing.
func checkHealthy(t *testing.T, r *report.Report) {
	t.Helper()
	if r.Abandonment.Detected || len(r.Slow)+len(r.Advice)+len(r.Findings)+len(r.Web.Errors) != 0 {
		t.Errorf("found in a healthy shop: %+v %+v %+v %+v", r.Abandonment, r.Slow, r.Advice, r.Findings)
	}
}
