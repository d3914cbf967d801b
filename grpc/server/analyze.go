package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/output"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

const (
	// progressPause is the least time between two messages of progress.
	progressPause = 200 * time.Millisecond
	// verdictBatch is how many verdicts are sent at once.
	verdictBatch = 1024
	// analysisBytes bounds the part of a file that is held back while it is
	// judged, apart from its largest block; see Config.held.
	analysisBytes = 32 << 20
)

// Analyze judges a whole capture file.
func (s *Server) Analyze(stream analyzeStream) error {
	first, err := receive[annotatorv1.AnalyzeRequest](stream)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	options := first.GetOptions()
	if options == nil {
		return errNoOptions
	}
	if err := checkAnalysis(stream, options); err != nil {
		return err
	}
	cfg := s.cfg.Engine
	cfg.Workers = runtime.GOMAXPROCS(0) // somebody waits for it
	cfg.Explain, cfg.Hindsight = options.GetExplain(), options.GetHindsight()
	session, err := s.newSession(stream.Context(), options.GetSession(), cfg)
	if err != nil {
		return err
	}
	defer session.close()
	a := &analysis{
		session: session, stream: stream, options: options, input: &chunks{stream: stream}, total: options.GetSize(),
		summary: &annotatorv1.AnalyzeSummary{Threshold: session.threshold, FlaggedByType: map[string]uint64{}, FramesByClass: map[string]uint64{}},
	}
	if options.GetPath() != "" {
		file, size, err := openFile(options.GetPath())
		if err != nil {
			return err
		}
		defer file.Close()
		a.input, a.total = file, size
	}
	if options.GetHindsight() {
		if err := a.lookAhead(); err != nil {
			return err
		}
	}
	if err := a.run(); err != nil {
		return err
	}
	a.watcher.close() // what it changed is known to whoever has the summary
	return stream.Send(&annotatorv1.AnalyzeResponse{Message: &annotatorv1.AnalyzeResponse_Summary{Summary: a.summary}})
}

type analyzeStream = grpc.BidiStreamingServer[annotatorv1.AnalyzeRequest, annotatorv1.AnalyzeResponse]

// selected are the comments for each Selection.
var selected = map[annotatorv1.Selection]rewrite.Comments{
	annotatorv1.Selection_SELECTION_UNSPECIFIED: rewrite.CommentFlagged,
	annotatorv1.Selection_SELECTION_NONE:        rewrite.CommentNone,
	annotatorv1.Selection_SELECTION_FLAGGED:     rewrite.CommentFlagged,
	annotatorv1.Selection_SELECTION_ALL:         rewrite.CommentAll,
}

// checkAnalysis checks what is not a session's.
func checkAnalysis(stream analyzeStream, options *annotatorv1.AnalyzeOptions) error {
	for name, selection := range map[string]annotatorv1.Selection{"verdicts": options.GetVerdicts(), "comments": options.GetComments()} {
		if selected[selection] == "" {
			return status.Errorf(codes.InvalidArgument, "%s: there is no selection %d", name, selection)
		}
	}
	for name, path := range map[string]string{"path": options.GetPath(), "output": options.GetOutput()} {
		if path == "" {
			continue
		}
		if err := checkLocal(stream.Context(), name); err != nil {
			return err
		}
		if !filepath.IsAbs(path) {
			return status.Errorf(codes.InvalidArgument, "%s: %s is not an absolute path", name, path)
		}
	}
	if options.GetHindsight() && options.GetPath() == "" && options.GetSize() == 0 {
		return status.Error(codes.InvalidArgument, "size: hindsight needs to know it")
	}
	return nil
}

// openFile opens a file, which must be a regular one: others could keep the
// server waiting where nobody can cancel.
func openFile(path string) (file *os.File, size uint64, err error) {
	if file, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, 0, fileError(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, fileError(err)
	}
	return file, uint64(info.Size()), nil
}

// createOutput opens the output that a client named.
func createOutput(path string) (*output.File, error) {
	if err := output.CheckName(path); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, status.Errorf(codes.FailedPrecondition, "%s is not a regular file", path)
	}
	file, err := output.Create(path, nil)
	if err != nil {
		return nil, fileError(err)
	}
	return file, nil
}

// fileError says what is wrong with a file that a client named.
func fileError(err error) error {
	code := codes.FailedPrecondition
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = codes.NotFound
	case errors.Is(err, fs.ErrPermission):
		code = codes.PermissionDenied
	case errors.Is(err, fs.ErrExist):
		code = codes.AlreadyExists
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		code = codes.ResourceExhausted
	}
	return status.Error(code, err.Error())
}

// analysis is one call of Analyze. It is the reader of the capture, too: between
// two reads it reports.
type analysis struct {
	*session
	stream  analyzeStream
	options *annotatorv1.AnalyzeOptions
	input   io.Reader // the file as it is
	total   uint64    // bytes; 0 if unknown
	read    uint64    // bytes so far
	summary *annotatorv1.AnalyzeSummary
	pending []verdict.Verdict // to be sent
	last    time.Time         // when progress was reported
	failed  error             // of the stream
}

// lookAhead reads the file a first time, for an engine that knows how it goes on.
func (a *analysis) lookAhead() error {
	file, seeks := a.input.(io.Seeker)
	once := io.LimitReader(a, int64(min(a.total, math.MaxInt64)))
	a.total *= 2
	_, err := rewrite.Annotate(a.stream.Context(), once, nil, rewrite.Config{
		Engine: rehearsal{a.session}, MaxFrames: min(a.server.cfg.MaxPackets, rewrite.DefaultMaxFrames), MaxBytes: a.server.cfg.held(),
	})
	if err == nil || pcapng.IsBroken(err) { // the second reading reports it
		_, err = io.Copy(io.Discard, once)
	}
	if err == nil && seeks {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return a.why(err)
	}
	if a.engine, err = a.engine.Again(); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

// rehearsal is a session whose verdicts are nobody's: they are not counted.
type rehearsal struct{ *session }

// Process judges the next frames within the limits.
func (r rehearsal) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	return r.judge(frames, out)
}

