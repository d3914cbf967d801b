package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ampulla/grpc/analysis"
)

// httpError is an error whose HTTP status no gRPC code stands for.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

// GRPCStatus makes it an error of gRPC for those who look for one.
func (e *httpError) GRPCStatus() *status.Status { return status.New(codes.InvalidArgument, e.text) }

var errMediaType = &httpError{http.StatusUnsupportedMediaType, "Content-Type: neither JSON nor a capture (application/octet-stream)"}

// statusOf returns the HTTP status of an error.
func statusOf(err error) int {
	if e, ok := errors.AsType[*httpError](err); ok {
		return e.status
	}
	if errors.Is(err, analysis.ErrTooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	switch code := status.Code(err); code {
	case codes.FailedPrecondition:
		return http.StatusConflict
	default:
		return runtime.HTTPStatusFromCode(code)
	}
}

// answerError answers with an error as google.rpc.Status.
func answerError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	if e, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		err = &httpError{e.HTTPStatus, status.Convert(e.Err).Message()}
	}
	writeError(w, statusOf(err), status.Convert(err))
}

func writeError(w http.ResponseWriter, code int, s *status.Status) {
	body, _ := marshaler.Marshal(s.Proto()) // texts and numbers only
	w.Header().Set("Content-Type", "application/json")
	switch code {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// answerRoutingError answers requests that no method is for.
func answerRoutingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	text := map[int]string{
		http.StatusNotFound:         fmt.Sprintf("there is nothing at %.100s", r.URL.Path),
		http.StatusMethodNotAllowed: r.Method + " is not allowed here",
	}[code]
	if text == "" {
		text = http.StatusText(code)
	}
	grpcCode := codes.InvalidArgument
	if code == http.StatusNotFound {
		grpcCode = codes.NotFound
	}
	writeError(w, code, status.New(grpcCode, text))
}

// strictParser takes only parameters that a method has, by the names of the
// contract.
type strictParser struct{ runtime.DefaultQueryParser }

// Parse fills a request from the query.
func (p strictParser) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	fields := m.ProtoReflect().Descriptor().Fields()
	for name := range values {
		if fields.ByName(protoreflect.Name(name)) == nil {
			return fmt.Errorf("there is no parameter %.40q", name)
		}
	}
	return p.DefaultQueryParser.Parse(m, values, filter)
}
