// Package metrics counts what the service does, for Prometheus: calls and
// requests, what the models do, and the annotator's own counters. Names carry
// their units; grafana.json is a dashboard over them.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc/codes"

	"ampulla/annotator/baseline"
	"ampulla/annotator/score"
	"ampulla/grpc/analysis"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Metrics is what is counted. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
	requests *prometheus.HistogramVec
	models   *prometheus.CounterVec
	rows     *prometheus.CounterVec
}

// durations are the upper bounds of the buckets, in seconds.
var durations = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60}

// New returns Metrics in which nothing is counted yet.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ampulla_grpc_call_seconds", Help: "Duration of gRPC calls; streams until their end.", Buckets: durations,
		}, []string{"method", "code"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ampulla_http_request_seconds", Help: "Duration of HTTP requests; event streams until their end.", Buckets: durations,
		}, []string{"method", "route", "status"}),
		models: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ampulla_model_seconds_total", Help: "Time that the models took, over all goroutines.",
		}, []string{"model"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ampulla_model_rows_total", Help: "Rows that the models scored.",
		}, []string{"model"}),
	}
	m.registry.MustRegister(m.calls, m.requests, m.models, m.rows,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch adds what the annotator and the jobs know at the moment of a scrape.
func (m *Metrics) Watch(annotator annotatorv1.AnnotatorClient, store *analysis.Store) {
	m.registry.MustRegister(&collector{annotator, store})
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Call counts a gRPC call; method is its full name.
func (m *Metrics) Call(method string, code codes.Code, d time.Duration) {
	_, method, _ = strings.Cut(strings.TrimPrefix(method, "/"), "/")
	m.calls.WithLabelValues(method, code.String()).Observe(d.Seconds())
}

// Request counts an HTTP request.
func (m *Metrics) Request(r *http.Request, status int, d time.Duration) {
	m.requests.WithLabelValues(method(r.Method), route(r.URL.Path), strconv.Itoa(status)).Observe(d.Seconds())
}

// method is the method of a request, if it is a known one: labels are not for
// strangers to make.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead:
		return name
	}
	return "other"
}

// route is what a path is for, likewise.
func route(path string) string {
	switch path {
	case "/v1/analyze", "/analyze", "/v1/capture", "/capture", "/v1/jobs", "/v1/incidents", "/v1/interfaces", "/v1/models",
		"/v1/metrics/stream", "/v1/openapi.json", "/mcp", "/metrics":
		return path
	}
	rest, ok := strings.CutPrefix(path, "/v1/jobs/")
	_, what, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		return "other"
	case what == "":
		return "/v1/jobs/{id}"
	}
	switch what {
	case "events", "file", "packets", "flows", "stop":
		return "/v1/jobs/{id}/" + what
	}
	return "other"
}

// Scorer counts what a scorer does.
func (m *Metrics) Scorer(inner score.Scorer) score.Scorer { return &scorer{inner, m} }

type scorer struct {
	score.Scorer
	metrics *Metrics
}

// Classify names the protocols of rows.
func (s *scorer) Classify(rows []float32, out []score.Class) error {
	defer s.metrics.model("classifier", len(out), time.Now())
	return s.Scorer.Classify(rows, out)
}

// Anomaly scores rows.
func (s *scorer) Anomaly(rows, out []float32) error {
	defer s.metrics.model("anomaly", len(out), time.Now())
	return s.Scorer.Anomaly(rows, out)
}

func (m *Metrics) model(name string, rows int, begun time.Time) {
	m.models.WithLabelValues(name).Add(time.Since(begun).Seconds())
	m.rows.WithLabelValues(name).Add(float64(rows))
}

// collector asks the annotator and the jobs.
type collector struct {
	annotator annotatorv1.AnnotatorClient
	store     *analysis.Store
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ampulla_"+name, help, labels, nil)
}

