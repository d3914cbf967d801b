// Package gateway is the REST interface: what scripts and dashboards ask over
// HTTP. The unary methods come from the contract by grpc-gateway; uploads,
// downloads and event streams are HTTP's own.
package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"

	"ampulla/grpc/analysis"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Config configures [New]. Store and Annotator are required.
type Config struct {
	Store     *analysis.Store
	Annotator annotatorv1.AnnotatorClient
	MaxUpload int64         // bytes
	Interval  time.Duration // of the metrics; 5 s if zero
}

// marshaler writes and reads JSON with the names of the contract. Unknown fields
// are errors: a typing error should not pass for a default.
var marshaler = &runtime.JSONPb{
	MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true},
	UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
}

// maxStreams is how many event streams may be open at once.
const maxStreams = 64

// gateway answers the requests that grpc-gateway does not.
type gateway struct {
	cfg     Config
	mux     *runtime.ServeMux
	streams chan struct{} // holds one for each event stream
}

// New returns the REST interface, which answers below /v1/ and at the aliases.
// Who may ask is the business of [Guard].
func New(cfg Config) (http.Handler, error) {
	if cfg.Interval == 0 {
		cfg.Interval = 5 * time.Second
	}
	g := &gateway{cfg: cfg, streams: make(chan struct{}, maxStreams)}
	g.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler),
		runtime.WithErrorHandler(answerError),
		runtime.WithRoutingErrorHandler(answerRoutingError),
		runtime.SetQueryParameterParser(strictParser{}),
		runtime.WithDisablePathLengthFallback(),
	)
	if err := annotatorv1.RegisterGatewayHandlerServer(context.Background(), g.mux, &service{cfg: cfg}); err != nil {
		return nil, err
	}
	// What is registered later comes first.
	for _, route := range []struct {
		method, path string
		handler      runtime.HandlerFunc
	}{
		{http.MethodGet, "/v1/jobs/{id}/events", g.follow},
		{http.MethodGet, "/v1/jobs/{id}/file", g.download},
		{http.MethodGet, "/v1/metrics/stream", g.metrics},
		{http.MethodGet, "/v1/openapi.json", describe},
	} {
		if err := g.mux.HandlePath(route.method, route.path, route.handler); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// ServeHTTP answers one request.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodPost && (r.URL.Path == "/v1/analyze" || r.URL.Path == "/analyze") && !isJSON(r) {
		g.upload(w, r)
		return
	}
	if r.Method == http.MethodPost && r.ContentLength != 0 && !isJSON(r) {
		answerError(r.Context(), g.mux, marshaler, w, r, errMediaType)
		return
	}
	r.Header.Set("Content-Type", "application/json") // or none: grpc-gateway complains of what is no type
	r.Body = paced(w, http.MaxBytesReader(w, r.Body, maxJSON))
	g.mux.ServeHTTP(w, r)
}

// maxJSON bounds a body that is no capture, in bytes.
const maxJSON = 64 << 10

// describe serves the OpenAPI description.
func describe(w http.ResponseWriter, _ *http.Request, _ map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(annotatorv1.OpenAPI)
}
