package gateway

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ampulla/grpc/analysis"
	annotatorv1 "ampulla/proto/annotator/v1"
)

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// captureTypes are the media types of a body that is a capture.
var captureTypes = map[string]bool{
	"application/octet-stream": true, "application/vnd.tcpdump.pcap": true, "application/x-pcapng": true,
	"application/gzip": true, "application/zstd": true,
}

// upload analyses a capture that is the body, or the first file of a form.
func (g *gateway) upload(w http.ResponseWriter, r *http.Request) {
	job, err := g.analyzeUpload(w, r)
	if err != nil {
		// What was not read would be taken for the next request.
		w.Header().Set("Connection", "close")
		g.fail(w, r, err)
		return
	}
	body, err := marshaler.Marshal(job)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", marshaler.ContentType(job))
	_, _ = w.Write(body)
}

func (g *gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	answerError(r.Context(), g.mux, marshaler, w, r, err)
}

func (g *gateway) analyzeUpload(w http.ResponseWriter, r *http.Request) (*annotatorv1.Job, error) {
	options := new(annotatorv1.AnalysisRequest)
	if err := (strictParser{}).Parse(options, r.URL.Query(), utilities.NewDoubleArray(nil)); err != nil {
		return nil, status.Error(codes.InvalidArgument, status.Convert(err).Message())
	}
	if options.GetPath() != "" {
		return nil, status.Error(codes.InvalidArgument, "path: belongs into a JSON body, not beside a capture")
	}
	if err := checkWait(options.GetWaitSeconds()); err != nil {
		return nil, err
	}
	if r.ContentLength > g.cfg.MaxUpload+maxJSON {
		return nil, analysis.ErrTooLarge
	}
	body, err := captureBody(w, r)
	if err != nil {
		return nil, err
	}
	j, err := g.cfg.Store.Upload(body, optionsOf(options))
	if err != nil {
		return nil, err
	}
	return waitFor(r.Context(), j, options.GetWaitSeconds()), nil
}

// captureBody returns the reader of the capture in a request.
func captureBody(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = paced(w, r.Body)
	switch {
	case err == nil && captureTypes[kind]:
		return r.Body, nil
	case err != nil || kind != "multipart/form-data":
		return nil, errMediaType
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "form: %v", err)
	}
	for range 16 {
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		if part.FileName() != "" {
			return part, nil
		}
	}
	return nil, status.Error(codes.InvalidArgument, "form: there is no file in it")
}

// A body has to arrive at minRate bytes a second, on average, after patience.
const (
	patience = 30 * time.Second
	minRate  = 16 << 10
)

// paced returns a body that breaks off when it arrives too slowly.
func paced(w http.ResponseWriter, body io.ReadCloser) io.ReadCloser {
	return &pacedBody{ReadCloser: body, control: http.NewResponseController(w), begun: time.Now()}
}

type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	begun   time.Time
	n       int64
}

// Read reads before the deadline of what has come so far.
func (p *pacedBody) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(p.begun.Add(patience + time.Duration(p.n)*time.Second/minRate))
	n, err := p.ReadCloser.Read(b)
	p.n += int64(n)
	if errors.Is(err, io.EOF) {
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// download sends the annotated file.
func (g *gateway) download(w http.ResponseWriter, r *http.Request, path map[string]string) {
	j, err := g.cfg.Store.Job(path["id"])
	if err != nil {
		g.fail(w, r, err)
		return
	}
	file, err := j.File()
	if err != nil {
		g.fail(w, r, err)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/vnd.tcpdump.pcap")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "ampulla-"+j.ID()+".pcapng"))
	http.ServeContent(pacedWriter{w, http.NewResponseController(w)}, r, "", j.State().GetEnded().AsTime(), file)
}

// pacedWriter gives up on a reader that takes nothing for a while.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write writes before the deadline.
func (p pacedWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(patience))
	return p.ResponseWriter.Write(b)
}

// events is a stream of server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type events struct {
	pacedWriter
	leave func()
}

// events begins an event stream, unless there are too many. It has to be left.
func (g *gateway) events(w http.ResponseWriter, r *http.Request) (*events, bool) {
	select {
	case g.streams <- struct{}{}:
	default:
		g.fail(w, r, status.Errorf(codes.ResourceExhausted, "%d streams are open already", maxStreams))
		return nil, false
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return &events{pacedWriter{w, http.NewResponseController(w)}, func() { <-g.streams }}, true
}

// send sends one event.
func (e *events) send(name string, m proto.Message) error {
	data, err := marshaler.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e, "event: %s\ndata: %s\n\n", name, data); err != nil {
		return err
	}
	return e.control.Flush()
}

// follow sends the states of a job until it has ended.
func (g *gateway) follow(w http.ResponseWriter, r *http.Request, path map[string]string) {
	j, err := g.cfg.Store.Job(path["id"])
	if err != nil {
		g.fail(w, r, err)
		return
	}
	e, ok := g.events(w, r)
	if !ok {
		return
	}
	defer e.leave()
	for {
		changed, state := j.Changed()
		if e.send("job", state) != nil || state.GetEnded() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
		select { // at most five a second
		case <-time.After(200 * time.Millisecond):
		case <-j.Done():
		case <-r.Context().Done():
			return
		}
	}
}

// metrics sends the figures of the server.
func (g *gateway) metrics(w http.ResponseWriter, r *http.Request, _ map[string]string) {
	calls, err := g.cfg.Annotator.WatchMetrics(r.Context(), &annotatorv1.WatchMetricsRequest{IntervalMs: uint32(g.cfg.Interval.Milliseconds())})
	if err != nil {
		g.fail(w, r, err)
		return
	}
	e, ok := g.events(w, r)
	if !ok {
		return
	}
	defer e.leave()
	last := new(annotatorv1.Metrics)
	for {
		m, err := calls.Recv()
		if err != nil || e.send("metrics", sample(m, last, g.cfg.Store.Queued())) != nil {
			return
		}
		last = m
	}
}

// sample is what a dashboard shows of the metrics.
func sample(m, last *annotatorv1.Metrics, queued int) *annotatorv1.MetricsSample {
	s := &annotatorv1.MetricsSample{
		Time: timestamppb.New(time.Unix(0, m.GetTimeNs())), PacketRate: m.GetFramesPerSecond(), MemoryUsage: float64(m.GetHeapBytes()),
		Sessions: m.GetSessions(), Queue: uint32(queued), Drops: uint32(m.GetUnjudgedTotal()),
		PacketsTotal: float64(m.GetFramesTotal()), FlaggedTotal: float64(m.GetFlaggedTotal()),
	}
	if frames := m.GetFramesTotal() - last.GetFramesTotal(); frames > 0 {
		s.AiInferenceTime = float64(m.GetProcessNanoseconds()-last.GetProcessNanoseconds()) / 1e9 / float64(frames)
	}
	return s
}