var (
	framesJudged     = describe("frames_judged_total", "Frames that got a verdict.")
	framesFlagged    = describe("frames_flagged_total", "Frames with a score above the threshold.")
	framesUnjudged   = describe("frames_unjudged_total", "Frames of captures that came too fast to be judged.")
	judgingSeconds   = describe("judging_seconds_total", "Time that the engine took.")
	sessionsOpen     = describe("sessions", "Captures that are being judged.")
	sessionsTotal    = describe("sessions_total", "Captures that were begun.")
	sessionsRefused  = describe("sessions_refused_total", "Captures that were refused over a limit.")
	strangersRefused = describe("strangers_refused_total", "Connections of other users to the socket.")
	heapBytes        = describe("heap_bytes", "Memory in use by the heap.")
	uptimeSeconds    = describe("uptime_seconds", "Time since the start.")
	jobsByState      = describe("jobs", "Jobs of REST and MCP that are known.", "state")
	capturedFrames   = describe("captured_frames", "Frames of the captures that go on.")
	baselineFrames   = describe("baseline_compared_frames", "Frames of the last 12 to 24 hours that were compared with the baseline.")
	baselineChange   = describe("baseline_change", "How the network differs from the baseline: new hosts and services, stability index of protocols and scores, factor of the rate; 0 if it does not.", "what")
	modelInfo        = describe("info", "Version of the program and of the models; always 1.", "version", "model")
)

// Describe lists what Collect sends.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{framesJudged, framesFlagged, framesUnjudged, judgingSeconds, sessionsOpen, sessionsTotal,
		sessionsRefused, strangersRefused, heapBytes, uptimeSeconds, jobsByState, capturedFrames, modelInfo,
		baselineFrames, baselineChange} {
		out <- d
	}
}

// Collect sends the values of now. Of an annotator that does not answer there
// are none.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counter := func(d *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if m := c.now(ctx); m != nil {
		counter(framesJudged, float64(m.GetFramesTotal()))
		counter(framesFlagged, float64(m.GetFlaggedTotal()))
		counter(framesUnjudged, float64(m.GetUnjudgedTotal()))
		counter(judgingSeconds, float64(m.GetProcessNanoseconds())/1e9)
		counter(sessionsTotal, float64(m.GetSessionsTotal()))
		counter(sessionsRefused, float64(m.GetSessionsRefused()))
		counter(strangersRefused, float64(m.GetStrangersTotal()))
		gauge(sessionsOpen, float64(m.GetSessions()))
		gauge(heapBytes, float64(m.GetHeapBytes()))
		gauge(uptimeSeconds, float64(m.GetUptimeSeconds()))
	}
	if info, err := c.annotator.GetInfo(ctx, &annotatorv1.GetInfoRequest{}); err == nil {
		gauge(modelInfo, 1, info.GetVersion(), info.GetModel())
		if b := info.GetBaseline(); b != nil {
			gauge(baselineFrames, float64(b.GetFrames()))
			for what, value := range changes(b) {
				gauge(baselineChange, value, what)
			}
		}
	}
	states, frames := map[annotatorv1.Job_State]int{}, uint32(0)
	for _, j := range c.store.Jobs() {
		state := j.State()
		states[state.GetState()]++
		if state.GetState() == annotatorv1.Job_CAPTURING {
			frames += state.GetPackets()
		}
	}
	for state := annotatorv1.Job_QUEUED; state <= annotatorv1.Job_CANCELLED; state++ {
		gauge(jobsByState, float64(states[state]), strings.ToLower(state.String()))
	}
	gauge(capturedFrames, float64(frames))
}

// changes returns the value of each kind of change.
func changes(b *annotatorv1.Baseline) map[string]float64 {
	values := map[string]float64{}
	for _, what := range baseline.Kinds {
		values[what] = 0
	}
	for _, c := range b.GetChanges() {
		values[c.GetWhat()] = c.GetValue()
	}
	return values
}

// now returns the annotator's counters, or nil.
func (c *collector) now(ctx context.Context) *annotatorv1.Metrics {
	calls, err := c.annotator.WatchMetrics(ctx, &annotatorv1.WatchMetricsRequest{})
	if err != nil {
		return nil
	}
	m, err := calls.Recv()
	if err != nil {
		return nil
	}
	return m
}