// why returns the error to answer with where reading the file has failed.
func (a *analysis) why(err error) error {
	switch {
	case a.stream.Context().Err() != nil:
		return status.FromContextError(a.stream.Context().Err()).Err()
	case a.failed != nil:
		return a.failed
	case errors.Is(err, pcapng.ErrFormat):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return fileError(err)
}

// run judges the file and fills the summary in.
func (a *analysis) run() error {
	ctx := a.stream.Context()
	comments := selected[a.options.GetComments()]
	cfg := rewrite.Config{
		Engine: a, Comments: comments, Threshold: a.threshold, OnVerdict: a.take,
		MaxFrames: min(a.server.cfg.MaxPackets, rewrite.DefaultMaxFrames), MaxBytes: a.server.cfg.held(),
		Provenance: a.provenance(comments),
	}
	cfg.Provenance.Hindsight = a.options.GetHindsight()
	var (
		out *output.File
		w   io.Writer
		err error
	)
	if a.options.GetOutput() != "" {
		if out, err = createOutput(a.options.GetOutput()); err != nil {
			return err
		}
		defer out.Discard() // does nothing once in place
		w = out
	}
	counts, err := rewrite.Annotate(ctx, a, w, cfg)
	if errors.Is(err, errExplained) {
		err = nil
	}
	if err == nil || pcapng.IsBroken(err) {
		a.send()
	}
	if ctx.Err() != nil || a.failed != nil || err != nil && !pcapng.IsBroken(err) {
		return a.why(err)
	}
	a.summary.Flagged, a.summary.Uncommentable = counts.Flagged, counts.Uncommentable
	a.summary.Incidents = a.incidents()
	if broken, ok := errors.AsType[*pcapng.Error](err); ok {
		a.summary.Broken = &annotatorv1.Break{Block: broken.Block, Offset: uint64(broken.Offset), Cause: valid(broken.Err.Error())}
	}
	if out == nil {
		return nil
	}
	if a.summary.Output, err = out.Settle(a.options.GetPath(), err); err != nil {
		return fileError(err)
	}
	return nil
}

// errExplained ends an analysis that has found out all that was asked for.
var errExplained = errors.New("explained")

// take counts a verdict, and sends it if selected.
func (a *analysis) take(v *verdict.Verdict) error {
	sum := a.summary
	if sum.Frames == 0 {
		sum.FirstNs, sum.LastNs = v.Time, v.Time
	}
	sum.Frames++
	sum.FirstNs, sum.LastNs = min(sum.FirstNs, v.Time), max(sum.LastNs, v.Time)
	sum.Flows = max(sum.Flows, uint64(v.Flow))
	sum.FramesByClass[v.Class]++
	flagged := a.flagged(v)
	if flagged {
		sum.Flagged++
		sum.FlaggedByType[string(v.Type)]++
	}
	if v.Frame == a.options.GetExplain() {
		e := a.engine.Explanation()
		a.summary.Explanation = &annotatorv1.Explanation{Verdict: &annotatorv1.Verdict{}, Features: features(e.Values), Scope: scopeMessage(&e.Scope)}
		a.fill(a.summary.Explanation.Verdict, v)
		if a.options.GetVerdicts() == annotatorv1.Selection_SELECTION_NONE && a.options.GetOutput() == "" {
			return errExplained
		}
	}
	switch selected[a.options.GetVerdicts()] {
	case rewrite.CommentNone:
		return nil
	case rewrite.CommentFlagged:
		if !flagged {
			return nil
		}
	}
	if a.pending = append(a.pending, *v); len(a.pending) >= verdictBatch {
		a.send()
	}
	return a.failed
}

// Read returns the next bytes of the file, after reporting what is known.
func (a *analysis) Read(p []byte) (int, error) {
	a.send()
	if now := time.Now(); now.Sub(a.last) >= progressPause && a.failed == nil {
		a.last = now
		progress := &annotatorv1.AnalyzeProgress{
			BytesRead: a.read, BytesTotal: a.total, Frames: a.summary.GetFrames(), Flagged: a.summary.GetFlagged(),
		}
		a.failed = a.stream.Send(&annotatorv1.AnalyzeResponse{Message: &annotatorv1.AnalyzeResponse_Progress{Progress: progress}})
	}
	if a.failed != nil {
		return 0, a.failed
	}
	n, err := a.input.Read(p)
	a.read += uint64(n)
	if c, ok := a.input.(*chunks); ok {
		a.failed = c.failed
	}
	return n, err
}

// send sends the verdicts that are due.
func (a *analysis) send() {
	if len(a.pending) == 0 || a.failed != nil {
		return
	}
	batch := a.message(a.pending)
	a.pending = a.pending[:0]
	a.failed = a.stream.Send(&annotatorv1.AnalyzeResponse{Message: &annotatorv1.AnalyzeResponse_Verdicts{Verdicts: batch}})
}

// chunks reads a file that the client sends.
type chunks struct {
	stream analyzeStream
	rest   []byte
	failed error // other than io.EOF
}

// Read returns the next bytes.
func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		request, err := receive[annotatorv1.AnalyzeRequest](c.stream)
		if err == nil && len(request.GetChunk()) == 0 {
			err = status.Error(codes.InvalidArgument, "a message behind the first holds no bytes of the file")
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.failed = err
			}
			return 0, err
		}
		c.rest = request.GetChunk()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
